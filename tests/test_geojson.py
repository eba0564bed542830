"""QuPath's GeoJSON: every form of file, geometry and class."""

import json

import pytest

from histogan_tf.data import geojson
from histogan_tf.errors import InputError

SQUARE = [[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]
HOLE = [[1, 1], [2, 1], [2, 2], [1, 2], [1, 1]]


def feature(geometry, **properties):
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def square(**properties):
    return feature({"type": "Polygon", "coordinates": [SQUARE]}, **properties)


def read(tmp_path, data):
    path = tmp_path / "a.geojson"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return geojson.read(path)


@pytest.mark.parametrize(
    "data",
    [
        [square()],
        square(),
        {"type": "FeatureCollection", "features": [square()]},
    ],
)
def test_every_form_of_file(tmp_path, data):
    (drawn,) = read(tmp_path, data)
    assert drawn.shape.area == 16
    assert drawn.names == () and not drawn.certain


def test_a_byte_order_mark(tmp_path):
    assert len(read(tmp_path, "\ufeff" + json.dumps([square()]))) == 1


@pytest.mark.parametrize(
    ("properties", "names", "certain"),
    [
        (
            {"classification": {"name": "Tumor", "color": [1, 2, 3]}},
            ["Tumor"],
            1,
        ),
        (
            {"classification": {"name": "Tumor", "colorRGB": -3670016}},
            ["Tumor"],
            1,
        ),
        (
            {"classification": {"names": ["Tumor", "Positive"], "color": [1]}},
            ["Tumor: Positive", "Tumor"],
            1,
        ),
        ({"classification": "A: B: C"}, ["A: B: C", "A: B", "A"], 1),
        ({"classification": {"name": "x"}, "name": "Mine"}, ["x"], 1),
        ({"classification": None, "name": "Mine"}, ["Mine"], 0),
        ({"classification": {}, "name": "Mine"}, ["Mine"], 0),
        ({"name": "Mine", "color": [255, 0, 0]}, ["Mine"], 0),
    ],
)
def test_classes(tmp_path, properties, names, certain):
    (drawn,) = read(tmp_path, [square(**properties)])
    assert list(drawn.names) == names and drawn.certain == bool(certain)


@pytest.mark.parametrize(
    ("geometry", "area"),
    [
        ({"type": "Polygon", "coordinates": [SQUARE, HOLE]}, 15),
        ({"type": "Polygon", "coordinates": [SQUARE[:-1]]}, 16),
        (
            {
                "type": "Polygon",
                "coordinates": [[[1, 2, 0], [3, 2, 0], [3, 4, 0]]],
            },
            2,
        ),
        ({"type": "Polygon", "coordinates": [SQUARE, [[1, 1], [2, 2]]]}, 16),
        ({"type": "MultiPolygon", "coordinates": [[SQUARE, HOLE], [HOLE]]}, 16),
        (
            {
                "type": "GeometryCollection",
                "geometries": [
                    {"type": "Point", "coordinates": [1, 1]},
                    {"type": "Polygon", "coordinates": [SQUARE]},
                ],
            },
            16,
        ),
        ({"type": "Polygon", "coordinates": []}, 0),
        ({"type": "Polygon", "coordinates": [[[1, 1], [2, 2], [1, 1]]]}, 0),
        ({"type": "LineString", "coordinates": [[0, 0], [1, 1]]}, 0),
        ({"type": "MultiPoint", "coordinates": [[0, 0]]}, 0),
        (None, 0),
    ],
)
def test_geometries(tmp_path, geometry, area):
    (drawn,) = read(tmp_path, [feature(geometry)])
    assert drawn.shape.area == area and drawn.shape.is_empty == (area == 0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{", r"a\.geojson: not JSON"),
        ("3", r"a\.geojson: no list of features"),
        ("[" * 200_000, r"a\.geojson: not JSON"),
        ({"type": "FeatureCollection"}, "no list of features"),
        ([{"type": "Polygon"}], r"features\[0\] is no GeoJSON Feature"),
        (
            [square(), feature({"type": "Circle", "coordinates": [1, 2]})],
            r"features\[1\]\.geometry: type 'Circle'; Polygon or MultiPolygon",
        ),
        (
            [feature({"type": "Polygon", "coordinates": [[["a", 1]]]})],
            r"features\[0\]\.geometry: ",
        ),
        (
            '[{"type": "Feature", "properties": {}, "geometry": {"type":'
            ' "Polygon", "coordinates": [[[0, 0], [NaN, 1], [3, 3]]]}}]',
            "not finite",
        ),
        (
            [feature({"type": "Polygon", "coordinates": [[[10**400, 1]]]})],
            r"features\[0\]\.geometry: int too large",
        ),
        ([square(classification={"name": 7})], "classification: no class name"),
    ],
)
def test_bad_files(tmp_path, data, message):
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, data)
    assert "\n" not in str(caught.value)


def test_no_such_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.geojson: No such file"):
        geojson.read(tmp_path / "none.geojson")


@pytest.mark.parametrize("key", ["objectType", "object_type"])
@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        ("annotation", True),
        ("PathAnnotationObject", True),
        ("cell", False),
        ("detection", False),
        ("tile", False),
        ("tmaCore", False),
    ],
)
def test_only_annotations_label(tmp_path, key, kind, labels):
    tumour = {"name": "Tumor"}
    inside = square(**{key: kind}, classification=tumour)
    above = square(classification=tumour) | {key: kind}
    for data in (inside, above):
        (drawn,) = read(tmp_path, [data])
        assert drawn.labels == labels
        assert drawn.shape.area == (16 if labels else 0)


def test_cells_of_any_shape_are_no_trouble(tmp_path):
    cell = feature({"type": "Circle"}, objectType="cell", classification=7)
    found = read(tmp_path, [cell, square(name="Mine")])
    assert [drawn.labels for drawn in found] == [False, True]


def test_qupath_05(real_data):
    found = geojson.read(real_data / "annotations/qupath05.geojson")
    assert [drawn.names for drawn in found] == [("UT",), ("I",), ("I",)]
    assert not any(drawn.certain for drawn in found)
    assert all(drawn.shape.is_valid for drawn in found)
    # Shoelace formula over the file's own numbers.
    data = json.loads((real_data / "annotations/qupath05.geojson").read_text())
    ring = data["features"][0]["geometry"]["coordinates"][0]
    twice = sum(
        a[0] * b[1] - b[0] * a[1]
        for a, b in zip(ring, ring[1:] + ring[:1], strict=True)
    )
    assert found[0].shape.area == pytest.approx(abs(twice) / 2)


def test_older_qupath_lists(real_data):
    folder = real_data / "annotations/cervix_areas"
    found = geojson.read(folder / "x-41000_y-83000_areas.json")
    assert [drawn.names[0] for drawn in found] == [
        "areasquam",
        "areagland",
        "areastroma",
        "areastroma",
        "area_cin",
    ]
    assert all(drawn.certain and drawn.shape.area > 0 for drawn in found)
