"""What the ablation prints, and its chart.

In: the cells' results. Out: Dice on the validation images, and what leaving
out a part costs: paired differences over images and seeds; what painting
buys where nothing else but real labels teaches.
"""

import pathlib
from collections.abc import Iterator

from benchmarks import machine
from benchmarks import semi_statistics as statistics
from benchmarks.semi_statistics import VALIDATION, Difference, Result

# Their difference is painting alone.
_PAINTED, _BARE = "no_pseudo_labels", "real_labels_only"


def parts_of(results: list[Result]) -> list[tuple[str, int]]:
    """Parts and numbers of labels, in the order of first appearance."""
    return list(dict.fromkeys((r["method"], r["labels"]) for r in results))


def lines(results: list[Result], whole: str) -> Iterator[str]:
    """The table."""
    yield (
        "Dice x 100 on the validation patients, and the difference to the"
        " whole method (95 % interval over images and seeds)"
    )
    for part, labels in parts_of(results):
        cells = statistics.of(results, "native", part, labels)
        found = statistics.summary(cells, "dice", VALIDATION)
        text = f"{labels} labels  {part:24}{100 * found.mean:6.1f}"
        gap = _gap(results, part, whole, labels)
        yield text if part == whole or gap is None else f"{text}  {_text(gap)}"
    for labels in dict.fromkeys(labels for _, labels in parts_of(results)):
        gap = _gap(results, _PAINTED, _BARE, labels)
        if gap:
            yield f"{labels} labels  painting alone buys   {_text(gap)}"


def _gap(
    results: list[Result], part: str, other: str, labels: int
) -> Difference | None:
    one, two = (
        statistics.of(results, "native", m, labels) for m in (part, other)
    )
    return statistics.difference(one, two, "dice", VALIDATION)


def _text(gap: Difference) -> str:
    return (
        f"{100 * gap.mean:+5.1f}  ({100 * gap.low:+.1f} to"
        f" {100 * gap.high:+.1f}), {gap.seeds} seeds"
    )


def chart(path: pathlib.Path, results: list[Result], whole: str) -> None:
    """A bar a part: its difference to the whole method, with interval."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = []
    for part, labels in parts_of(results):
        gap = _gap(results, part, whole, labels)
        if part != whole and gap:
            rows.append((f"{part} ({labels})", gap))
    figure = Figure(figsize=(7, 1.2 + 0.4 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for place, (_, gap) in enumerate(rows):
        axes.plot([100 * gap.low, 100 * gap.high], [place] * 2, "C0", lw=2)
        axes.plot([100 * gap.mean], [place], "C0o")
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.axvline(0, color="k", lw=1)
    axes.set_xlabel(f"points of Dice, without the part - {whole}")
    machine.write_chart(path, figure, dpi=120)
