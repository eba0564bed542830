r"""What does each part of the method buy?

    python -m benchmarks.ablation --data ../shared/data/glas --labels 8 \
        --seeds 2 --parts no_painting,no_pseudo_labels

In: the GlaS data set. Out: one JSON a cell (part x seed) in `--results`, all
together in `ablation.json` beside it, a chart and a table of paired
differences to the whole method. Parts are in `semi_parts.py`; a cell is the
method `histogan` of the semi-supervised benchmark without that part, with
the same images, seeds and steps.

Everything is scored on the held-out validation patients: parts are kept or
deleted by this table, and test images choose nothing.
"""

import itertools
import pathlib
import sys

from absl import flags

# So that it also runs by path, as python benchmarks/ablation.py.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from benchmarks import machine
from histogan_tf import program
from histogan_tf.errors import InputError

WHOLE = "whole"


def define_flags() -> None:
    """Only as a program: tests import programs with flags of these names."""
    flags.DEFINE_string("data", None, "folder of the GlaS data set")
    flags.DEFINE_string(
        "output", "runs/semi_supervised", "that of the other benchmark"
    )
    flags.DEFINE_string(
        "results", str(machine.RESULTS / "ablation"), "files of figures"
    )
    flags.DEFINE_integer("labels", 8, "labelled images", 1)
    flags.DEFINE_integer("seeds", 2, "seeds 0, 1, ... of every part", 1)
    flags.DEFINE_list("parts", [], "parts to leave out, one at a time")
    flags.mark_flag_as_required("data")


def main() -> None:
    """Runs the cells that are missing, then prints the table."""
    from benchmarks import ablation_table
    from benchmarks.semi_cells import Places

    values = flags.FLAGS
    places = Places(
        pathlib.Path(values.data),
        pathlib.Path(values.output),
        pathlib.Path(values.results),
    )
    run(places, values.labels, values.seeds, [WHOLE, *values.parts])
    found = [
        machine.read_json(path)
        for path in sorted(places.results.glob("*.json"))
    ]
    both = places.results.with_suffix(".json")
    machine.write_json(both, [_short(result) for result in found])
    ablation_table.chart(both.with_suffix(".png"), found, WHOLE)
    print("\n".join(ablation_table.lines(found, WHOLE)))
    print(f"{both}\n{both.with_suffix('.png')}")


def run(places, labels: int, seeds: int, names: list[str]) -> None:
    """Trains and scores what is missing, seed by seed."""
    from benchmarks import semi_cells, semi_parts, semi_settings
    from benchmarks.semi_cells import Cell
    from trainer import strategies

    for name in names:
        if name not in semi_parts.PARTS:
            allowed = ", ".join(semi_parts.PARTS)
            raise InputError(f"--parts {name!r}; allowed are {allowed}")
    for seed, name in itertools.product(range(seeds), names):
        strategies.prepare(semi_settings.PRECISION, seed)
        print(f"{name}, seed {seed} ...", flush=True)
        cell = Cell("native", name, labels, seed)
        result = semi_cells.run(
            cell,
            places,
            semi_cells.VALIDATION,
            semi_parts.method(semi_parts.PARTS[name]),
        )
        print(f"{name}, seed {seed}: {result['seconds']:.0f} s", flush=True)


def _short(result: dict) -> dict:
    kept = (
        "protocol", "method", "labels", "seed", "validation", "seconds",
        "commit", "date", "machine",
    )  # fmt: skip
    return {name: result[name] for name in kept}


if __name__ == "__main__":
    define_flags()
    program.run(main)
