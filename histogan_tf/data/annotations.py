"""Annotations of a slide, whatever program drew them, as labels by window.

In: QuPath's GeoJSON, ASAP's XML, a mask image or a label TIFF; the slide; the
class table. Out: Labels: class ids of any window at any um/px, 255 = not
annotated, and notes on what had to be mended.

Class names are those of the table and its `annotations`, to the letter but for
blanks around them. QuPath's "Ignore*" is painted as 255 over all that it
covers; its other classes whose names end in `*` ("Region*") lie beneath all:
they frame what is annotated, and annotate nothing.

Mended and noted: polygons that cross themselves, parts beyond the slide. Left
out and noted: cells and detections, what has no area (dots), no class, or lies
outside. Refused: a class in no table, nothing left, all outside.
"""

import codecs
import collections
import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable

import numpy as np
import shapely

from histogan_tf.data import asap, geojson, mask_file
from histogan_tf.data.classes import IGNORE, ClassTable
from histogan_tf.data.drawn import Drawn
from histogan_tf.data.images import MASK_EXTENSIONS
from histogan_tf.data.rasterise import Shapes, rasterise
from histogan_tf.data.slides import Slide
from histogan_tf.errors import InputError, UnreadableError
from histogan_tf.files import composed

_DRAWN_EXTENSIONS = (".geojson", ".json", ".xml")
EXTENSIONS = (*_DRAWN_EXTENSIONS, *MASK_EXTENSIONS)

# Instead of a class id: a frame, which is not painted.
_BENEATH = -1

_CELLS = "cells, detections or the like left out: annotations label tissue"

