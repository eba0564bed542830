r"""How fast is a train step, what share of the machine, how much memory?

    python -m benchmarks.train_step [--preset base] [--batches 2,8]
        [--precisions float32,bfloat16] [--sides 256,512,1024,2048]

In: nothing but random tiles. Out: for every stage, precision and batch size
the megapixels a second, the share of what this machine's best convolution
(3x3, 128 channels, same type, same process) does, memory, and the seconds from
a process's start to the end of its first step. A second table, over sides of
the images that crops are cut from, shows that a stage's memory depends on its
crop only. Tables, `--results` (JSON) and a chart beside it.

Targets: 45 % of the peak at every stage in bfloat16; bfloat16 1.6 times as
fast as float32; at 256x256 px 30 times the 0.004 megapixel/s of a mask-to-image
GAN of 70 M parameters; the first step within 40 s.
"""

import pathlib
import shlex
import sys
import time
from collections.abc import Iterable
from typing import Any

from absl import flags

# So that it also runs by path, as python benchmarks/train_step.py.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from benchmarks import machine
from histogan_tf import presets, program

SHARE, SPEED_UP, FIRST_STEP = 0.45, 1.6, 40.0
RIVAL = 30 * 0.004  # megapixel/s at crops of 256 px
# The memory of a stage may differ by this over sides of the images.
CONSTANT = 1.1


def define_flags() -> None:
    """Only as a program: tests import programs with flags of these names."""
    flags.DEFINE_enum(
        "preset", "base", sorted(presets.PRESETS), "whose stages are measured"
    )
    flags.DEFINE_list("batches", ["2", "8"], "images of a step")
    flags.DEFINE_list("precisions", ["float32", "bfloat16"], "arithmetic")
    flags.DEFINE_list(
        "sides", ["256", "512", "1024", "2048"], "of images, px; may be empty"
    )
    flags.DEFINE_integer("steps", 3, "timed train steps of a cell", 1)
    flags.DEFINE_float("peak_seconds", 2.0, "of a cell's convolution", 0.0)
    flags.DEFINE_string(
        "results",
        str(machine.RESULTS / "train_step.json"),
        "file of figures; the chart is written beside it",
    )


