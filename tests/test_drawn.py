"""Rings of coordinates as polygons."""

import pytest

from histogan_tf.data import drawn

SQUARE = [(0, 0), (4, 0), (4, 4), (0, 4)]
HOLE = [(1, 1), (2, 1), (2, 2)]


def test_closed_or_not():
    assert drawn.polygon([SQUARE]).equals(drawn.polygon([[*SQUARE, (0, 0)]]))
    assert drawn.polygon([SQUARE, HOLE]).area == 15.5


@pytest.mark.parametrize(
    "rings", [[], [[]], [[(1, 1)]], [[(1, 1), (2, 2), (1, 1)]]]
)
def test_too_few_points(rings):
    assert drawn.polygon(rings).is_empty


def test_a_hole_of_too_few_points_is_left_out():
    assert drawn.polygon([SQUARE, [(1, 1), (2, 2)]]).area == 16


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), "a", None])
def test_what_is_no_number(bad):
    with pytest.raises((ValueError, TypeError)):
        drawn.polygon([[(0, 0), (1, bad), (2, 2)]])


def test_moved():
    item = drawn.Drawn(("a",), True, drawn.polygon([SQUARE]))
    moved = item.moved(10, 3)
    assert moved.shape.bounds == (10, 3, 14, 7) and moved.names == ("a",)
