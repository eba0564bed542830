"""What an annotation program drew, before it is held against a class table.

In: rings of coordinates. Out: Drawn annotations: (Multi)Polygons in px of
the slide's level 0 (x to the right, y down), which may still cross themselves.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import shapely
from shapely import affinity


@dataclasses.dataclass(frozen=True)
class Drawn:
    """One annotation.

    `names` are the classes it may stand for, the likeliest first; `certain`
    tells whether they are meant as classes, or just the object's name.
    `shape` is empty where nothing with an area was drawn; `labels` is false of
    a cell or another object that labels no tissue.
    """

    names: tuple[str, ...]
    certain: bool
    shape: shapely.Geometry
    labels: bool = True

    def moved(self, right: float, down: float) -> "Drawn":
        """The same, `right` and `down` px away."""
        shape = affinity.translate(self.shape, right, down)
        return dataclasses.replace(self, shape=shape)


def polygon(rings: Sequence[Sequence[Sequence[float]]]) -> shapely.Polygon:
    """A polygon of an outer ring and its holes.

    Args:
      rings: each a list of (x, y, ...), closed or not.

    Returns:
      An empty polygon where the outer ring has fewer than three points;
      holes of fewer than three are left out.

    Raises:
      ValueError, TypeError, IndexError, OverflowError: these are no finite
        coordinates.
    """
    found = [_points(ring) for ring in rings]
    if not found or len(found[0]) < 3:
        return shapely.Polygon()
    return shapely.Polygon(found[0], [p for p in found[1:] if len(p) > 2])


def _points(ring: Sequence[Sequence[float]]) -> np.ndarray:
    points = np.array([point[:2] for point in ring], np.float64)
    if points.size and not np.isfinite(points).all():
        raise ValueError("coordinates that are not finite")
    points = points.reshape(-1, 2)
    closed = len(points) > 1 and (points[0] == points[-1]).all()
    return points[:-1] if closed else points
