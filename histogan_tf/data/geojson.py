"""Annotations in QuPath's GeoJSON.

In: the path of a FeatureCollection (QuPath 0.3 and later), a bare list of
Features (0.2) or one Feature. Out: Drawn annotations, in the file's order.

A class stands in `properties.classification`: an object with `name`, an object
with `names` (a derived class: "Tumor: Positive" or else "Tumor"), or a text.
Without one the object's own `name` may be a class. What says itself that it is
no annotation (`objectType`: a cell, a tile, a TMA core) labels nothing.
Polygon, MultiPolygon and collections of them count; points and lines have no
area and come out empty.
Schema: qupath-core, lib/io/QuPathTypeAdapters and GsonTools, version 0.5.
"""

import json
import os
import pathlib
from typing import Any

import shapely

from histogan_tf.data.drawn import Drawn, polygon
from histogan_tf.errors import InputError

# Integers too large for a float overflow.
_BAD = (ValueError, TypeError, KeyError, IndexError, OverflowError)
# QuPath 0.3 wrote the second key; its parser takes both values.
_TYPE_KEYS = ("objectType", "object_type")
_ANNOTATION = ("annotation", "pathannotationobject")
_NO_AREA = ("Point", "MultiPoint", "LineString", "MultiLineString")


def read(path: str | os.PathLike) -> list[Drawn]:
    """Reads all features.

    Raises:
      InputError: no such file, not JSON, or not GeoJSON features.
    """
    try:
        data = json.loads(pathlib.Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON: {error}") from error
    if isinstance(data, dict) and data.get("type") == "Feature":
        data = [data]
    features = data.get("features") if isinstance(data, dict) else data
    if not isinstance(features, list):
        raise InputError(
            f"{path}: no list of features; a GeoJSON FeatureCollection or list"
            " of Features is needed"
        )
    return [_drawn(feature, n, path) for n, feature in enumerate(features)]


def _drawn(feature: Any, number: int, path: str | os.PathLike) -> Drawn:
    where = f"{path}: features[{number}]"
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        raise InputError(f"{where} is no GeoJSON Feature")
    properties = feature.get("properties") or {}
    if not isinstance(properties, dict):
        raise InputError(f"{where}.properties is no object")
    if not _labels(feature, properties):
        return Drawn((), False, shapely.Polygon(), labels=False)
    try:
        shape = _shape(feature.get("geometry"))
    except _BAD as error:
        raise InputError(f"{where}.geometry: {error}") from error
    if names := _class_names(properties.get("classification"), where):
        return Drawn(names, True, shape)
    name = properties.get("name")
    return Drawn((name,) if isinstance(name, str) else (), False, shape)


def _labels(*holders: dict[str, Any]) -> bool:
    """Whether a feature is an annotation, which those of unknown kind are."""
    stated = [
        holder[key] for holder in holders for key in _TYPE_KEYS if key in holder
    ]
    return all(str(kind).lower() in _ANNOTATION for kind in stated)


def _class_names(value: Any, where: str) -> tuple[str, ...]:
    if isinstance(value, dict):
        value = value.get("names", value.get("name"))
    if isinstance(value, str):
        value = value.split(": ")
    if not value:
        return ()
    if not isinstance(value, list) or not all(
        isinstance(part, str) for part in value
    ):
        raise InputError(f"{where}.properties.classification: no class name")
    # "Tumor: Positive" is a kind of "Tumor".
    lengths = range(len(value), 0, -1)
    return tuple(": ".join(value[:length]) for length in lengths)


def _shape(geometry: Any) -> shapely.Geometry:
    if geometry is None or geometry["type"] in _NO_AREA:
        return shapely.Polygon()
    kind = geometry["type"]
    if kind == "Polygon":
        return polygon(geometry["coordinates"])
    if kind == "MultiPolygon":
        parts = [polygon(rings) for rings in geometry["coordinates"]]
    elif kind == "GeometryCollection":
        found = [_shape(part) for part in geometry["geometries"]]
        parts = [p for shape in found for p in shapely.get_parts(shape)]
    else:
        raise ValueError(f"type {kind!r}; Polygon or MultiPolygon is needed")
    return shapely.MultiPolygon([part for part in parts if not part.is_empty])
