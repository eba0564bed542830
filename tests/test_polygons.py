"""Polygons painted by windows: centres decide, windows fit together."""

import numpy as np
import shapely

from histogan_tf import polygons


def disc(x, y, radius):
    return shapely.Point(x, y).buffer(radius, quad_segs=16)


SHAPES = [
    (disc(20.3, 15.8, 11.2).difference(disc(21, 16, 4.4)), 1),
    (
        shapely.MultiPolygon(
            [shapely.box(30.2, 2.7, 44, 9.5), shapely.box(-5, 30.6, 3.4, 99)]
        ),
        2,
    ),
    (shapely.Polygon([(25, 5), (48, 30), (18, 33.3)]), 3),
]


def expected(height, width):
    """By shapely's own test of each pixel's centre."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    out = np.zeros((height, width), np.uint8)
    for shape, identity in SHAPES:
        out[shapely.contains_xy(shape, x, y)] = identity
    return out


def test_each_pixel_is_decided_by_its_centre():
    source = polygons.source(37, 46, SHAPES)
    found = source.read(0, 0, 37, 46)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected(37, 46))
    assert set(np.unique(found)) == {0, 1, 2, 3}


def test_windows_fit_together():
    whole = expected(37, 46)
    source = polygons.source(37, 46, SHAPES)
    for row, column, height, width in [(3, 5, 7, 11), (20, 0, 17, 46)]:
        np.testing.assert_array_equal(
            source.read(row, column, height, width),
            whole[row : row + height, column : column + width],
        )


def test_a_rectangle_by_hand():
    # Centres at 1.5 and 2.5 lie in [1, 3); the one at 0.5 does not.
    source = polygons.source(4, 4, [(shapely.box(1, 0, 3, 2), 7)], 5)
    assert source.read(0, 0, 4, 4).tolist() == [
        [5, 7, 7, 5],
        [5, 7, 7, 5],
        [5, 5, 5, 5],
        [5, 5, 5, 5],
    ]


def test_no_shapes():
    assert not polygons.source(3, 3, []).read(0, 0, 3, 3).any()
