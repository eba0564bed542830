"""Polygons as class masks, at any um/px and for any window.

In: valid (Multi)Polygons in px of a slide's level 0, with class ids. Out:
uint8 [height, width] class ids; 255 where nothing is drawn.

A pixel of the grid at X um/px (that of `slides.py`) has the class of the
smallest polygon that holds its centre, as annotations are nested: a gland in a
tumour in the tissue. Parts of a MultiPolygon count each by itself: glands that
were merged are glands still. Of equal sizes the later wins. Shapes of id 255
(QuPath's "Ignore*") win over all they cover, whatever their size. Even-odd rule
along the row through the centres, computed from absolute coordinates alone:
windows fit together to the pixel.
"""

from collections.abc import Sequence

import numpy as np
import shapely

from histogan_tf.data.classes import IGNORE


class Shapes:
    """Polygons with class ids, ready to be painted.

    `mpp` is the um/px of their coordinates.
    """

    def __init__(
        self, shapes: Sequence[tuple[shapely.Geometry, int]], mpp: float
    ) -> None:
        parts = [
            (part, identity)
            for shape, identity in shapes
            for part in shapely.get_parts(shape)
        ]
        # Python's sort is stable: equal areas stay in the order given.
        ordered = sorted(parts, key=lambda p: (p[1] == IGNORE, -p[0].area))
        self.mpp = mpp
        self.shapes = tuple(shape for shape, _ in ordered)
        self.ids = tuple(identity for _, identity in ordered)
        self._tree = shapely.STRtree(list(self.shapes))
        self._edges = [_edges(shape) for shape in self.shapes]

    def meeting(
        self, top: float, left: float, bottom: float, right: float
    ) -> list[tuple[np.ndarray, int]]:
        """Edges and class ids of what may lie in a box, the winner last."""
        found = np.sort(self._tree.query(shapely.box(left, top, right, bottom)))
        return [(self._edges[n], self.ids[n]) for n in found]


def rasterise(
    shapes: Shapes, row: int, column: int, height: int, width: int, mpp: float
) -> np.ndarray:
    """Paints a window of the grid at `mpp` um/px.

    Args:
      shapes: what to paint.
      row, column: first pixel of the window; any integers.
      height, width: its size in px, >= 1.
      mpp: um/px, > 0.

    Returns:
      uint8 [height, width]: class ids, 255 = not annotated.
    """
    out = np.full((height, width), IGNORE, np.uint8)
    factor = mpp / shapes.mpp
    box = (row, column, row + height, column + width)
    for edges, identity in shapes.meeting(*(edge * factor for edge in box)):
        scaled = edges / factor
        # Only where the shape lies: cells are many, and windows large.
        top, left, bottom, right = _around(scaled, *box)
        if top < bottom and left < right:
            part = out[top - row : bottom - row, left - column : right - column]
            part[_holds(scaled, top, left, bottom, right)] = identity
    return out


def _around(
    edges: np.ndarray, top: int, left: int, bottom: int, right: int
) -> tuple[int, int, int, int]:
    """What of a box the edges surround."""
    x, y = edges[:, [0, 2]], edges[:, [1, 3]]
    return (
        max(top, int(np.floor(y.min()))),
        max(left, int(np.floor(x.min()))),
        min(bottom, int(np.ceil(y.max()))),
        min(right, int(np.ceil(x.max()))),
    )


def _edges(shape: shapely.Geometry) -> np.ndarray:
    """Edges of all rings, float64 [n, 4]: x, y of the upper end, the lower."""
    found = [np.empty((0, 4))]
    for ring in shapely.get_rings(shape):
        points = shapely.get_coordinates(ring)
        found.append(np.concatenate([points[:-1], points[1:]], axis=1))
    edges = np.concatenate(found)
    upward = edges[:, 1] > edges[:, 3]
    edges[upward] = edges[upward][:, [2, 3, 0, 1]]
    return edges


def _holds(
    edges: np.ndarray, top: int, left: int, bottom: int, right: int
) -> np.ndarray:
    """Which centres lie inside, bool; edges in px of the grid."""
    # Edge e crosses the centre lines of rows first[e] to last[e] - 1.
    first, last = (
        np.ceil(edges[:, k] - 0.5).clip(top, bottom).astype(int) for k in (1, 3)
    )
    counts = last - first
    which = np.repeat(np.arange(len(edges)), counts)
    before = np.repeat(np.cumsum(counts) - counts, counts)
    rows = np.arange(len(which)) - before + first[which]
    x0, y0, x1, y1 = edges[which].T
    crossing = x0 + (rows + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
    # It turns every pixel whose centre is not left of it.
    places = np.ceil(crossing - 0.5).clip(left, right).astype(int) - left
    wide = right - left + 1
    turns = np.bincount(
        (rows - top) * wide + places, minlength=(bottom - top) * wide
    ).reshape(-1, wide)
    return np.cumsum(turns[:, :-1], axis=1) % 2 == 1
