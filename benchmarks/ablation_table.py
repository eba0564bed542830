"""What the ablation prints, and its chart.

In: the cells' results. Out: Dice on the validation images, and what leaving
out a part costs: paired differences with two intervals (`semi_statistics`),
seeds and images drawn again, and the careful one, t over seeds and patients.
"""

import pathlib
from collections.abc import Iterator

import numpy as np

from benchmarks import machine
from benchmarks import semi_statistics as statistics
from benchmarks.semi_statistics import VALIDATION, Patients, Result


def parts_of(results: list[Result]) -> list[tuple[str, int]]:
    """Parts and numbers of labels, in the order of first appearance."""
    return list(dict.fromkeys((r["method"], r["labels"]) for r in results))


def lines(
    results: list[Result], whole: str, patient: Patients
) -> Iterator[str]:
    """The table."""
    yield (
        "Dice x 100 on the validation patients, and the difference to the"
        " whole method (95 % intervals: images and seeds drawn again; t over"
        " patients and seeds)"
    )
    for part, labels in parts_of(results):
        cells = statistics.of(results, "native", part, labels)
        found = statistics.summary(cells, "dice", VALIDATION)
        base = statistics.of(results, "native", whole, labels)
        gap = statistics.difference(cells, base, "dice", VALIDATION)
        text = f"{labels} labels  {part:24}{100 * found.mean:6.1f}"
        if part != whole and gap:
            ranges = [_range(gap.low, gap.high)]
            careful = gap.by_both(patient)
            ranges += [_range(*careful)] if careful else []
            text += (
                f"  {100 * gap.mean:+5.1f}  ({'; '.join(ranges)}),"
                f" {gap.seeds} seeds"
            )
        yield text


def _range(low: float, high: float) -> str:
    return f"{100 * low:+.1f} to {100 * high:+.1f}"


def chart(
    path: pathlib.Path, results: list[Result], whole: str, patient: Patients
) -> None:
    """A bar a part: its difference to the whole; the careful interval thin."""
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
        careful = 100 * np.array(gap.by_both(patient) or (np.nan, np.nan))
        axes.plot(careful, [place] * 2, "C0", lw=1)
        axes.plot([100 * gap.low, 100 * gap.high], [place] * 2, "C0", lw=3)
        axes.plot([100 * gap.mean], [place], "C0o")
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.axvline(0, color="k", lw=1)
    axes.set_xlabel(f"points of Dice, without the part - {whole}")
    machine.write_chart(path, figure, dpi=120)
