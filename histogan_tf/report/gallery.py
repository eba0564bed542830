"""Image grids of the report, a block per stage.

In: `StageGrid`s. Out: HTML tables of pictures; columns are examples. Small
pictures are enlarged by whole factors, pixels repeated, to 200 px at most; big
ones are shown reduced until the reader asks for their full size.
"""

import numpy as np

from histogan_tf import pictures
from histogan_tf.report import markup
from histogan_tf.report.facts import Row, StageGrid
from histogan_tf.report.markup import Html, element

_MOST = 200  # px on the page


def section(grids: tuple[StageGrid, ...]) -> Html:
    """All grids, or what makes them."""
    shown = [_grid(grid) for grid in grids if grid.rows]
    if not shown:
        shown = [markup.missing("Pictures", "trainer.evaluate")]
    return markup.section("pictures", "Pictures", *shown)


def factor(width: int) -> int:
    """Whole factor by which a picture of this width is enlarged."""
    return max(1, _MOST // width)


def _grid(grid: StageGrid) -> Html:
    shapes = [image.shape for row in grid.rows for image in row.images]
    times = sorted({factor(width) for _, width, _ in shapes})
    note = f"{grid.mpp:g} µm/px"
    if times and times[-1] > 1:
        listed = " or ".join(f"{n}" for n in times)
        note += f", each pixel shown as a square of side {listed}"
    body = [
        element(
            "tr",
            element("th", row.label, scope="row"),
            *_cells(row, grid.columns),
        )
        for row in grid.rows
    ]
    head = []
    if grid.columns:
        names = (element("th", name) for name in grid.columns)
        head = [element("thead", element("tr", element("td"), *names))]
    table = element("table", *head, element("tbody", *body))
    zoom = []
    if any(factor(w) * w > _MOST for _, w, _ in shapes):
        box = element("input", type="checkbox", class_="zoom")
        zoom = [element("label", box, " full size")]
    return element(
        "div",
        element("h3", f"{grid.title} · {note}"),
        *zoom,
        element("div", table, class_="scroll"),
        class_="gallery",
    )


def _cells(row: Row, columns: tuple[str, ...]) -> list[Html]:
    names = columns or [f"example {i + 1}" for i in range(len(row.images))]
    return [
        element("td", _picture(image, f"{row.label}, {name}"))
        for image, name in zip(row.images, names, strict=True)
    ]


def _picture(image: np.ndarray, text: str) -> Html:
    times = factor(image.shape[1])
    big = pictures.magnify(image, times)
    height, width = big.shape[:2]
    return element(
        "img",
        src=markup.data_uri(big),
        alt=text,
        title=text,
        width=width,
        height=height,
        class_="pixels" if times > 1 else None,
    )
