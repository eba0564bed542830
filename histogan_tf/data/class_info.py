"""One class of a class table, and its form in classes.json.

In: one entry of classes.json, such as
`{"id": 1, "name": "gland", "color": [106, 61, 154], "values": ["1-255"]}`.
Out: a frozen ClassInfo. Every field is checked; an unknown key is an error.
"""

import dataclasses
import os
import re
from collections.abc import Iterable
from typing import Any

from histogan_tf.errors import InputError
from histogan_tf.files import composed

MAX_VALUE = 65535
_KEYS = ("id", "name", "color", "values", "colors", "annotations", "boundary")
_RANGE = re.compile(r"(\d+)\s*-\s*(\d+)")

Color = tuple[int, int, int]
Range = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class ClassInfo:
    """One class: its id, name, display colour and what stands for it.

    `values` holds inclusive ranges (first, last) of raw grey values, `colors`
    raw RGB colours, `annotations` what annotation programs may call it beside
    its name; `boundary` marks the class that ingest paints from instance masks.
    """

    id: int
    name: str
    color: Color
    values: tuple[Range, ...] = ()
    colors: tuple[Color, ...] = ()
    boundary: bool = False
    annotations: tuple[str, ...] = ()

    @property
    def ranges(self) -> tuple[Range, ...]:
        """Raw values of this class; its own id where none are stated."""
        if self.values or self.colors or self.boundary:
            return self.values
        return ((self.id, self.id),)

    def to_json(self) -> dict[str, Any]:
        """The class as it stands in classes.json."""
        out: dict[str, Any] = {
            "id": self.id,
            "name": self.name,
            "color": list(self.color),
        }
        if self.values:
            out["values"] = [
                a if a == b else f"{a}-{b}" for a, b in self.values
            ]
        if self.colors:
            out["colors"] = [list(color) for color in self.colors]
        if self.annotations:
            out["annotations"] = list(self.annotations)
        if self.boundary:
            out["boundary"] = True
        return out


def from_json(data: Any, field: str, path: str | os.PathLike) -> ClassInfo:
    """Reads one entry; `field` says where it stands, as in `classes[0]`.

    Raises:
      InputError: a key is unknown or missing, or a value is not allowed.
    """
    where = f"{path}: {field}"
    check_keys(data, _KEYS, ("id", "name", "color"), where)
    boundary = data.get("boundary", False)
    if not isinstance(boundary, bool):
        raise InputError(f"{where}.boundary is {boundary!r}; true or false")
    return ClassInfo(
        id=_integer(data["id"], 254, f"{where}.id"),
        name=_name(data["name"], f"{where}.name"),
        color=color_from_json(data["color"], f"{where}.color"),
        values=tuple(
            _range(item, f"{where}.values")
            for item in as_list(data.get("values", []), f"{where}.values")
        ),
        colors=tuple(
            color_from_json(item, f"{where}.colors")
            for item in as_list(data.get("colors", []), f"{where}.colors")
        ),
        boundary=boundary,
        annotations=tuple(
            _name(item, f"{where}.annotations")
            for item in as_list(
                data.get("annotations", []), f"{where}.annotations"
            )
        ),
    )


def ids_by_name(
    classes: Iterable[ClassInfo], path: str | os.PathLike
) -> dict[str, int]:
    """Class ids by all names that annotations may have, own names first.

    Raises:
      InputError: a name means two classes; it names `path`.
    """
    classes = list(classes)
    found: dict[str, int] = {}
    named = [(info, info.name) for info in classes]
    named += [(info, name) for info in classes for name in info.annotations]
    for info, name in named:
        if found.setdefault(name, info.id) != info.id:
            raise InputError(
                f"{path}: class name {name!r} repeats: ids {found[name]} and"
                f" {info.id}; `name` and `annotations` mean one class each"
            )
    return found


def check_keys(
    data: Any, allowed: tuple[str, ...], needed: tuple[str, ...], where: str
) -> None:
    """Raises InputError unless `data` is an object of these keys."""
    if not isinstance(data, dict):
        raise InputError(f"{where} is {data!r}; an object is needed")
    for key in data:
        if key not in allowed:
            raise InputError(
                f"{where}: unknown key {key!r}; allowed: {', '.join(allowed)}"
            )
    for key in needed:
        if key not in data:
            raise InputError(f"{where}: key {key!r} is missing")


def as_list(value: Any, where: str) -> list[Any]:
    """Returns `value` if it is a list; raises InputError otherwise."""
    if not isinstance(value, list):
        raise InputError(f"{where} is {value!r}; a list is needed")
    return value


def color_from_json(value: Any, where: str) -> Color:
    """An [r, g, b] list of 0..255 as a tuple.

    Raises:
      InputError: something else; it names `where`.
    """
    if not isinstance(value, list) or len(value) != 3:
        raise InputError(f"{where} is {value!r}; [r, g, b] is needed")
    red, green, blue = (_integer(item, 255, where) for item in value)
    return red, green, blue


def value_from_json(value: Any, where: str) -> int:
    """A raw mask value, 0..65535.

    Raises:
      InputError: something else; it names `where`.
    """
    return _integer(value, MAX_VALUE, where)


def _integer(value: Any, largest: int, where: str) -> int:
    # bool is an int to Python, yet `true` is no class id.
    fits = isinstance(value, int) and not isinstance(value, bool)
    if not fits or not 0 <= value <= largest:
        raise InputError(f"{where} is {value!r}; an integer 0..{largest}")
    return value


def _name(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{where} is {value!r}; a text is needed")
    return composed(value.strip())


def _range(value: Any, where: str) -> Range:
    if not isinstance(value, str):
        single = value_from_json(value, where)
        return single, single
    match = _RANGE.fullmatch(value.strip())
    first, last = map(int, match.groups()) if match else (1, 0)
    if not first <= last <= MAX_VALUE:
        raise InputError(
            f'{where} holds {value!r}; an integer or a range such as "1-255"'
        )
    return first, last
