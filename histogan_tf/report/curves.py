"""Training curves as inline SVG.

In: `Curve`s by name. Out: an `<svg>` element with axes and lines alone, in
`currentColor` where it is not a line, so that it follows the page's light or
dark scheme. Titles and legends are the page's (HTML): names need no escaping
here, and long ones can wrap.

Curves of more than 150 points are shown as the mean of as many bins, over a
band from each bin's least to its greatest value.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from histogan_tf.report.facts import Curve

COLORS = (
    "#3b82d6", "#e07b28", "#2f9e68", "#c94f8c", "#8a63d2", "#a08a1c",
    "#2a9db0", "#d1495b",
)  # fmt: skip
POINTS = 150

_INK = "#010203"  # a colour no line has, turned into currentColor


@dataclass(frozen=True)
class Axis:
    """Limits of the values' axis; None: from the data.

    clip: where single values tower more than threefold above the 99th
    percentile, end the axis 10 % above that (`top`) and begin it at 0.
    """

    low: float | None = None
    high: float | None = None
    clip: bool = False


def svg(curves: Sequence[Curve], axis: Axis) -> str:
    """Draws curves in the order of `COLORS`.

    Args:
      curves: one or more; empty ones leave out their colour.
      axis: of the values; the other axis is the step.

    Returns:
      `<svg>...</svg>`, without ids, links, metadata or outside references.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    # The salt makes ids, and so the page's bytes, the same every time.
    style: Any = {"svg.fonttype": "none", "svg.hashsalt": "", "font.size": 8}
    with rc_context(style):
        figure = Figure(figsize=(4.2, 2.3), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        for index, curve in enumerate(curves):
            _line(axes, curve, COLORS[index % len(COLORS)])
        _frame(axes, curves, axis)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True)
    return tidy(buffer.getvalue())


def bins(curve: Curve, count: int = POINTS) -> np.ndarray:
    """Step, mean, least and greatest value per bin: float64 [4, <= count]."""
    pairs = np.array([curve.steps, curve.values], np.float64)
    parts = np.array_split(pairs, min(count, pairs.shape[1]), axis=1)
    return np.array(
        [
            (steps.mean(), values.mean(), values.min(), values.max())
            for steps, values in parts
        ]
    ).T


def top(curves: Sequence[Curve]) -> float | None:
    """Where a clipped axis ends; None where the greatest value fits."""
    values = np.concatenate([np.asarray(c.values) for c in curves])
    end = float(np.percentile(values, 99)) if values.size else 0.0
    return 1.1 * end if end > 0 and values.max() > 3 * end else None


def tidy(text: str) -> str:
    """Matplotlib's file as an element to stand among others in a page.

    Name spaces, metadata and unused ids go; the ids that are used are the
    same for the same shape, so that repeating them in a page does no harm.
    """
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    # It says `*`, which is the whole page's.
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    text = text.replace("xlink:href", "href").replace(_INK, "currentColor")
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', text))
    text = re.sub(
        r' id="([^"]*)"', lambda m: m[0] if m[1] in used else "", text
    )
    text = re.sub(r" *font-family: [^;\"]*;?", "", text)
    return re.sub(r"\n\s*", "\n", text).strip()


def _line(axes: Any, curve: Curve, color: str) -> None:
    if not curve.steps:
        return
    steps, mean, low, high = bins(curve)
    if len(curve.steps) > POINTS:
        axes.fill_between(steps, low, high, color=color, alpha=0.18, lw=0)
    few = "." if len(steps) <= 30 else ""
    axes.plot(steps, mean, few + "-", color=color, lw=1.4, ms=4)


def _frame(axes: Any, curves: Sequence[Curve], axis: Axis) -> None:
    low, high = axis.low, axis.high
    if axis.clip and (high := top(curves)) is not None:
        low = min(0.0, *(min(c.values) for c in curves if c.values))
    axes.set_ylim(low, high)
    axes.locator_params(axis="x", nbins=6)
    axes.set_xlabel("step", color=_INK)
    axes.grid(color=_INK, alpha=0.12, lw=0.6)
    axes.tick_params(which="both", colors=_INK, length=2.5)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(_INK)
        spine.set_alpha(0.4)
