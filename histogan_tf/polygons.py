"""Polygons as a class mask, painted window by window.

In: (Multi)Polygons with class ids, in pixels of the canvas, (0, 0) at its top
left corner. Out: a `Source` of class ids.

A pixel belongs to the last shape that holds its centre. Each is decided by
absolute coordinates alone (even-odd rule along its row), so windows fit
together to the pixel whatever their grid.
"""

from collections.abc import Sequence

import numpy as np
import shapely

from histogan_tf.sources import Source


def source(
    height: int,
    width: int,
    shapes: Sequence[tuple[shapely.Geometry, int]],
    background: int = 0,
) -> Source:
    """The mask of shapes.

    Args:
      height, width: of the canvas.
      shapes: valid Polygons or MultiPolygons and their class ids, in the
        order in which they are painted; holes show what is below.
      background: id of pixels in no shape.
    """
    tree = shapely.STRtree([shape for shape, _ in shapes])
    edges = [_edges(shape) for shape, _ in shapes]

    def read(row: int, column: int, tall: int, wide: int) -> np.ndarray:
        out = np.full((tall, wide), background, np.uint8)
        window = shapely.box(column, row, column + wide, row + tall)
        for index in np.sort(tree.query(window)):
            inside = _holds(edges[index], row, column, tall, wide)
            out[inside] = shapes[index][1]
        return out

    return Source(height, width, read)


def _edges(shape: shapely.Geometry) -> np.ndarray:
    """All edges of all rings [n, 4]: x and y of the upper, then the lower."""
    rings = shapely.get_rings(shapely.get_parts(shape))
    found = [np.empty((0, 4))]
    for ring in rings:
        points = shapely.get_coordinates(ring)
        both = np.concatenate([points[:-1], points[1:]], axis=1)
        turned = both[:, 1] > both[:, 3]
        both[turned] = both[turned][:, [2, 3, 0, 1]]
        found.append(both)
    return np.concatenate(found)


def _holds(
    edges: np.ndarray, row: int, column: int, tall: int, wide: int
) -> np.ndarray:
    """Which pixels' centres lie inside, bool [tall, wide]."""
    # Rows whose centre line an edge crosses: [first, last).
    first = np.ceil(edges[:, 1] - 0.5).clip(row, row + tall).astype(int)
    last = np.ceil(edges[:, 3] - 0.5).clip(row, row + tall).astype(int)
    edge = np.repeat(np.arange(len(edges)), last - first)
    starts = np.cumsum(last - first) - (last - first)
    rows = np.arange(len(edge)) - np.repeat(starts - first, last - first)
    x0, y0, x1, y1 = edges[edge].T
    crossing = x0 + (rows + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
    # A crossing turns all pixels whose centre lies right of it.
    place = np.ceil(crossing - 0.5).clip(column, column + wide).astype(int)
    turns = np.zeros((tall, wide + 1), np.int64)
    np.add.at(turns, (rows - row, place - column), 1)
    return np.cumsum(turns[:, :wide], axis=1) % 2 == 1
