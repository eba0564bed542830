"""Objects of a class mask as rows of a table: area, perimeter, centroid.

In: class mask uint8 [H, W], the class table, um/px. Out: an `Instance` for each
object that `outlines.py` would draw, with the number that its name has there,
in um from the mask's top left corner or, of slides, from where QuPath counts.

Area counts the object's pixels. Perimeter is the length of its outer border as
`outlines.outline` draws it, holes left out: exact for rectangles, a few per
cent long for round objects. Centroid is the mean of its pixels' centres.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np
import shapely

from histogan_tf import outlines
from histogan_tf.data.classes import ClassTable


@dataclass(frozen=True)
class Instance:
    """One object; lengths in um, x to the right, y down."""

    id: int
    class_id: int
    class_name: str
    area_um2: float
    perimeter_um: float
    centroid_x_um: float
    centroid_y_um: float


def instances(
    mask: np.ndarray,
    table: ClassTable,
    chosen: Sequence[int],
    mpp: float,
    origin: tuple[float, float] = (0.0, 0.0),
    least_um2: float = 0.0,
) -> Iterator[Instance]:
    """Measures the objects of the chosen classes.

    Args:
      mask: uint8 [H, W], class ids.
      table: the classes, with the boundary that keeps objects apart.
      chosen: class ids that make objects.
      mpp: um/px of the mask.
      origin: y and x in um, from the mask's corner, that count as (0, 0).
      least_um2: smaller objects are left out.
    """
    top_um, left_um = origin
    found = outlines.objects(mask, table, chosen, least_um2 / mpp**2)
    for number, (info, inside, top, left) in enumerate(found, 1):
        rows, columns = np.nonzero(inside)
        yield Instance(
            number,
            info.id,
            info.name,
            len(rows) * mpp**2,
            _outer_length(outlines.outline(inside)) * mpp,
            (columns.mean() + left + 0.5) * mpp - left_um,
            (rows.mean() + top + 0.5) * mpp - top_um,
        )


def to_csv(rows: Iterator[Instance]) -> str:
    """The table with its head; six significant digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(Instance)])
    for row in rows:
        writer.writerow(
            f"{value:.6g}" if isinstance(value, float) else value
            for value in astuple(row)
        )
    return text.getvalue()


def _outer_length(shape: shapely.Geometry) -> float:
    parts = shapely.get_parts(shape)
    areas = parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON]
    return float(shapely.length(shapely.get_exterior_ring(areas)).sum())
