"""What the train step's benchmark says of its figures, and its chart.

In: a row a cell (`step_cells.py`): over precisions and batches, over sides of
the images, and those of the large GAN. Out: shares of one peak for the whole
run, a table, PASS or MISS a target, a PNG.
"""

import pathlib
from typing import Any

from benchmarks import machine

SHARE, SPEED_UP, FIRST_STEP = 0.45, 1.6, 40.0
TIMES_LARGE = 30.0
MEMORY_MIB, MEMORY_SIDE = 2e9 / 2**20, 1024
# The memory of a stage may differ by this over sides of the images.
CONSTANT = 1.1


def peaks(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The most that any row's convolution did, GFLOP/s, by precision.

    What a row measures in its two seconds is also others' work on the machine:
    the best of a run is nearest to what the machine can do.
    """
    found: dict[str, float] = {}
    for row in rows:
        best = max(found.get(row["precision"], 0.0), row["peak_gflops"])
        found[row["precision"]] = best
    return found


def shared(
    rows: list[dict[str, Any]], best: dict[str, float]
) -> list[dict[str, Any]]:
    """The rows with their share of the run's peak, not of their own."""
    return [
        row
        | {
            "share_of_peak": round(
                row["convolution_gflop_per_step"]
                / row["seconds_per_step"]
                / best[row["precision"]],
                4,
            )
        }
        for row in rows
    ]


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
        out += _steady(stage, _of(memories, stage=stage))
    for row in _of(memories, crop=256, side=MEMORY_SIDE):
        used = row["process_memory_mib"]
        text = f"crops of 256 px, images of {MEMORY_SIDE}: {used:.0f} MiB"
        out.append(_line(text, used <= MEMORY_MIB))
    out += _against(speeds, large)
    slowest = max(row["first_step_after_seconds"] for row in speeds)
    text = f"first step {slowest:.0f} s after start, at the most"
    return [*out, _line(text, slowest <= FIRST_STEP)]


def _steady(stage: int, rows: list[dict]) -> list[str]:
    """Whether memory stays over the images' sides, the step's and in all."""
    if len(rows) < 2:
        return []
    sides = f"{rows[0]['side']} to {rows[-1]['side']} px"
    out = []
    for name in ("step", "process"):
        used = [row[f"{name}_memory_mib"] for row in rows]
        ratio = max(used) / max(min(used), 1e-9)
        text = f"stage {stage}, {name}'s memory over images of {sides}:"
        out.append(_line(f"{text} {ratio:.2f} times", ratio <= CONSTANT))
    return out


def all_stages(speeds: list[dict], precision: str, batch: int) -> float | None:
    """Megapixels of the finest scale a second when every stage reads them.

    The tissue has a quarter of the pixels at each coarser stage. None: not
    every stage was measured.
    """
    rows = _of(speeds, precision=precision, batch=batch)
    last = max(row["stage"] for row in speeds)
    if {row["stage"] for row in rows} != set(range(last + 1)):
        return None
    return 1.0 / sum(
        4.0 ** (row["stage"] - last) / row["megapixels_per_second"]
        for row in rows
    )


def _against(speeds: list[dict], large: list[dict]) -> list[str]:
    """The finest stage's step, which the target is of, and all stages'."""
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
            whole = all_stages(speeds, row["precision"], row["batch"])
            if whole:
                times = whole / rival["megapixels_per_second"]
                out.append(
                    f"  all stages over the same tissue: {whole:.3f} Mpx/s,"
                    f" {times:.1f} times the large GAN's"
                )
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

    count = 2 if memories else 1
    figure, axes = pyplot.subplots(
        1, count, figsize=(5 * count, 4), layout="constrained", squeeze=False
    )
    _shares(axes[0, 0], speeds)
    if memories:
        _memories(axes[0, 1], memories)
    machine.write_chart(path, figure)


def _memories(axes: Any, rows: list[dict[str, Any]]) -> None:
    """A line a stage over the images' sides."""
    for stage in sorted({row["stage"] for row in rows}):
        some = _of(rows, stage=stage)
        sides = [row["side"] for row in some]
        used, whole = (
            [row[f"{name}_memory_mib"] for row in some]
            for name in ("step", "process")
        )
        (line,) = axes.plot(sides, used, marker="o", label=f"stage {stage}")
        axes.plot(sides, whole, color=line.get_color(), linestyle=":")
    axes.set(
        xlabel="side of the images, px",
        ylabel="memory of a step (dotted: process), MiB",
    )
    axes.set_xticks(sorted({row["side"] for row in rows}))
    # Room for the legend above all lines.
    axes.set_ylim(bottom=0, top=1.2 * axes.get_ylim()[1])
    axes.legend(fontsize=8, ncols=4, loc="upper center")


def _shares(axes: Any, rows: list[dict[str, Any]]) -> None:
    """A bar a row, by stage, precision and batch, which stands above it."""
    colours = {"float32": "C0", "bfloat16": "C1"}
    most = max(len(_of(rows, stage=row["stage"])) for row in rows)
    for stage in {row["stage"] for row in rows}:
        ranked = sorted(
            _of(rows, stage=stage),
            key=lambda row: (
                list(colours).index(row["precision"]),
                row["batch"],
            ),
        )
        for place, row in enumerate(ranked):
            left, share = stage + place / (most + 1), 100 * row["share_of_peak"]
            axes.bar(
                left, share, 1 / (most + 1), color=colours[row["precision"]]
            )
            axes.text(left, share, row["batch"], ha="center", va="bottom")
    for precision in sorted({row["precision"] for row in rows}, reverse=True):
        axes.bar(0, 0, color=colours[precision], label=precision)
    axes.set(xlabel="stage", ylabel="% of the best convolution")
    axes.set_xticks(sorted({row["stage"] for row in rows}))
    axes.axhline(100 * SHARE, color="grey", linestyle=":")
    axes.set_ylim(top=1.3 * axes.get_ylim()[1])
    axes.legend(fontsize=8, ncols=2, title="above the bars: images of a step")
