r"""What does each part of the method buy?

    python -m benchmarks.ablation --data ../shared/data/glas --labels 8 \
        --seeds 2 --parts no_painting no_pseudo_labels

In: the GlaS data set. Out: one JSON a cell (part x seed) in `--results`, all
together in `ablation.json` beside it, a chart and a table of paired
differences to the whole method. Parts are in `semi_parts.py`; a cell is the
method `histogan` of the semi-supervised benchmark without that part, with
the same images, seeds and steps. The whole method's own run is that
benchmark's, in `--output`: trained if it is missing, else taken as it is; its
stages and judge serve the parts that only the segmenter feels.

Everything is scored on the held-out validation patients: parts are kept or
deleted by this table, and test images choose nothing.
"""

import pathlib
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from absl import flags

# So that it also runs by path, as python benchmarks/ablation.py.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from benchmarks import list_flags, machine
from histogan_tf import program
from histogan_tf.errors import InputError

if TYPE_CHECKING:
    from benchmarks.semi_cells import Cell, Places
    from benchmarks.semi_methods import Method

WHOLE = "histogan"


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
    flags.DEFINE_list("only_seeds", [], "seeds by name, in place of --seeds")
    flags.DEFINE_list(
        "parts",
        ["no_painting", "no_pseudo_labels"],
        "left out, one at a time; of no_painting, no_pseudo_labels,"
        " no_restain, no_unlabelled_critic, two_stages",
    )
    flags.DEFINE_bool(
        "table_only", False, "run nothing; print what the results say"
    )
    flags.mark_flag_as_required("data")


def main() -> None:
    """Runs the cells that are missing, then prints the table."""
    from benchmarks import ablation_table, semi_data
    from benchmarks.semi_cells import Places

    values = flags.FLAGS
    places = Places(
        pathlib.Path(values.data),
        pathlib.Path(values.output),
        pathlib.Path(values.results),
    )
    if not values.table_only:
        seeds = named_seeds(values.only_seeds) or range(values.seeds)
        run(places, values.labels, seeds, values.parts)
    found = [
        machine.read_json(path)
        for path in sorted(places.results.glob("*.json"))
    ]
    if not found:
        raise InputError(f"{places.results}: no cell has a result yet")
    both = places.results.with_suffix(".json")
    machine.write_json(both, [_short(result) for result in found])
    patient = semi_data.patients(places.data)
    if patient is None:
        raise InputError(
            f"{places.data}: no Grade.csv; the GlaS data set is wanted"
        )
    ablation_table.chart(both.with_suffix(".png"), found, WHOLE, patient)
    print("\n".join(ablation_table.lines(found, WHOLE, patient)))
    print(f"{both}\n{both.with_suffix('.png')}")


def named_seeds(texts: list[str]) -> list[int]:
    """Seeds of the flag --only_seeds, rising, each once.

    Raises:
      InputError: one is no number.
    """
    for text in texts:
        if not text.isdecimal():
            raise InputError(f"--only_seeds {text!r}: use 0, 1, 2, ...")
    return sorted({int(text) for text in texts})


def run(
    places: "Places", labels: int, seeds: Iterable[int], names: list[str]
) -> None:
    """Trains and scores what is missing, seed by seed, the whole first.

    Raises:
      InputError: an unknown part, or the whole has a result but no run.
    """
    from benchmarks import semi_methods, semi_parts
    from benchmarks.semi_cells import Cell

    for name in names:
        if name not in semi_parts.PARTS:
            allowed = ", ".join(semi_parts.PARTS)
            raise InputError(f"--parts {name!r}; allowed are {allowed}")
    for seed in seeds:
        whole = Cell("native", WHOLE, labels, seed)
        train(whole, places, semi_methods.histogan)
        for name in names:
            cell = Cell("native", name, labels, seed)
            part = semi_parts.PARTS[name]
            if (
                part.same_teachers
                and not places.run(whole).exists()
                and not places.file(cell).exists()
            ):
                raise InputError(
                    f"{places.run(whole)}: gone, and {name} needs its"
                    f" stages and judge; delete {places.file(whole)} to train"
                    " it again"
                )
            train(cell, places, semi_parts.method(part))


def train(cell: "Cell", places: "Places", method: "Method") -> None:
    """One cell, scored on the validation images."""
    from benchmarks import semi_cells, semi_settings
    from trainer import strategies

    strategies.prepare(semi_settings.PRECISION, cell.seed)
    print(f"{cell.name} ...", flush=True)
    result = semi_cells.run(cell, places, semi_cells.VALIDATION, method)
    print(f"{cell.name}: {result['seconds']:.0f} s", flush=True)


def _short(result: dict) -> dict:
    kept = (
        "protocol", "method", "labels", "seed", "validation", "seconds",
        "commit", "date", "machine",
    )  # fmt: skip
    return {name: result[name] for name in kept}


if __name__ == "__main__":
    define_flags()
    sys.argv = list_flags.joined(sys.argv, ("parts", "only_seeds"))
    program.run(main)
