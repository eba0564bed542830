"""What the train step's benchmark says of its figures, and its chart.

In: a row a cell (`step_cells.py`): over precisions and batches, over sides of
the images, and those of the large GAN. Out: a table, PASS or MISS a target, a
PNG.
"""

import pathlib
from typing import Any

from benchmarks import machine

SHARE, SPEED_UP, FIRST_STEP = 0.45, 1.6, 40.0
TIMES_LARGE = 30.0
MEMORY_MIB, MEMORY_SIDE = 2e9 / 2**20, 1024
# The memory of a stage may differ by this over sides of the images.
CONSTANT = 1.1


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
    speeds: list[dict[str, Any]],
    memories: list[dict[str, Any]],
    large: list[dict[str, Any]],
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
    for row in _of(memories, crop=256, side=MEMORY_SIDE):
        used = row["process_memory_mib"]
        text = f"crops of 256 px, images of {MEMORY_SIDE}: {used:.0f} MiB"
        out.append(_line(text, used <= MEMORY_MIB))
    out += _against(speeds, large)
    slowest = max(row["first_step_after_seconds"] for row in speeds)
    text = f"first step {slowest:.0f} s after start, at the most"
    return [*out, _line(text, slowest <= FIRST_STEP)]


def _against(speeds: list[dict], large: list[dict]) -> list[str]:
    out = []
    for row in _of(speeds, crop=256, batch=min(r["batch"] for r in speeds)):
        for rival in _of(large, precision=row["precision"]):
            speed = row["megapixels_per_second"]
            times = speed / rival["megapixels_per_second"]
            text = (
                f"crops of 256 px, {row['precision']}, batch {row['batch']}:"
                f" {speed:.3f} Mpx/s, {times:.1f} times the large GAN's"
            )
            out.append(_line(text, times >= TIMES_LARGE))
    return out


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
    left.set_xticks(sorted({r["stage"] for r in speeds}))
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
