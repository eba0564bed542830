"""Painted polygons against shapely's own answer for each pixel's centre."""

import numpy as np
import pytest
import shapely
from shapely import affinity

from histogan_tf.data.rasterise import Shapes, rasterise

RING = (
    shapely.Point(30, 25).buffer(20).difference(shapely.Point(34, 25).buffer(9))
)
STAR = affinity.rotate(
    shapely.Polygon([(2, 3), (60, 9), (20, 18), (55, 44), (9, 40), (15, 20)]), 7
)


def centres(row, column, height, width, step):
    rows, columns = np.mgrid[row : row + height, column : column + width]
    return (columns + 0.5) * step, (rows + 0.5) * step


@pytest.mark.parametrize("shape", [RING, STAR])
@pytest.mark.parametrize("step", [1.0, 0.7, 3.3])
def test_a_pixel_is_what_its_centre_is(shape, step):
    shapes = Shapes([(shape, 4)], 0.5)
    found = rasterise(shapes, -3, -2, 60, 70, 0.5 * step)
    inside = shapely.contains_xy(shape, *centres(-3, -2, 60, 70, step))
    np.testing.assert_array_equal(found, np.where(inside, 4, 255))


@pytest.mark.parametrize("step", [1.0, 1.31])
def test_windows_fit_together(step):
    shapes = Shapes([(RING, 1), (STAR, 2)], 0.25)
    whole = rasterise(shapes, 0, 0, 50, 64, 0.25 * step)
    rng = np.random.default_rng(0)
    for _ in range(60):
        top, left = rng.integers(0, 49), rng.integers(0, 63)
        tall, wide = rng.integers(1, 50 - top), rng.integers(1, 64 - left)
        part = rasterise(shapes, top, left, tall, wide, 0.25 * step)
        np.testing.assert_array_equal(
            part, whole[top : top + tall, left : left + wide]
        )


def test_the_smaller_lies_on_top_whatever_the_order():
    large, small = shapely.box(0, 0, 8, 8), shapely.box(2, 2, 4, 5)
    for pairs in ([(large, 0), (small, 1)], [(small, 1), (large, 0)]):
        found = rasterise(Shapes(pairs, 1.0), 0, 0, 8, 9, 1.0)
        wanted = np.zeros((8, 9))
        wanted[2:5, 2:4] = 1
        wanted[:, 8] = 255
        np.testing.assert_array_equal(found, wanted)


def test_of_equal_shapes_the_later_wins():
    box = shapely.box(0, 0, 2, 2)
    found = rasterise(Shapes([(box, 3), (box, 1)], 1.0), 0, 0, 2, 2, 1.0)
    assert (found == 1).all()


def test_a_multipolygon_and_areas_at_another_scale():
    shape = shapely.MultiPolygon(
        [shapely.box(0, 0, 40, 20), shapely.box(60, 40, 80, 80)]
    )
    found = rasterise(Shapes([(shape, 0)], 0.5), 0, 0, 25, 25, 2.0)
    assert (found == 0).sum() == (40 * 20 + 20 * 40) / 16
    assert (found[:5, :10] == 0).all() and (found[10:20, 15:20] == 0).all()


def test_merged_parts_are_painted_as_if_drawn_apart():
    # 9 + 900 px merged: as one shape it would lie under the tumour's 400.
    small, far = shapely.box(2, 2, 5, 5), shapely.box(0, 30, 30, 60)
    tumour = shapely.box(0, 0, 20, 20)
    merged = shapely.MultiPolygon([small, far])
    found = rasterise(Shapes([(merged, 1), (tumour, 0)], 1.0), 0, 0, 60, 30, 1)
    wanted = np.full((60, 30), 255)
    wanted[:20, :20] = 0
    wanted[2:5, 2:5] = wanted[30:] = 1
    np.testing.assert_array_equal(found, wanted)


def test_ignored_wins_whatever_its_size():
    gland, ignored = shapely.box(2, 2, 6, 6), shapely.box(4, 0, 12, 12)
    pairs = [(ignored, 255), (gland, 1)]
    found = rasterise(Shapes(pairs, 1.0), 0, 0, 12, 12, 1.0)
    wanted = np.full((12, 12), 255)
    wanted[2:6, 2:4] = 1
    np.testing.assert_array_equal(found, wanted)


def test_nothing_there():
    found = rasterise(Shapes([(RING, 0)], 1.0), 500, 500, 3, 4, 1.0)
    assert found.shape == (3, 4) and (found == 255).all()
