"""One cell of the semi-supervised benchmark: a method, labels, a seed.

In: a `Cell` and the folders. Out: its JSON in `results`, written last, so
that a cell with a file is finished and is never run again; its records and
run directory in `output`, where an interrupted cell goes on.
"""

import pathlib
import time
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf

from benchmarks import machine, semi_data, semi_setup, timed_training
from benchmarks.semi_methods import METHODS, OWN, Method, Work
from benchmarks.semi_protocols import PROTOCOLS, Protocol
from histogan_tf import config_json, run_dir
from histogan_tf.canvas import Reader

BOTH, VALIDATION = ("validation", "test"), ("validation",)


@dataclass(frozen=True)
class Cell:
    """`labels` None: all of the pool."""

    protocol: str
    method: str
    labels: int | None
    seed: int

    @property
    def name(self) -> str:
        """Of the cell's file and folder."""
        count = self.labels or "all"
        return f"{self.protocol}_{count}_{self.seed}_{self.method}"


@dataclass(frozen=True)
class Places:
    """The data set; runs and records; a JSON file per cell."""

    data: pathlib.Path
    output: pathlib.Path
    results: pathlib.Path

    def file(self, cell: Cell) -> pathlib.Path:
        """The cell's result."""
        return self.results / f"{cell.name}.json"

    def run(self, cell: Cell) -> pathlib.Path:
        """The cell's run directory."""
        return self.output / "runs" / cell.name


def run(
    cell: Cell,
    places: Places,
    splits: tuple[str, ...] = BOTH,
    method: Method | None = None,
) -> Any:
    """Trains and scores a cell; gives its result if it has one already.

    Args:
      cell: what; places: where.
      splits: which images are read.
      method: in place of that of the cell's name.
    """
    known = machine.read_json(places.file(cell))
    if known is not None:
        return known
    machine.code()
    protocol = PROTOCOLS[cell.protocol]
    fold = protocol.fold(places.data, cell.labels, cell.seed)
    work = prepare(cell, places, protocol)
    start = time.monotonic()
    tf.keras.utils.set_random_seed(cell.seed + 1)
    network = (method or METHODS[cell.method])(work)
    seconds = time.monotonic() - start
    phases = timed_training.seconds(work.folder / "seconds.json")
    read = Reader(network)
    rows = {
        split: protocol.score(
            read, getattr(fold, split), work.config.finest_mpp
        )
        for split in splits
    }
    result = {
        "protocol": cell.protocol,
        "method": cell.method,
        "labels": cell.labels,
        "seed": cell.seed,
        "images": rows.get("test", {}),
        "pooled": protocol.pool(rows["test"]) if "test" in rows else {},
        "validation": rows["validation"],
        "names": fold.names(),
        # What the run was trained with, not what it was asked for.
        "setup": semi_setup.setup(
            config_json.to_dict(run_dir.open_run(work.folder).config()),
            OWN.get(cell.method, {}),
            [source.group for source in fold.validation],
            protocol.reading(),
        ),
        # A resumed cell's first seconds are only in its phases'.
        "seconds": round(max(seconds, sum(phases.values())), 1),
        "seconds_by_phase": machine.read_json(work.folder / "seconds.json"),
        **machine.describe(),
    }
    result["commit"] = result["git"]["commit"]
    machine.write_json(places.file(cell), result)
    return result


def prepare(cell: Cell, places: Places, protocol: Protocol) -> Work:
    """The cell's records and folders."""
    shared = f"{cell.protocol}_{cell.labels or 'all'}_{cell.seed}"
    records = semi_data.records(
        protocol.fold(places.data, cell.labels, cell.seed),
        places.output / "records" / shared,
        protocol.place,
        protocol.classes,
        protocol.mpp,
        cell.seed,
    )
    return Work(
        protocol.config(cell.seed),
        records,
        places.run(cell),
        places.run(replace(cell, method="supervised")),
    )
