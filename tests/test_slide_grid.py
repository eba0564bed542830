"""Division into tiles: every pixel once, no tile too small."""

import numpy as np
import pytest

from histogan_tf.data.slide_grid import TilePlace, divide


@pytest.mark.parametrize(
    ("height", "width", "side"),
    [(100, 100, 50), (149, 203, 50), (99, 51, 50), (20, 130, 50), (7, 9, 50)],
)
def test_every_pixel_once(height, width, side):
    seen = np.zeros((height, width), int)
    for box in divide(height, width, side):
        rows = slice(box.row, box.row + box.height)
        seen[rows, box.column : box.column + box.width] += 1
        assert min(side, height) <= box.height < 2 * side
        assert min(side, width) <= box.width < 2 * side
    assert (seen == 1).all()


def test_sides_are_as_equal_as_can_be():
    assert divide(10, 32, 10) == [
        TilePlace(0, 0, 10, 10),
        TilePlace(0, 10, 10, 11),
        TilePlace(0, 21, 10, 11),
    ]
