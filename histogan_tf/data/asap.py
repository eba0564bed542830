"""Annotations in ASAP's XML.

In: the path of an `ASAP_Annotations` file. Out: Drawn annotations, in the
file's order. Polygon, Spline and Rectangle are closed polygons through their
coordinates, as ASAP's own mask writer takes them; Dot, PointSet and the
like have no area and come out empty.

The class is the annotation's group, or else the group that this one is part of,
and so on; without a group its own name may be a class. Schema: ASAP,
annotation/XmlRepository.cpp and AnnotationToMask.cpp.
"""

import os
from xml.etree import ElementTree

import shapely

from histogan_tf.data.drawn import Drawn, polygon
from histogan_tf.errors import InputError

_AREAS = ("Polygon", "Spline", "Rectangle")
_NO_GROUP = ("None", "")


def read(path: str | os.PathLike) -> list[Drawn]:
    """Reads all annotations.

    Raises:
      InputError: no such file, not XML, not ASAP's, or bad coordinates.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(f"{path}: not XML: {error}") from error
    if root.tag != "ASAP_Annotations":
        raise InputError(
            f"{path}: root element {root.tag!r}; ASAP_Annotations is needed"
        )
    parents = {
        group.get("Name", ""): group.get("PartOfGroup", "None")
        for group in root.iterfind("AnnotationGroups/Group")
    }
    return [
        _drawn(element, parents, path)
        for element in root.iterfind("Annotations/Annotation")
    ]


def _drawn(
    element: ElementTree.Element,
    parents: dict[str, str],
    path: str | os.PathLike,
) -> Drawn:
    shape: shapely.Geometry = shapely.Polygon()
    name = element.get("Name", "")
    if element.get("Type") in _AREAS:
        try:
            shape = polygon([_coordinates(element)])
        except (KeyError, ValueError) as error:
            raise InputError(
                f"{path}: annotation {name!r}: coordinates: {error}"
            ) from error
    names = _ancestry(element.get("PartOfGroup", "None"), parents)
    return Drawn(names or (name,), bool(names), shape)


def _coordinates(element: ElementTree.Element) -> list[tuple[float, float]]:
    found = sorted(
        (int(point.attrib["Order"]), place, point)
        for place, point in enumerate(
            element.iterfind("Coordinates/Coordinate")
        )
    )
    return [(float(p.attrib["X"]), float(p.attrib["Y"])) for _, _, p in found]


def _ancestry(group: str, parents: dict[str, str]) -> tuple[str, ...]:
    """A group, the one that it is part of, and so on."""
    found: list[str] = []
    while group not in _NO_GROUP and group not in found:
        found.append(group)
        group = parents.get(group, "None")
    return tuple(found)
