"""The fidelity benchmark's verdicts, its table and its chart.

In: the figures (`fidelity_scores.py`). Out: lines that pass or miss the
target; a table as text; a chart of the figures alone (no tissue: the data's
licence does not let it go into the repository).
"""

import pathlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.fidelity_scores import STATISTICS

DICE_TARGET, RATIO_TARGET = 0.85, 2.5
TARGET_CLASS = "gland"


@dataclass(frozen=True)
class Line:
    """One row of the table: a figure for each method, and the target."""

    text: str
    values: dict[str, float | None]
    target: float
    at_least: bool
    floor: float | None = None

    def verdict(self, method: str) -> str:
        """PASS or MISS of a method; MISS where there is no figure."""
        value = self.values.get(method)
        if value is None:
            return "MISS"
        good = value >= self.target if self.at_least else value <= self.target
        return "PASS" if good else "MISS"


def lines(scores: dict[str, Any]) -> list[Line]:
    """The rows of the table, from the file of scores."""
    methods = scores["methods"]
    out = []
    first = next(iter(methods.values()))
    classes = first["mask_consistency"]["classes"]
    place = classes.index(TARGET_CLASS) if TARGET_CLASS in classes else -1
    for key, text in (("dice", "pooled"), ("image_dice", "per image")):
        values = {
            name: method["mask_consistency"][key][place]
            for name, method in methods.items()
        }
        on_real = scores["judge_on_real"][key][place]
        text = f"mask consistency, Dice of {classes[place]}, {text}"
        out.append(Line(text, values, DICE_TARGET, True, on_real))
    for statistics in STATISTICS:
        for stage, row in enumerate(first["sliced_wasserstein"][statistics]):
            for level, floor in enumerate(row["floor"]):
                values = {
                    name: method["sliced_wasserstein"][statistics][stage][
                        "ratio"
                    ][level]
                    for name, method in methods.items()
                }
                text = (
                    f"SWD / floor ({statistics}), stage {stage},"
                    f" {row['mpp'] * 2**level:g} um/px"
                )
                out.append(Line(text, values, RATIO_TARGET, False, floor))
    return out


def table(rows: Sequence[Line]) -> str:
    """The rows as text; the verdicts are the first method's."""
    names = list(rows[0].values)
    widths = [max(len(n), 8) for n in names]
    length = max(len(row.text) for row in rows)
    head = [
        f"{'':{length}}",
        *(f"{n:>{w}}" for n, w in zip(names, widths, strict=True)),
        f"{'real':>8}",
        f"{'target':>8}",
    ]
    out = ["  ".join(head)]
    for row in rows:
        target = f"{'>=' if row.at_least else '<='} {row.target:g}"
        cells = [
            f"{row.text:{length}}",
            *(
                f"{number(row.values[n]):>{w}}"
                for n, w in zip(names, widths, strict=True)
            ),
            f"{number(row.floor):>8}",
            f"{target:>8}",
            row.verdict(names[0]),
        ]
        out.append("  ".join(cells))
    note = (
        "real: the judge's Dice on the real images; the floor of SWD x 1000,"
        " real against real"
    )
    return "\n".join([*out, note])


def number(value: float | None) -> str:
    """Three digits, or a dash where there is no figure."""
    return "-" if value is None else f"{value:.3f}"


def chart(path: pathlib.Path, rows: Sequence[Line]) -> None:
    """Bars of every row: a PNG with figures only."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    parts = [
        [row for row in rows if row.at_least],
        *([r for r in rows if f"({name})" in r.text] for name in STATISTICS),
    ]
    sizes = [max(len(part), 2) for part in parts]
    figure, axes = pyplot.subplots(
        1, 3, figsize=(15, 5), width_ratios=sizes, layout="constrained"
    )
    titles = ["mask consistency (Dice)"]
    titles += [f"SWD / floor, {name}" for name in STATISTICS]
    for axis, part, title in zip(axes, parts, titles, strict=True):
        _bars(axis, part)
        axis.set_title(title)
    axes[0].set_ylim(0, 1)
    for axis in axes[1:]:
        axis.set_yscale("log")
        # 1 is the floor; bars on a logarithmic axis need a fixed foot.
        axis.set_ylim(bottom=0.8)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5)
    machine.write_chart(path, figure)


def _bars(axis, rows: Sequence[Line]) -> None:
    names = list(rows[0].values)
    places = np.arange(len(rows))
    for index, name in enumerate(names):
        heights = [row.values[name] or 0.0 for row in rows]
        offset = (index - (len(names) - 1) / 2) * 0.8 / len(names)
        axis.bar(places + offset, heights, 0.8 / len(names), label=name)
    if rows[0].at_least:
        for place, row in zip(places, rows, strict=True):
            axis.hlines(
                row.floor, place - 0.45, place + 0.45, color="k", ls=":",
                label="judge on real images" if place == 0 else None,
            )  # fmt: skip
    axis.axhline(rows[0].target, color="k", lw=1, label="target")
    labels = [row.text.split(", ", 1)[1].replace(", ", "\n") for row in rows]
    axis.set_xticks(places, labels, fontsize=8)