def main() -> None:
    """Reads the flags, measures cell by cell, writes and prints."""
    values = flags.FLAGS
    start = time.monotonic()
    batches, sides = (numbers(n, values[n].value) for n in ("batches", "sides"))
    allowed("precisions", values.precisions, ("float32", "bfloat16"))
    common = {"steps": values.steps, "peak_seconds": values.peak_seconds}
    first = cells(values.preset, values.precisions, batches, common)
    second = side_cells(values.preset, min(batches), sides, common)
    speeds, memories = _measured(first), _measured(second)
    words = ["python", "-m", "benchmarks.train_step", *sys.argv[1:]]
    result = {
        "command": shlex.join(words),
        **machine.describe(),
        "protocol": {
            "preset": values.preset,
            "seconds_in_all": round(time.monotonic() - start, 1),
            "timed": f"{values.steps} steps on one batch after one that"
            " traces, a process for each row",
            "targets": {
                "share_of_peak": SHARE,
                "bfloat16_over_float32": SPEED_UP,
                "first_step_seconds": FIRST_STEP,
            },
        },
        "steps": speeds,
        "sides": memories,
    }
    path = pathlib.Path(values.results)
    machine.write_json(path, result)
    chart(path.with_suffix(".png"), speeds, memories)
    print(table(speeds + memories), *verdicts(speeds, memories), sep="\n")
    print(f"{path}\n{path.with_suffix('.png')}")


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
    common: dict[str, Any],
) -> list:
    """Every stage in every precision with every batch."""
    from benchmarks.step_cells import Cell

    count = len(presets.PRESETS[preset]().stages)
    return [
        Cell(preset, stage, precision, batch, **common)
        for stage in range(count)
        for precision in precisions
        for batch in batches
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


def _measured(todo: list) -> list[dict[str, Any]]:
    from benchmarks import step_cells

    rows = []
    for cell in todo:
        rows.append(step_cells.measure_apart(cell))
        print(table(rows[-1:]).splitlines()[1], flush=True)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """A line a cell."""
    out = [
        "stage  precision  batch  crop   side  Mpx/s    share of peak"
        "  step MiB  process MiB  first step s"
    ]
    for row in rows:
        out.append(
            f"{row['stage']:5}  {row['precision']:9}  {row['batch']:5}"
            f"  {row['crop']:4}  {row['side']:5}"
            f"  {row['megapixels_per_second']:7.4f}"
            f"  {row['share_of_peak']:13.2f}"
            f"  {row['step_memory_mib']:8.0f}"
            f"  {row['process_memory_mib']:11.0f}"
            f"  {row['first_step_after_seconds']:12.1f}"
        )
    return "\n".join(out)


def verdicts(
    speeds: list[dict[str, Any]], memories: list[dict[str, Any]]
) -> list[str]:
    """A line a target, with PASS or MISS."""
    out = []
    for stage in sorted({row["stage"] for row in speeds}):
        best = {
            precision: max(rows, key=lambda r: r["megapixels_per_second"])
            for precision in ("float32", "bfloat16")
            if (rows := _of(speeds, stage=stage, precision=precision))
        }
        if "bfloat16" in best:
            share = best["bfloat16"]["share_of_peak"]
            text = f"stage {stage}, bfloat16: {share:.0%} of the peak"
            out.append(_line(text, share >= SHARE))
        if len(best) == 2:
            fast, slow = (
                best[p]["megapixels_per_second"]
                for p in ("bfloat16", "float32")
            )
            text = f"stage {stage}, bfloat16 over float32: {fast / slow:.2f}"
            out.append(_line(text, fast / slow >= SPEED_UP))
        if len(sided := _of(memories, stage=stage)) > 1:
            used = [row["step_memory_mib"] for row in sided]
            sides = f"{sided[0]['side']} to {sided[-1]['side']} px"
            ratio = max(used) / max(min(used), 1e-9)
            text = f"stage {stage}, memory over images of {sides}: {ratio:.2f}"
            out.append(_line(f"{text} times", ratio <= CONSTANT))
    for row in _of(speeds, crop=256, batch=min(r["batch"] for r in speeds)):
        speed = row["megapixels_per_second"]
        text = f"crops of 256 px, {row['precision']}, batch {row['batch']}:"
        out.append(_line(f"{text} {speed:.3f} Mpx/s", speed >= RIVAL))
    slowest = max(row["first_step_after_seconds"] for row in speeds)
    text = f"first step {slowest:.0f} s after start, at the most"
    return [*out, _line(text, slowest <= FIRST_STEP)]


def _of(rows: list[dict[str, Any]], **wanted: Any) -> list[dict[str, Any]]:
    return [r for r in rows if all(r[k] == v for k, v in wanted.items())]


def _line(text: str, good: bool) -> str:
    return f"{text}  {'PASS' if good else 'MISS'}"


def chart(
    path: pathlib.Path,
    speeds: list[dict[str, Any]],
    memories: list[dict[str, Any]],
) -> None:
    """Share of the peak by stage, and memory by side of the images: a PNG."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(10, 4), layout="constrained"
    )
    kinds = sorted({(r["precision"], r["batch"]) for r in speeds})
    for place, (precision, batch) in enumerate(kinds):
        rows = _of(speeds, precision=precision, batch=batch)
        left.bar(
            [r["stage"] + place / (len(kinds) + 1) for r in rows],
            [100 * r["share_of_peak"] for r in rows],
            1 / (len(kinds) + 1),
            label=f"{precision}, batch {batch}",
        )
    left.set(xlabel="stage", ylabel="% of the best convolution")
    left.axhline(100 * SHARE, color="grey", linestyle=":")
    left.legend(fontsize=8)
    for stage in sorted({r["stage"] for r in memories}):
        rows = _of(memories, stage=stage)
        used = [r["step_memory_mib"] for r in rows]
        right.plot(
            [r["side"] for r in rows], used, marker="o", label=f"stage {stage}"
        )
    right.set(xlabel="side of the images, px", ylabel="memory of a step, MiB")
    right.set_ylim(bottom=0)
    if memories:
        right.legend(fontsize=8)
    machine.write_chart(path, figure)


if __name__ == "__main__":
    define_flags()
    program.run(main)
