"""The table of objects, against numbers counted by hand."""

import csv
import io

import numpy as np
import pytest

from histogan_tf import instances
from histogan_tf.data import classes
from histogan_tf.data.class_info import ClassInfo

TABLE = classes.ClassTable(
    (
        ClassInfo(0, "stroma", (0, 0, 0)),
        ClassInfo(1, "gland", (1, 1, 1)),
        ClassInfo(2, "rim", (2, 2, 2), boundary=True),
    )
)


def test_rectangles_by_hand():
    mask = np.zeros((20, 30), np.uint8)
    mask[2:6, 3:13] = 1
    mask[10:16, 20:25] = 1
    mask[12, 22] = 0  # a hole: less area, the same outer border
    one, two = instances.instances(mask, TABLE, (1,), 0.5)
    assert (one.id, one.class_id, one.class_name) == (1, 1, "gland")
    assert one.area_um2 == 40 * 0.25
    assert one.perimeter_um == pytest.approx(28 * 0.5)
    assert (one.centroid_x_um, one.centroid_y_um) == (8 * 0.5, 4 * 0.5)
    assert two.id == 2 and two.area_um2 == 29 * 0.25
    assert two.perimeter_um == pytest.approx(22 * 0.5)
    # Of 30 pixels about (22.5, 13) one at (22.5, 12.5) is missing.
    assert two.centroid_x_um == pytest.approx(22.5 * 0.5)
    assert two.centroid_y_um == pytest.approx((13 * 30 - 12.5) / 29 * 0.5)


def test_small_ones_are_left_out():
    mask = np.zeros((20, 30), np.uint8)
    mask[2:6, 3:13] = 1  # 10 um2
    mask[10:16, 20:25] = 1  # 7.5 um2
    for least, areas in ((7.5, [10, 7.5]), (7.51, [10]), (10.1, [])):
        found = instances.instances(mask, TABLE, (1,), 0.5, least_um2=least)
        assert [one.area_um2 for one in found] == areas


def test_centroids_from_where_qupath_counts():
    mask = np.zeros((20, 30), np.uint8)
    mask[2:6, 3:13] = 1
    (one,) = instances.instances(mask, TABLE, (1,), 0.5, (1.5, 40.0))
    assert (one.centroid_x_um, one.centroid_y_um) == (4 - 40, 2 - 1.5)


def test_the_boundary_parts_touching_objects():
    mask = np.zeros((12, 20), np.uint8)
    mask[2:10, 2:18] = 1
    mask[2:10, 9:11] = 2
    one, two = instances.instances(mask, TABLE, (1,), 1.0)
    # Each takes back the boundary that is nearer to it.
    assert one.area_um2 == two.area_um2 == 64
    assert one.centroid_x_um == 6 and two.centroid_x_um == 14


def test_csv():
    mask = np.ones((3, 7), np.uint8)
    text = instances.to_csv(instances.instances(mask, TABLE, (1,), 1 / 3))
    (row,) = csv.DictReader(io.StringIO(text))
    assert row == {
        "id": "1",
        "class_id": "1",
        "class_name": "gland",
        "area_um2": "2.33333",
        "perimeter_um": "6.66667",
        "centroid_x_um": "1.16667",
        "centroid_y_um": "0.5",
    }
    empty = instances.to_csv(instances.instances(mask * 0, TABLE, (1,), 1.0))
    assert empty.count("\n") == 1
