"""What the ablation prints, and its chart.

In: the cells' results. Out: Dice on the validation images, and what leaving
out a part costs: paired differences over images and seeds.
"""

import pathlib
from collections.abc import Iterator

from benchmarks import machine
from benchmarks import semi_statistics as statistics
from benchmarks.semi_statistics import VALIDATION, Result


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
        base = statistics.of(results, "native", whole, labels)
        gap = statistics.difference(cells, base, "dice", VALIDATION)
        text = f"{labels} labels  {part:24}{100 * found.mean:6.1f}"
        if part != whole and gap:
            text += (
                f"  {100 * gap.mean:+5.1f}  ({100 * gap.low:+.1f} to"
                f" {100 * gap.high:+.1f}), {gap.seeds} seeds"
            )
        yield text


def chart(path: pathlib.Path, results: list[Result], whole: str) -> None:
    """A bar a part: its difference to the whole method, with interval."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = []
    for part, labels in parts_of(results):
        cells, base = (
            statistics.of(results, "native", name, labels)
            for name in (part, whole)
        )
        gap = statistics.difference(cells, base, "dice", VALIDATION)
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
