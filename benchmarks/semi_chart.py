"""The chart of the semi-supervised benchmark.

In: the cells' results. Out: a PNG with a panel for each protocol and number
of labels, a row for each method: a dot a seed, a bar for their mean.
"""

import pathlib

from benchmarks import machine
from benchmarks import semi_statistics as statistics
from benchmarks.semi_statistics import Result

_OURS, _OTHER = "C3", "0.35"


def chart(
    path: pathlib.Path,
    results: list[Result],
    order: list[str],
    scores: dict[str, str],
) -> None:
    """Writes the chart.

    Args:
      path: of the PNG.
      results: of all cells.
      order: the methods, the first at the bottom.
      scores: of each protocol, by name.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    groups = [
        (protocol, labels)
        for protocol in scores
        for labels in statistics.labels_of(results, protocol)
    ]
    found = {r["method"] for r in results}
    methods = [m for m in order if m in found]
    size = (2.0 + 2.6 * len(groups), 1.2 + 0.34 * len(methods))
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    for axes, (protocol, labels) in zip(panels, groups, strict=True):
        score = scores[protocol]
        for row, method in enumerate(methods):
            cells = statistics.of(results, protocol, method, labels)
            values = [statistics.cell_mean(c, score) for c in cells.values()]
            _row(axes, row, values, method.startswith("histogan"))
        axes.set_title(f"{protocol}, {labels or 'all'} labels", fontsize=10)
        axes.set_xlabel(f"{score.replace('_', ' ')}, test images")
        axes.set_xlim(*_limits(results, protocol, score))
        axes.grid(axis="x", alpha=0.3)
    panels[0].set_yticks(range(len(methods)), methods)
    panels[0].set_ylim(-0.6, len(methods) - 0.4)
    machine.write_chart(path, figure, dpi=120)


def _limits(
    results: list[Result], protocol: str, score: str
) -> tuple[float, float]:
    """The same for all panels of a protocol."""
    values = [
        statistics.cell_mean(r, score)
        for r in results
        if r["protocol"] == protocol
    ]
    return min(values) - 0.02, max(values) + 0.02


def _row(axes, row: int, values: list[float], ours: bool) -> None:
    color = _OURS if ours else _OTHER
    axes.plot(values, [row] * len(values), "o", color=color, ms=4, alpha=0.7)
    if values:
        mean = sum(values) / len(values)
        axes.plot([mean], [row], "|", color=color, ms=16, mew=2)
