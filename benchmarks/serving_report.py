"""The serving benchmark's verdicts, its table and its chart.

In: the figures of `serving_measures.py`, all parts or some. Out: a table as
text that says PASS or MISS against issue 4's targets; a chart.
"""

import pathlib
from dataclasses import dataclass
from typing import Any

from benchmarks import machine

RATIO_512, DIFFERENCE_64 = 1.10, 3.0
BATCHING, MEMORY = 1.3, 1.1


def table(figures: dict[str, Any]) -> str:
    """All parts that were measured, one after the other."""
    parts = {
        "overhead": _overhead,
        "batching": _batching,
        "cold": _cold,
        "swaps": _swaps,
    }
    found = [
        part(figures[name]) for name, part in parts.items() if name in figures
    ]
    return "\n\n".join("\n".join(lines) for lines in found)


def _verdict(good: bool) -> str:
    return "PASS" if good else "MISS"


def _overhead(rows: list[dict[str, Any]]) -> list[str]:
    out = ["segment, one client   in process p50   server p50     p95     p99"]
    for row in rows:
        side, here, server = row["side"], row["in_process_ms"], row["server_ms"]
        more = row["p50_difference_ms"]
        line = (
            f"  {side:4} x {side:<4} px     {here[0]:11.2f} ms"
            f"  {server[0]:8.2f} ms {server[1]:7.2f} {server[2]:7.2f}"
            f"  ratio {row['p50_ratio']:.3f}, +{more:.2f} ms"
        )
        if side == 512:
            line += f"  {_verdict(row['p50_ratio'] <= RATIO_512)} <= 1.10x"
        if side == 64:
            line += f"  {_verdict(more <= DIFFERENCE_64)} <= 3 ms"
        out.append(line)
    return out


def _batching(rows: list[dict[str, Any]]) -> list[str]:
    out = [
        "batching       off: 1/s      p50     p95     p99     MiB"
        "   on: 1/s      p50     p95     p99     MiB  ratio"
    ]
    for row in rows:
        line = f"  {row['model']:14}"
        for state in ("off", "on"):
            found = row[state]
            line += (
                f"{found['per_second']:8.1f} {found['p50_ms']:8.2f}"
                f" {found['p95_ms']:7.2f} {found['p99_ms']:7.2f}"
                f" {found['memory_mib']:7.0f} "
            )
            if found["failed"]:
                line += f"{found['failed']} FAILED "
        out.append(f"{line} {row['ratio']:5.2f}")
    best = max(row["ratio"] for row in rows)
    out.append(f"  best ratio {best:.2f}  {_verdict(best >= BATCHING)} >= 1.3x")
    return out


def _cold(rows: list[dict[str, Any]]) -> list[str]:
    out = ["warm-up       start   first request   later p50      MiB"]
    for row in rows:
        state = "on" if row["warm_up"] else "off"
        out.append(
            f"  {state:5} {row['start_seconds']:9.1f} s"
            f" {row['first_ms']:12.1f} ms {row['later_ms'][0]:8.1f} ms"
            f" {row['memory_mib']:8.0f}"
        )
    return out


def _swaps(row: dict[str, Any]) -> list[str]:
    good = not row["failed"]
    small = row["memory_ratio"] <= MEMORY
    return [
        f"{row['requests']} requests, {row['clients']} clients,"
        f" {row['swaps']} swaps, {row['rollbacks']} rollback:"
        f" {row['failed']} failed  {_verdict(good)}",
        f"  {row['per_second']:.1f}/s, p50 {row['p50_ms']:.2f}, p95"
        f" {row['p95_ms']:.2f}, p99 {row['p99_ms']:.2f} ms; versions"
        f" {row['versions_that_answered']}",
        f"  memory {row['memory_before_mib']:.0f} MiB before (one version,"
        " warm, first requests answered),"
        f" {row['memory_most_mib']:.0f} at most,"
        f" {row['memory_after_mib']:.0f} after (one version left):"
        f" {row['memory_ratio']:.3f}x  {_verdict(small)} <= 1.1x",
    ]


def chart(path: pathlib.Path, figures: dict[str, Any]) -> None:
    """Throughput off and on, and latency here and there: a PNG."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    # A part that was not measured has no panel.
    panels = [p for p in (_throughput(figures), _latency(figures)) if p.names]
    figure, axes = pyplot.subplots(
        1,
        max(1, len(panels)),
        figsize=(5 * max(1, len(panels)), 4),
        layout="constrained",
        squeeze=False,
    )
    for axis, panel in zip(axes[0], panels, strict=False):
        _bars(axis, panel)
    machine.write_chart(path, figure)


@dataclass(frozen=True)
class _Panel:
    """Groups of two bars: their names, heights by label, the axis' name."""

    names: list[str]
    bars: dict[str, list[float]]
    label: str


def _throughput(figures: dict[str, Any]) -> _Panel:
    rows = figures.get("batching", [])
    bars = {
        f"batching {state}": [row[state]["per_second"] for row in rows]
        for state in ("off", "on")
    }
    names = [f"{row['model']}\n{row['ratio']:.2f}x" for row in rows]
    return _Panel(names, bars, "requests a second, all clients")


def _latency(figures: dict[str, Any]) -> _Panel:
    rows = figures.get("overhead", [])
    bars = {
        "in process": [row["in_process_ms"][0] for row in rows],
        "server": [row["server_ms"][0] for row in rows],
    }
    names = [f"segment {row['side']} px" for row in rows]
    return _Panel(names, bars, "p50, ms")


def _bars(axis, panel: _Panel) -> None:
    """On a logarithmic axis."""
    pairs = zip((-0.2, 0.2), panel.bars.items(), strict=True)
    for offset, (label, heights) in pairs:
        places = [place + offset for place in range(len(panel.names))]
        drawn = axis.bar(places, heights, 0.4, label=label)
        axis.bar_label(drawn, fmt="%.0f", fontsize=8)
    axis.set_yscale("log")
    axis.set_xticks(range(len(panel.names)), panel.names, fontsize=8)
    axis.set_ylabel(panel.label)
    axis.legend()
