r"""How fast is a train step, what share of the machine, how much memory?

    python -m benchmarks.train_step [--preset base] [--batches 2,preset]
        [--precisions float32,bfloat16] [--sides 256,512,1024,2048]
        [--takes 3] [--repeats 3]

In: nothing but random tiles. Out: for every stage, precision and batch size
the megapixels a second in the fastest of `--takes`, the share of what this
machine's best convolution (3x3, 128 channels, same type, the best of all rows
of the run) does, memory, and the seconds from a process's start to the end of
its first step. A second table, over sides of the images that crops are cut
from, shows how far a stage's memory depends on its crop only; as malloc's
share of it is chance, each row is the process of the median memory of
`--repeats`. Tables, `--results` (JSON) and a chart beside it; `--table_only`
makes them again from the file's figures.

A mask-to-image GAN of 70 M parameters (`large_gan.py`) is timed beside them.

Targets: 45 % of the peak at every stage in bfloat16; bfloat16 1.6 times as
fast as float32; at 256x256 px, the smallest batch (2: an image with labels, one
without), 30 times the megapixels a second of the large GAN with as many; at
most 2 GB for crops of 256 px from images of 1024 px; the first step in 40 s.
"""

import pathlib
import sys
import time
from collections.abc import Iterable
from typing import Any

from absl import flags

# So that it also runs by path, as python benchmarks/train_step.py.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from benchmarks import machine, step_table
from histogan_tf import presets, program

# In place of a number of images.
OWN = "preset"


def define_flags() -> None:
    """Only as a program: tests import programs with flags of these names."""
    flags.DEFINE_enum(
        "preset", "base", sorted(presets.PRESETS), "whose stages are measured"
    )
    flags.DEFINE_list(
        "batches",
        ["2", OWN],
        f"images of a step; {OWN}: as many as the preset's own",
    )
    flags.DEFINE_list("precisions", ["float32", "bfloat16"], "arithmetic")
    flags.DEFINE_list(
        "sides", ["256", "512", "1024", "2048"], "of images, px; may be empty"
    )
    flags.DEFINE_integer(
        "repeats", 3, "processes a row of the sides, of which the median", 1
    )
    flags.DEFINE_integer("steps", 3, "timed train steps of a cell", 1)
    flags.DEFINE_integer(
        "takes", 3, "of timed steps, of which the fastest; 1 for sides", 1
    )
    flags.DEFINE_integer(
        "large_steps", 2, "of the GAN of 70 M parameters; 0: leave it out", 0
    )
    flags.DEFINE_float("peak_seconds", 2.0, "of a cell's convolution", 0.0)
    flags.DEFINE_string(
        "results",
        str(machine.RESULTS / "train_step.json"),
        "file of figures; the chart is written beside it",
    )
    flags.DEFINE_bool(
        "table_only", False, "run nothing; print what the results say"
    )


def main() -> None:
    """Measures cell by cell, or reads what was measured; writes and prints.

    Raises:
      InputError: --table_only, and there is no file of figures.
    """
    from histogan_tf.errors import InputError

    path = pathlib.Path(flags.FLAGS.results)
    known = flags.FLAGS.table_only
    result = machine.read_json(path) if known else _measure(flags.FLAGS)
    if result is None:
        raise InputError(f"--results {path}: no such file; leave --table_only")
    tell(path, result)


def tell(path: pathlib.Path, result: dict[str, Any]) -> None:
    """Writes the figures with their shares and a chart; prints the tables."""
    speeds, memories, large = (
        result[n] for n in ("steps", "sides", "large_gan")
    )
    best = step_table.peaks(speeds + memories)
    speeds, memories = (
        step_table.shared(rows, best) for rows in (speeds, memories)
    )
    result["protocol"]["peak_gflops"] = best
    machine.write_json(path, result | {"steps": speeds, "sides": memories})
    step_table.chart(path.with_suffix(".png"), speeds, memories)
    print(step_table.table(speeds + memories), *large, sep="\n")
    for precision, peak in best.items():
        print(f"peak in {precision}, the best of all rows: {peak:.0f} GFLOP/s")
    print(*step_table.verdicts(speeds, memories, large), sep="\n")
    print(f"{path}\n{path.with_suffix('.png')}")