Read = Callable[[int, int, int, int, float], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Labels:
    """Class ids of a slide.

    `read(row, column, height, width, mpp)` gives uint8 [height, width], 255
    where nothing is annotated; `notes` are lines for the user.
    """

    read: Read
    notes: tuple[str, ...] = ()
    close: Callable[[], None] = lambda: None


@dataclasses.dataclass(frozen=True)
class Frame:
    """What annotations were drawn on: a slide, or nothing but its size.

    Px of level 0 and their um/px; `origin` is the row and column that QuPath
    takes for (0, 0).
    """

    height: int
    width: int
    mpp: float
    origin: tuple[int, int] = (0, 0)


def frame_of(slide: Slide) -> Frame:
    """The frame of a slide."""
    return Frame(slide.height, slide.width, slide.mpp, slide.origin)


def open_labels(
    path: str | os.PathLike, table: ClassTable, slide: Slide
) -> Labels:
    """Opens annotations of any kind, told by their first bytes.

    Raises:
      InputError: names the file and what is wrong; see the module.
    """
    if is_drawn(path):
        return open_drawn(path, table, frame_of(slide))
    mask = mask_file.open_mask(path, table, slide)
    return Labels(mask.read, (), mask.close)


def open_drawn(
    path: str | os.PathLike, table: ClassTable, frame: Frame
) -> Labels:
    """Opens vector annotations, drawn on what `frame` tells.

    Raises:
      InputError: names the file and what is wrong; see the module.
    """
    if _start(path)[:1] == b"<":
        drawn = asap.read(path)
    else:
        row, column = frame.origin
        drawn = [item.moved(column, row) for item in geojson.read(path)]
    shapes, notes = to_shapes(drawn, path, table, frame.height, frame.width)
    ready = Shapes(shapes, frame.mpp)
    return Labels(functools.partial(rasterise, ready), notes)


def is_drawn(path: str | os.PathLike) -> bool:
    """Whether a file begins as GeoJSON or XML does.

    Raises:
      UnreadableError: it does not, but is called as they are.
      InputError: it cannot be read.
    """
    start = _start(path)
    drawn = start[:1] in (b"<", b"{", b"[")
    if not drawn and os.fspath(path).lower().endswith(_DRAWN_EXTENSIONS):
        raise UnreadableError(
            path, f"{_trouble(start)}; GeoJSON or XML in UTF-8 is needed"
        )
    return drawn


def _trouble(start: bytes) -> str:
    if not start:
        return "empty file"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "UTF-16 text"
    return f"begins with {start[:8]!r}"


def _start(path: str | os.PathLike) -> bytes:
    try:
        with pathlib.Path(path).open("rb") as file:
            return file.read(512).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error


def to_shapes(
    drawn: list[Drawn],
    path: str | os.PathLike,
    table: ClassTable,
    height: int,
    width: int,
) -> tuple[list[tuple[shapely.Geometry, int]], tuple[str, ...]]:
    """Checks and mends annotations.

    Args:
      drawn: what a file holds.
      path: the file, for notes and errors.
      table: the classes.
      height, width: of the slide, px of level 0.

    Returns:
      Valid (Multi)Polygons inside the slide with their class ids (255 for
      QuPath's "Ignore*"; its "Region*" are not among them), and notes.

    Raises:
      InputError: unknown classes, nothing annotated, or all of it outside.
    """
    count: collections.Counter[str] = collections.Counter()
    whole = shapely.box(0, 0, width, height)
    unknown: collections.Counter[str] = collections.Counter()
    kept = []
    for item in drawn:
        shape = _mended(item.shape, count)
        identity = class_of(item, table)
        if not item.labels:
            count[_CELLS] += 1
        elif shape.is_empty:
            count["without area (points, lines, dots) left out"] += 1
        elif identity is None and item.certain:
            unknown[item.names[0]] += 1
        elif identity is None:
            count["without a class left out"] += 1
        else:
            kept.append((shape, identity))
    if unknown:
        raise InputError(f"{path}: {_unknown(unknown, table)}")
    if not kept:
        raise InputError(f"{path}: {_empty(drawn, count)}")
    inside = _clipped(kept, whole, count)
    if not inside:
        raise InputError(f"{path}: {_outside(kept, height, width)}")
    painted = [(shape, n) for shape, n in inside if n != _BENEATH]
    return painted, tuple(f"{path}: {n} {what}" for what, n in count.items())


def class_of(item: Drawn, table: ClassTable) -> int | None:
    """Id of the first name that is a class; 255: "Ignore*", -1: other `*`."""
    for name in (composed(name.strip()) for name in item.names):
        if name in table.ids_by_name:
            return table.ids_by_name[name]
        if name.endswith("*"):
            return IGNORE if name.startswith("Ignore") else _BENEATH
    return None


def _mended(
    shape: shapely.Geometry, count: collections.Counter[str]
) -> shapely.Geometry:
    if shape.is_valid:
        return shape
    # By structure: loops drawn over each other stay filled, as on screen.
    mended = _areas(shapely.make_valid(shape, method="structure"))
    if not mended.is_empty:
        count["polygons that cross themselves, repaired"] += 1
    return mended


def _clipped(
    kept: list[tuple[shapely.Geometry, int]],
    whole: shapely.Polygon,
    count: collections.Counter[str],
) -> list[tuple[shapely.Geometry, int]]:
    inside = []
    for shape, identity in kept:
        part = shape
        if not whole.covers(shape):
            part = _areas(shapely.intersection(shape, whole))
            what = "outside the slide left out"
            count[what if part.is_empty else "cut at the slide's border"] += 1
        if not part.is_empty:
            inside.append((part, identity))
    return inside


def _areas(shape: shapely.Geometry) -> shapely.Geometry:
    """The polygons of a geometry; clipping leaves points and lines as well."""
    parts = [
        part
        for part in shapely.get_parts(shapely.get_parts(shape))
        if part.geom_type == "Polygon" and part.area > 0
    ]
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def _unknown(unknown: collections.Counter[str], table: ClassTable) -> str:
    folded = {name.casefold(): name for name in table.ids_by_name}

    def meant(name: str) -> str:
        known = folded.get(composed(name.strip()).casefold())
        return f"; did you mean {known!r}?" if known else ""

    listed = ", ".join(
        f"{name!r} ({n}{meant(name)})" for name, n in unknown.items()
    )
    return (
        f"annotations of classes that the class table lacks: {listed};"
        f" allowed: {', '.join(table.ids_by_name)}; a class's `annotations`"
        " list further names"
    )


def _empty(drawn: list[Drawn], count: collections.Counter[str]) -> str:
    found = "".join(f"; {n} {what}" for what, n in count.items())
    if not any(item.labels for item in drawn):
        found += "; ingest takes slides without annotations by --unlabelled"
    return f"no annotation to use among {len(drawn)}{found}"


def _outside(
    kept: list[tuple[shapely.Geometry, int]], height: int, width: int
) -> str:
    left, top, right, bottom = shapely.total_bounds([s for s, _ in kept])
    return (
        f"all {len(kept)} annotations lie outside the slide of {width} x"
        f" {height} px: x {left:.0f} to {right:.0f}, y {top:.0f} to"
        f" {bottom:.0f}; are they another slide's?"
    )
