"""From a class mask to the polygons of its objects: GeoJSON for QuPath.

In: class mask uint8 [H, W] and the class table. Out: a FeatureCollection with
one Feature an object, as QuPath 0.5 writes annotations (classification with
name and colour), in px of the mask or, with `scale`, of the slide's level 0.
(0, 0) is the top left corner. An object's name is its class and its number,
which is its id in the table of `instances.py`.

An object is an 8-connected part of one class, grown over the boundary class
where there is one (`metrics/labels.py`); boundary between two classes goes to
the lower id. cv2 traces the centres of an object's outermost pixels; half a
pixel is added all round, so a rectangle of pixels keeps its area. Polygons
have holes and are valid (shapely); an object that a polygon cannot hold is a
MultiPolygon.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
import shapely
from shapely import affinity, geometry

from histogan_tf.data.class_info import ClassInfo
from histogan_tf.data.classes import ClassTable
from histogan_tf.metrics.labels import label_objects


def feature_collection(
    mask: np.ndarray,
    table: ClassTable,
    chosen: Sequence[int],
    scale: float = 1.0,
    origin: tuple[float, float] = (0.0, 0.0),
    least: float = 0.0,
) -> dict[str, Any]:
    """The objects of the chosen classes.

    Args:
      mask: uint8 [H, W], class ids.
      table: names and colours.
      chosen: class ids that make objects; not the boundary class.
      scale: um/px of the mask over um/px of the slide's level 0, whose px
        QuPath expects.
      origin: row and column of level 0 that QuPath takes for (0, 0), as
        `Slide.origin` has them.
      least: px of the mask; smaller objects are left out.
    """
    features = []
    found = objects(mask, table, chosen, least)
    for number, (info, inside, top, left) in enumerate(found, 1):
        shape = _placed(outline(inside, top, left), scale, origin)
        features.append(_feature(shape, info, number))
    return {"type": "FeatureCollection", "features": features}


def objects(
    mask: np.ndarray,
    table: ClassTable,
    chosen: Sequence[int],
    least: float = 0.0,
) -> Iterator[tuple[ClassInfo, np.ndarray, int, int]]:
    """Each object of `least` px or more, see `feature_collection`.

    Yields:
      Its class, its pixels bool [h, w], and their top and left.
    """
    edge = table.boundary.id if table.boundary else None
    claimed = np.zeros(mask.shape, bool)
    for identity in chosen:
        labels = label_objects(mask, (identity,), edge)
        labels[claimed] = 0
        claimed |= labels > 0
        for inside, top, left in _objects(labels):
            if np.count_nonzero(inside) >= least:
                yield table.classes[identity], inside, top, left


def outline(
    inside: np.ndarray, top: int = 0, left: int = 0
) -> geometry.base.BaseGeometry:
    """The valid (Multi)Polygon around pixels.

    Args:
      inside: bool [h, w], some of it true.
      top, left: place of the array's first pixel.
    """
    rings, tree = cv2.findContours(
        inside.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE
    )
    parts, holes = [], []
    for ring, (_, _, _, parent) in zip(rings, tree[0], strict=True):
        if parent < 0:
            parts.append(_grown(_shape(ring[:, 0]), 0.5))
        else:
            # A hole is traced on the pixels around it, too.
            holes.append(_grown(_shape(ring[:, 0]), -0.5))
    whole = shapely.union_all(parts) - shapely.union_all(holes)
    # From pixel centres to corners.
    moved = affinity.translate(whole, left + 0.5, top + 0.5)
    return shapely.orient_polygons(shapely.make_valid(moved))


def _placed(
    shape: geometry.base.BaseGeometry, scale: float, origin: tuple[float, float]
) -> geometry.base.BaseGeometry:
    """In px of level 0, from where QuPath counts."""
    row, column = origin
    return affinity.affine_transform(
        shape, (scale, 0.0, 0.0, scale, -column, -row)
    )


def _shape(points: np.ndarray) -> geometry.base.BaseGeometry:
    """A ring [n, 2] as a point, a line or a polygon."""
    if len(points) == 1:
        return geometry.Point(points[0])
    if len(points) == 2:
        return geometry.LineString(points)
    # Where an object is one pixel wide the ring runs over itself.
    return shapely.make_valid(geometry.Polygon(points))


def _grown(
    shape: geometry.base.BaseGeometry, width: float
) -> geometry.base.BaseGeometry:
    return shape.buffer(width, cap_style="square", join_style="mitre")


def _objects(
    labels: np.ndarray,
) -> Iterator[tuple[np.ndarray, int, int]]:
    """Each object as bool [h, w] in its box, and the box's top and left."""
    rows, columns = np.nonzero(labels)
    if not rows.size:
        return
    ids = labels[rows, columns]
    order = np.argsort(ids, kind="stable")
    starts = np.flatnonzero(np.diff(ids[order], prepend=0))
    edges = [
        pick.reduceat(places[order], starts)
        for places in (rows, columns)
        for pick in (np.minimum, np.maximum)
    ]
    for identity, top, bottom, left, right in zip(
        ids[order][starts], *edges, strict=True
    ):
        box = labels[top : bottom + 1, left : right + 1]
        yield box == identity, int(top), int(left)


def _feature(
    shape: geometry.base.BaseGeometry, info: ClassInfo, number: int
) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": geometry.mapping(shape),
        "properties": {
            "objectType": "annotation",
            "name": f"{info.name} {number}",
            "classification": {"name": info.name, "color": list(info.color)},
        },
    }
