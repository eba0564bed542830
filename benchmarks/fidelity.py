r"""Does synthetic tissue obey its mask, and does it look like tissue?

    python -m benchmarks.fidelity --data ../shared/data/glas \
        [--output runs/fidelity] [--preset demo] [--minutes 25]

In: the GlaS data set (images/, labels/, Grade.csv). Out: one table, PASS or
MISS a line, `--results` (JSON) and a chart beside it; in `--output` the
records, the runs and a sheet of pictures, which must stay there: the data's
licence forbids passing on tissue, or weights learnt from it.

The pyramid is held against one network without the pyramid, trained for the
same time, and against masks filled with the mean colour of their class. A
segmenter trained on real images (the judge) reads what they paint. Every
step whose result is there is left out, so the program may be killed and run
again; seconds of training add up over resumes.
"""

import contextlib
import pathlib
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from absl import flags

# So that it also runs by path, as python benchmarks/fidelity.py.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from benchmarks import machine
from histogan_tf import presets, program

if TYPE_CHECKING:
    from benchmarks.fidelity_training import Settings


def define_flags() -> None:
    """Only as a program: tests import programs with flags of these names."""
    flags.DEFINE_string("data", None, "folder of the GlaS data set")
    flags.DEFINE_string("output", "runs/fidelity", "records, runs, pictures")
    flags.DEFINE_string(
        "results",
        str(machine.RESULTS / "fidelity.json"),
        "file of figures; the chart is written beside it",
    )
    flags.DEFINE_enum(
        "preset", "demo", sorted(presets.PRESETS), "the pyramid's settings"
    )
    flags.DEFINE_float(
        "scale_steps", 1.0, "factor for the steps of the pyramid's stages", 0
    )
    flags.DEFINE_float(
        "minutes",
        None,
        "train the stages for about this long: --scale_steps is then chosen"
        " by a measurement of their speed",
        0,
    )
    flags.DEFINE_multi_string("set", [], "one setting, as in trainer.train")
    flags.DEFINE_enum(
        "precision", "auto", ["auto", "float32", "bfloat16"], "arithmetic"
    )
    flags.DEFINE_integer("seed", 0, "of all draws", 0)
    flags.mark_flag_as_required("data")


def main() -> None:
    """Reads the flags and runs the benchmark."""
    from benchmarks.fidelity_training import Settings

    values = flags.FLAGS
    run(
        Settings(
            pathlib.Path(values.data),
            pathlib.Path(values.output),
            pathlib.Path(values.results),
            values.preset,
            values.scale_steps,
            values.minutes,
            tuple(values.set),
            values.precision,
            values.seed,
        )
    )


def run(settings: "Settings") -> None:
    """All steps, each left out when its result is there."""
    from benchmarks import fidelity_scores, fidelity_table
    from benchmarks import fidelity_training as training
    from trainer import strategies

    config = training.wanted_config(settings)
    strategies.prepare(config.precision, config.seed)
    with step("a  records of GlaS"):
        data = training.records(settings)
    with step("b  the pyramid"):
        pyramid = training.train_pyramid(settings, config, data)
    with step("c  baseline: one stage, the same time"):
        alone = training.train_one_stage(settings, pyramid)
    with step("e  the judge, on real images only"):
        training.train_judge(pyramid)
    with step("d, f  paint and score the test images"):
        scores = fidelity_scores.score(settings, pyramid, alone)
    rows = fidelity_table.lines(scores)
    verdicts = {row.text: row.verdict("pyramid") for row in rows}
    result = {
        "command": program.command_line("benchmarks.fidelity"),
        **machine.describe(),
    }
    machine.write_json(
        settings.results, result | {"verdicts": verdicts} | scores
    )
    chart = settings.results.with_suffix(".png")
    fidelity_table.chart(chart, rows)
    print(fidelity_table.table(rows))
    print(f"{settings.results}\n{chart}")
    print(f"{settings.output / fidelity_scores.SHEET}: tissue; not to share")


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    """Prints a step's name and its time."""
    print(f"{name} ...", flush=True)
    start = time.monotonic()
    yield
    print(f"{name}: {time.monotonic() - start:.1f} s", flush=True)


if __name__ == "__main__":
    define_flags()
    program.run(main)
