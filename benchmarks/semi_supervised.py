r"""Do synthetic pairs make better segmenters when few images are labelled?

    python -m benchmarks.semi_supervised --data ../shared/data/glas \
        --labels 8 17 all --seeds 3 --methods supervised cps histogan

In: the GlaS data set (images/, labels/, Grade.csv), for `--protocol gleason`
the prostate tiles (images/, masks/). Lists may have commas too. Out: one JSON
a cell (protocol x labels x seed x method) in `--results`, all of them together
in `semi_supervised.json` beside it, a chart, the protocol in words and a
table. A finished cell is never run again, an interrupted one goes on; so the
program may be killed at any moment and run again, or be given other cells.
Records, weights and pictures stay in `--output`: the data's licence forbids
passing them on.

The protocol is in `semi_protocols.py` and `semi_data.py`, the methods in
`semi_methods.py`, what they share in `semi_settings.py`. Test images are used
for the final scores only; threshold 0.5; the last weights, averaged.
"""

import itertools
import pathlib
import sys
import time
from typing import TYPE_CHECKING, Any

from absl import flags

# So that it also runs by path, as python benchmarks/semi_supervised.py.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from benchmarks import list_flags, machine
from histogan_tf import program
from histogan_tf.errors import InputError

if TYPE_CHECKING:
    from benchmarks.semi_cells import Cell

ALL = "all"
RESULTS = machine.RESULTS / "semi_supervised"


def define_flags() -> None:
    """Only as a program: tests import programs with flags of these names."""
    flags.DEFINE_string(
        "data",
        None,
        "folder of the GlaS data set, or of the prostate tiles for gleason",
    )
    flags.DEFINE_string("output", "runs/semi_supervised", "records and runs")
    flags.DEFINE_string(
        "results", str(RESULTS), "folder of the cells' files of figures"
    )
    flags.DEFINE_enum(
        "protocol", "native", ["native", "xnet128", "gleason"], "what is asked"
    )
    flags.DEFINE_list(
        "labels",
        None,
        f"numbers of labelled images, or {ALL}; by default 8, 17 and {ALL} of"
        " native, 17 of xnet128, 2 of gleason",
    )
    flags.DEFINE_integer(
        "seeds",
        None,
        "seeds 0, 1, ... of every cell; by default 3, of gleason 8: a seed is"
        " the tile that is held out",
        1,
    )
    flags.DEFINE_list(
        "methods",
        ["supervised", "histogan"],
        "of supervised, supervised+classic, supervised+restain, self_training,"
        " mean_teacher, mean_teacher+restain, cps, histogan,"
        " histogan_labelled_only",
    )
    flags.DEFINE_bool(
        "table_only", False, "run nothing; print what the results say"
    )
    flags.mark_flag_as_required("data")


def main() -> None:
    """Runs the cells that are missing, then prints the table."""
    from benchmarks import semi_chart, semi_data, semi_setup, semi_table
    from benchmarks.semi_cells import Places
    from benchmarks.semi_methods import METHODS

    values = flags.FLAGS
    places = Places(
        pathlib.Path(values.data),
        pathlib.Path(values.output),
        pathlib.Path(values.results),
    )
    if not values.table_only:
        _run(wanted(values, places.data), places)
    results = collect(places.results)
    if not results:
        raise InputError(f"{places.results}: no cell has a result yet")
    both = places.results.with_suffix(".json")
    machine.write_json(both, [_short(result) for result in results])
    scores = {p: found[0] for p, found in semi_table.SCORES.items()}
    semi_chart.chart(both.with_suffix(".png"), results, list(METHODS), scores)
    patient = semi_data.patients(places.data)
    for protocol in dict.fromkeys(r["protocol"] for r in results):
        print("\n".join(semi_setup.paragraph(results, protocol)))
    print("\n".join(semi_table.lines(results, patient)))
    print(f"{both}\n{both.with_suffix('.png')}")


def wanted(values: Any, data: pathlib.Path) -> list["Cell"]:
    """The cells that the flags ask for, seed by seed.

    Raises:
      InputError: an unknown method, a number that is none, more labels or
        seeds than the data set has.
    """
    from benchmarks.semi_cells import Cell
    from benchmarks.semi_methods import METHODS
    from benchmarks.semi_protocols import PROTOCOLS

    _check("methods", values.methods, METHODS)
    protocol = PROTOCOLS[values.protocol]
    labels: list[int | None] = list(protocol.labels)
    if values.labels is not None:
        labels = [None if n == ALL else _count(n) for n in values.labels]
    seeds = values.seeds or protocol.seeds
    if protocol.most_seeds and seeds > protocol.most_seeds:
        raise InputError(
            f"--seeds {seeds}: {protocol.name} has 1 to"
            f" {protocol.most_seeds}, a tile each"
        )
    pool = len(protocol.fold(data, None, 0).labelled)
    for count in labels:
        if count and count >= pool:
            raise InputError(
                f"--labels {count}: {protocol.name} has {pool} images to"
                f" label; 1 to {pool - 1} or {ALL} is allowed"
            )
    order = itertools.product(range(seeds), labels, values.methods)
    return [Cell(values.protocol, m, n, seed) for seed, n, m in order]


def _check(flag: str, found: list[str], allowed: Any) -> None:
    for value in found:
        if value not in allowed:
            raise InputError(
                f"--{flag} {value!r}; allowed are {', '.join(allowed)}"
            )


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"--labels {text!r}: 1, 2, ... or {ALL} is allowed")
    return int(text)


def _run(cells: list["Cell"], places: Any) -> None:
    from benchmarks import semi_cells, semi_settings
    from trainer import strategies

    start, todo = time.monotonic(), [c for c in cells if not _done(c, places)]
    for done, cell in enumerate(todo):
        # All of a cell's draws come from its own seed.
        strategies.prepare(semi_settings.PRECISION, cell.seed)
        print(f"{cell.name} ({done + 1} of {len(todo)}) ...", flush=True)
        result = semi_cells.run(cell, places)
        left = (time.monotonic() - start) / (done + 1) * (len(todo) - done - 1)
        print(
            f"{cell.name}: {result['seconds']:.0f} s; about"
            f" {left / 60:.0f} min left in all",
            flush=True,
        )


def _done(cell: "Cell", places: Any) -> bool:
    return places.file(cell).exists()


def collect(folder: pathlib.Path) -> list[dict]:
    """The results of all finished cells, in the order of their names."""
    return [machine.read_json(path) for path in sorted(folder.glob("*.json"))]


def _short(result: dict) -> dict:
    """What a reader compares; the rest is in the cell's own file."""
    kept = (
        "protocol", "method", "labels", "seed", "images", "pooled", "seconds",
        "commit", "date", "machine", "names", "setup", "setup_source", "git",
    )  # fmt: skip
    # Older cells have no setup, others no other source of it.
    return {name: result[name] for name in kept if name in result}


if __name__ == "__main__":
    define_flags()
    sys.argv = list_flags.joined(sys.argv, ("labels", "methods"))
    program.run(main)
