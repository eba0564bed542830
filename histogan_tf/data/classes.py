"""The class table: which mask value or colour is which class.

In: `classes.json` and raw masks as `images.read_mask_raw` gives them (grey or
palette-index values [H, W], or colours [H, W, 3]); instance masks.
Out: masks uint8 [H, W] of class ids 0..N-1, with 255 = ignore, and the
boundary class that keeps touching instances apart.

A table speaks of values or of colours, never of both: `values` holds integers
and "a-b" ranges, `colors` holds [r, g, b]; a class with neither stands for the
mask value that equals its id. Raw values listed in `ignore` (colours in
`ignore_colors`) become 255. A raw value that is nowhere is an error.
"""

import dataclasses
import functools
import json
import os
import pathlib
from typing import Any

import cv2
import numpy as np

from histogan_tf.data import class_info
from histogan_tf.data.class_info import ClassInfo, Color
from histogan_tf.errors import InputError

IGNORE = 255


@dataclasses.dataclass(frozen=True)
class ClassTable:
    """All classes, ordered by id, and the raw values that are ignored."""

    classes: tuple[ClassInfo, ...]
    ignore: tuple[int, ...] = ()
    ignore_colors: tuple[Color, ...] = ()

    @property
    def count(self) -> int:
        """Number of classes N."""
        return len(self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """Class names, ordered by id."""
        return tuple(info.name for info in self.classes)

    @functools.cached_property
    def ids_by_name(self) -> dict[str, int]:
        """Ids by all names that annotations may have, classes' own first."""
        return class_info.ids_by_name(self.classes, "class table")

    @property
    def by_color(self) -> bool:
        """Whether masks are mapped by colour; else by value."""
        return any(info.colors for info in self.classes)

    @property
    def boundary(self) -> ClassInfo | None:
        """The class that is painted from instance masks, if there is one."""
        return next((info for info in self.classes if info.boundary), None)

    def palette(self) -> np.ndarray:
        """Display colours, uint8 [N, 3], RGB."""
        return np.array([info.color for info in self.classes], np.uint8)

    def of_ids(self) -> "ClassTable":
        """These classes for masks that hold class ids, and 255."""
        infos = tuple(
            dataclasses.replace(info, values=(), colors=(), boundary=False)
            for info in self.classes
        )
        return ClassTable(infos, (IGNORE,))

    def map_mask(self, raw: np.ndarray, path: str | os.PathLike) -> np.ndarray:
        """Maps a raw mask to class ids.

        Args:
          raw: integers [H, W], or uint8 RGB [H, W, 3]. Grey counts as the
            colour of three equal channels in a table of colours, and the
            other way round in a table of values.
          path: the mask's file, for the error.

        Returns:
          uint8 [H, W], ids 0..N-1 and 255 = ignore.

        Raises:
          InputError: a value (or colour) is in no class.
        """
        if self.by_color and raw.ndim == 2 and raw.dtype == np.uint8:
            raw = np.repeat(raw[..., None], 3, axis=2)
        elif not self.by_color and raw.ndim == 3:
            raw = _drop_equal_channels(raw)
        deep = self.by_color and raw.dtype != np.uint8
        if deep or self.by_color != (raw.ndim == 3):
            wanted = "values; state `colors` in classes.json"
            if self.by_color:
                wanted = "8-bit colours"
            raise InputError(
                f"{path}: mask of shape {list(raw.shape)}, {raw.dtype}; the"
                f" class table maps {wanted}"
            )
        packed = _pack(raw) if self.by_color else raw
        if packed.dtype == np.uint8:
            # 256 values are looked up instead of every pixel.
            tables = self._ids_of(np.arange(256, dtype=np.uint8))
            ids, unknown = (cv2.LUT(packed, values) for values in tables)
        else:
            ids, unknown = self._ids_of(packed)
        if unknown.any():
            wrong = raw[unknown.astype(bool)]
            raise InputError(f"{path}: {self._complaint(wrong)}")
        return ids

    def _ids_of(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ids of raw values, and 1 where a value is in no class; uint8."""
        keys, ids = self._lookup
        place = np.minimum(np.searchsorted(keys, values), len(keys) - 1)
        return ids[place], (keys[place] != values).astype(np.uint8)

    def to_json(self) -> dict[str, Any]:
        """The table as it stands in classes.json; `from_json` reads it."""
        out: dict[str, Any] = {
            "classes": [info.to_json() for info in self.classes],
            "ignore": list(self.ignore),
        }
        if self.ignore_colors:
            out["ignore_colors"] = [list(color) for color in self.ignore_colors]
        return out

    def pairs(self) -> list[tuple[int, int]]:
        """All (raw value or packed colour, id or 255) that are mapped."""
        if self.by_color:
            colors = [
                (c, info.id) for info in self.classes for c in info.colors
            ]
            colors += [(c, IGNORE) for c in self.ignore_colors]
            return [(int(_pack(np.array(c))), i) for c, i in colors]
        values = [
            (value, info.id)
            for info in self.classes
            for first, last in info.ranges
            for value in range(first, last + 1)
        ]
        return values + [(value, IGNORE) for value in self.ignore]

    @functools.cached_property
    def _lookup(self) -> tuple[np.ndarray, np.ndarray]:
        pairs = np.array(sorted(self.pairs()), np.int64)
        return pairs[:, 0], pairs[:, 1].astype(np.uint8)

    def _complaint(self, unknown: np.ndarray) -> str:
        """Names the commonest unmapped value and its pixel count."""
        values, counts = np.unique(unknown, axis=0, return_counts=True)
        worst = int(counts.argmax())
        what, key, ignore = (
            ("colour", "colors", "ignore_colors")
            if self.by_color
            else ("value", "values", "ignore")
        )
        more = f" (and {len(values) - 1} other)" if len(values) > 1 else ""
        return (
            f"mask {what} {values[worst].tolist()} in {counts[worst]} pixels"
            f"{more} is in no class; add it to a class's `{key}` or to"
            f" `{ignore}`"
        )


def load(path: str | os.PathLike) -> ClassTable:
    """Reads classes.json.

    Raises:
      InputError: missing file, bad JSON or a table that `from_json` refuses.
    """
    try:
        data = json.loads(pathlib.Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}") from error
    return from_json(data, path)


def from_json(data: Any, path: str | os.PathLike) -> ClassTable:
    """Reads a class table; `path` is named in errors.

    Raises:
      InputError: a key is unknown, ids are not 0..N-1 once each, a raw value
        or a name stands for two classes, or values and colours are mixed.
    """
    where = f"{path}: class table"
    keys = ("classes", "ignore", "ignore_colors")
    class_info.check_keys(data, keys, ("classes",), where)
    entries = class_info.as_list(data["classes"], f"{path}: classes")
    infos = [
        class_info.from_json(entry, f"classes[{place}]", path)
        for place, entry in enumerate(entries)
    ]
    ignore = class_info.as_list(data.get("ignore", []), f"{path}: ignore")
    ignored = class_info.as_list(
        data.get("ignore_colors", []), f"{path}: ignore_colors"
    )
    table = ClassTable(
        classes=tuple(sorted(infos, key=lambda info: info.id)),
        ignore=tuple(
            class_info.value_from_json(v, f"{path}: ignore") for v in ignore
        ),
        ignore_colors=tuple(
            class_info.color_from_json(v, f"{path}: ignore_colors")
            for v in ignored
        ),
    )
    _check_table(table, path)
    return table


def boundary_from_instances(
    instances: np.ndarray, width_px: float
) -> np.ndarray:
    """The inner rim of every instance, so that touching ones come apart.

    A pixel is rim if it belongs to an instance (id > 0) and the centre of some
    pixel of the image that does not belong to it, background or another
    instance, lies within `width_px`. The image's edge is no boundary: an
    instance that the edge cuts has no rim along it.

    Args:
      instances: integers [H, W], 0 = background, ids need not be contiguous.
      width_px: rim width in px; below 1 it counts as 1.

    Returns:
      bool [H, W].
    """
    rim = np.zeros(instances.shape, bool)
    width = max(width_px, 1.0)
    for identity, box in _boxes(instances):
        inside = (instances[box] == identity).astype(np.uint8)
        if inside.all():
            continue
        distance = cv2.distanceTransform(
            inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE
        )
        # The slack absorbs float32 rounding of whole distances.
        rim[box] |= (inside > 0) & (distance <= width + 1e-3)
    return rim


def _boxes(
    instances: np.ndarray,
) -> list[tuple[int, tuple[slice, slice]]]:
    """Each id > 0 with its bounding box and one pixel around it."""
    rows, columns = np.nonzero(instances > 0)
    ids, place = np.unique(instances[rows, columns], return_inverse=True)
    first = np.full((len(ids), 2), max(instances.shape), np.int64)
    last = np.zeros((len(ids), 2), np.int64)
    for axis, where in enumerate((rows, columns)):
        np.minimum.at(first[:, axis], place, where)
        np.maximum.at(last[:, axis], place, where)
    first = np.maximum(first - 1, 0)
    return [
        (int(identity), (slice(top, bottom + 2), slice(left, right + 2)))
        for identity, (top, left), (bottom, right) in zip(
            ids, first, last, strict=True
        )
    ]


def _pack(colors: np.ndarray) -> np.ndarray:
    """RGB [..., 3] -> integers [...], red in the highest byte."""
    return colors.astype(np.int64) @ np.array([65536, 256, 1])


def _drop_equal_channels(raw: np.ndarray) -> np.ndarray:
    return raw[..., 0] if (raw == raw[..., :1]).all() else raw


def _check_table(table: ClassTable, path: str | os.PathLike) -> None:
    ids = [info.id for info in table.classes]
    if not ids or ids != list(range(len(ids))):
        raise InputError(f"{path}: class ids are {ids}; 0..N-1, each once")
    class_info.ids_by_name(table.classes, path)
    if sum(info.boundary for info in table.classes) > 1:
        raise InputError(f"{path}: more than one class is the boundary")
    plain = [i for i in table.classes if not (i.colors or i.boundary)]
    mixed = any(info.values for info in table.classes) or table.ignore or plain
    if table.by_color and mixed:
        raise InputError(
            f"{path}: `colors` in some classes, `values`, `ignore` or neither"
            " in others; state `colors` (and `ignore_colors`) throughout"
        )
    if table.ignore_colors and not table.by_color:
        raise InputError(f"{path}: `ignore_colors` needs classes of `colors`")
    keys = [key for key, _ in table.pairs()]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        shown = f"colour #{twice:06x}" if table.by_color else f"value {twice}"
        raise InputError(f"{path}: mask {shown} stands in two places")
