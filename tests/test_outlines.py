"""Outlines of objects: areas of pixels, holes, validity."""

import json

import numpy as np
import pytest

from histogan_tf import instances, outlines
from histogan_tf.data import annotations, geojson
from histogan_tf.data.class_info import ClassInfo
from histogan_tf.data.classes import ClassTable
from histogan_tf.data.rasterise import Shapes, rasterise


def drawn(*rows):
    return np.array([[c == "#" for c in row] for row in rows])


@pytest.mark.parametrize(
    ("inside", "area"),
    [
        (drawn("#"), 1),
        (drawn("###"), 3),
        (drawn("#", "#"), 2),
        (drawn("###", "###"), 6),
        (drawn("###", "#..", "#.."), 5),
        (drawn("#####", "#...#", "#...#", "#...#", "#####"), 16),
    ],
)
def test_straight_edged_areas_are_those_of_the_pixels(inside, area):
    shape = outlines.outline(inside)
    assert shape.is_valid and shape.geom_type == "Polygon"
    # A hole's four corners are cut, by a quarter of a pixel each.
    assert shape.area == pytest.approx(area, abs=1.01)
    if inside.all():
        assert shape.area == pytest.approx(area)
        assert shape.bounds == (0, 0, *inside.shape[::-1])


def test_the_place_is_added():
    shape = outlines.outline(drawn("##"), top=4, left=7)
    assert shape.bounds == (7, 4, 9, 5)


def test_a_ring_has_one_hole_and_nearly_its_area():
    rows, columns = np.mgrid[-30:31, -30:31]
    radius = np.hypot(rows, columns)
    inside = (radius <= 28) & (radius >= 12)
    shape = outlines.outline(inside)
    assert shape.is_valid and len(shape.interiors) == 1
    assert shape.area == pytest.approx(inside.sum(), rel=0.02)


@pytest.mark.parametrize("seed", range(5))
def test_noise_gives_valid_shapes(seed):
    inside = np.random.default_rng(seed).random((24, 24)) < 0.6
    assert outlines.outline(inside).is_valid


def table(*boundary):
    names = ("stroma", "gland", "lumen", "edge")
    return ClassTable(
        tuple(
            ClassInfo(i, name, (i, 2 * i, 3), boundary=i in boundary)
            for i, name in enumerate(names)
        )
    )


def test_one_feature_an_object():
    mask = np.zeros((10, 20), np.uint8)
    mask[1:4, 1:4] = 1
    mask[1:4, 10:15] = 1
    mask[6:8, 2:4] = 2
    found = outlines.feature_collection(mask, table(), (1, 2))["features"]
    names = [f["properties"]["classification"]["name"] for f in found]
    assert names == ["gland", "gland", "lumen"]
    named = [f["properties"]["name"] for f in found]
    assert named == ["gland 1", "gland 2", "lumen 3"]
    # By which a row of the table is found.
    rows = instances.instances(mask, table(), (1, 2), 1.0)
    assert named == [f"{row.class_name} {row.id}" for row in rows]
    assert found[2]["properties"]["classification"]["color"] == [2, 4, 3]
    ring = found[2]["geometry"]["coordinates"][0]
    assert set(map(tuple, ring)) == {(2, 6), (4, 6), (4, 8), (2, 8)}
    assert outlines.feature_collection(mask * 0, table(), (1,)) == {
        "type": "FeatureCollection",
        "features": [],
    }


def test_small_objects_are_left_out():
    mask = np.zeros((10, 20), np.uint8)
    mask[1:4, 1:4] = 1  # 9 px
    mask[1:4, 10:15] = 1  # 15 px
    mask[6:8, 2:4] = 2  # 4 px
    for least, wanted in (
        (4, ["gland 1", "gland 2", "lumen 3"]),
        (9, ["gland 1", "gland 2"]),
        (9.5, ["gland 1"]),
        (16, []),
    ):
        found = outlines.feature_collection(mask, table(), (1, 2), least=least)[
            "features"
        ]
        assert [f["properties"]["name"] for f in found] == wanted


def test_the_boundary_parts_objects_and_belongs_to_one_each():
    mask = np.array([[1, 1, 3, 3, 1, 1, 0, 3, 2]] * 3, np.uint8)
    found = outlines.feature_collection(mask, table(3), (1, 2))["features"]
    columns = [
        sorted({x for x, _ in f["geometry"]["coordinates"][0]}) for f in found
    ]
    assert [(c[0], c[-1]) for c in columns] == [(0, 3), (3, 6), (7, 9)]


def test_coordinates_of_level_0():
    mask = np.zeros((10, 20), np.uint8)
    mask[6:8, 2:4] = 2
    (found,) = outlines.feature_collection(mask, table(), (2,), 2.5)["features"]
    ring = found["geometry"]["coordinates"][0]
    assert set(map(tuple, ring)) == {(5, 15), (10, 15), (10, 20), (5, 20)}


def test_coordinates_from_where_qupath_counts():
    mask = np.zeros((10, 20), np.uint8)
    mask[6:8, 2:4] = 2
    found = outlines.feature_collection(mask, table(), (2,), 10.0, (50, 3))
    (ring,) = found["features"][0]["geometry"]["coordinates"]
    assert set(map(tuple, ring)) == {(17, 10), (37, 10), (37, 30), (17, 30)}


def test_what_is_written_reads_back_as_the_same_mask(tmp_path):
    rows, columns = np.mgrid[-30:31, -40:41]
    radius = np.hypot(rows, columns)
    mask = np.where(radius < 26, 1, 0) + np.where(radius < 10, 1, 0)
    mask = mask.astype(np.uint8)
    written = outlines.feature_collection(mask, table(), (1, 2), 4.0)
    assert [len(f["geometry"]["coordinates"]) for f in written["features"]] == [
        2,
        1,
    ]
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps(written))
    shapes, notes = annotations.to_shapes(
        geojson.read(path), path, table(), 61 * 4, 81 * 4
    )
    found = rasterise(Shapes(shapes, 0.25), 0, 0, 61, 81, 1.0)
    np.testing.assert_array_equal(np.where(found == 255, 0, found), mask)
    assert notes == ()


def test_a_feature_is_as_qupath_writes_it():
    mask = np.ones((2, 3), np.uint8)
    (found,) = outlines.feature_collection(mask, table(), (1,))["features"]
    assert found["type"] == "Feature"
    assert found["properties"] == {
        "objectType": "annotation",
        "name": "gland 1",
        # QuPath 0.5 refuses a class with a name and no colour.
        "classification": {"name": "gland", "color": [1, 2, 3]},
    }