def _measure(values: Any) -> dict[str, Any]:
    """The run that the flags ask for; rows' shares are of their own peaks."""
    from histogan_tf.errors import InputError

    start = time.monotonic()
    machine.code()  # before others change it
    own = OWN in values.batches
    batches = numbers("batches", (b for b in values.batches if b != OWN))
    sides = numbers("sides", values.sides)
    allowed("precisions", values.precisions, ("float32", "bfloat16"))
    common = {"steps": values.steps, "peak_seconds": values.peak_seconds}
    if not batches:
        raise InputError(
            "--batches: give a number, for sides and the large GAN"
        )
    first = cells(
        values.preset,
        values.precisions,
        batches,
        own,
        common | {"takes": values.takes},
    )
    second = side_cells(values.preset, min(batches), sides, common)
    speeds, memories = _measured(first), _measured(second, values.repeats)
    large = _large(
        values.precisions, min(batches), values.large_steps, values.takes
    )
    return {
        "command": program.command_line("benchmarks.train_step"),
        **machine.describe(),
        "protocol": {
            "preset": values.preset,
            "seconds_in_all": round(time.monotonic() - start, 1),
            "timed": f"{values.steps} steps on one batch after one that"
            f" traces, the fastest of {values.takes} takes (rows of sides:"
            " one take), a process for each row",
            "sides": f"the process of the median memory of {values.repeats}",
            "targets": {
                "share_of_peak": step_table.SHARE,
                "bfloat16_over_float32": step_table.SPEED_UP,
                "first_step_seconds": step_table.FIRST_STEP,
                "times_the_large_gan": step_table.TIMES_LARGE,
                "memory_mib": round(step_table.MEMORY_MIB),
            },
        },
        "steps": speeds,
        "sides": memories,
        "large_gan": large,
    }


def numbers(name: str, texts: Iterable[str]) -> list[int]:
    """The integers of a list flag.

    Raises:
      InputError: one is no number above 1.
    """
    from histogan_tf.errors import InputError

    found = list(texts)
    for text in found:
        if not text.isdecimal() or int(text) < 2:
            raise InputError(f"--{name}: {text!r}; use numbers from 2 on")
    return [int(text) for text in found]


def allowed(name: str, found: Iterable[str], known: tuple[str, ...]) -> None:
    """Raises InputError when a list flag has an unknown word."""
    from histogan_tf.errors import InputError

    for word in found:
        if word not in known:
            raise InputError(f"--{name}: {word!r}; use {' or '.join(known)}")


def cells(
    preset: str,
    precisions: Iterable[str],
    batches: Iterable[int],
    own: bool,
    common: dict[str, Any],
) -> list:
    """Every stage in every precision with every batch; `own`: the preset's."""
    from benchmarks.step_cells import Cell

    return [
        Cell(preset, index, precision, batch, **common)
        for index, stage in enumerate(presets.PRESETS[preset]().stages)
        for precision in precisions
        for batch in [*batches, *[stage.batch] * own]
    ]


def side_cells(
    preset: str, batch: int, sides: Iterable[int], common: dict[str, Any]
) -> list:
    """Every stage with images of every side that holds its crop."""
    from benchmarks.step_cells import Cell

    return [
        Cell(preset, index, "float32", batch, side, **common)
        for index, stage in enumerate(presets.PRESETS[preset]().stages)
        for side in sides
        if side >= stage.crop
    ]


def median_row(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The row of the median memory of a step; of the processes' the most."""
    ranked = sorted(rows, key=lambda row: row["step_memory_mib"])
    return ranked[len(rows) // 2] | {
        "repeats_step_memory_mib": [r["step_memory_mib"] for r in ranked],
        "process_memory_mib": max(r["process_memory_mib"] for r in rows),
    }


def _measured(todo: list, repeats: int = 1) -> list[dict[str, Any]]:
    from benchmarks import step_cells

    rows = []
    for cell in todo:
        found = [step_cells.measure_apart(cell) for _ in range(repeats)]
        rows.append(median_row(found))
        print(step_table.table(rows[-1:]).splitlines()[1], flush=True)
    return rows


def _large(
    precisions: list[str], batch: int, steps: int, takes: int
) -> list[dict[str, Any]]:
    from benchmarks import step_cells

    if not steps:
        return []
    return [
        step_cells.measure_large_apart(precision, batch, steps, takes)
        for precision in precisions
    ]


if __name__ == "__main__":
    define_flags()
    program.run(main)
