"""Area averages against hand-computed means."""

import numpy as np
import pytest

from histogan_tf.data import averaging


def line(values, start, count, ratio):
    """Averages a row of pixels; returns means and shares inside."""
    columns = averaging.axis(start, count, ratio, len(values))
    rows = averaging.axis(0, 1, 1.0, 1.0)
    first, last = columns.span
    source = np.zeros((1, last - first, 1), np.uint8)
    for place in range(max(first, 0), min(last, len(values))):
        source[0, place - first] = values[place]
    mean = averaging.average(source, rows, columns)
    return mean[0, :, 0], columns.inside


def test_whole_ratios_are_plain_means():
    mean, inside = line([10, 20, 30, 50, 70, 90], 0, 3, 2.0)
    np.testing.assert_allclose(mean, [15, 40, 80])
    assert (inside == 1).all()


def test_fractions_share_pixels():
    # 1.5 px each: 10 and half of 20; half of 20 and 30.
    mean, _ = line([10, 20, 30], 0, 2, 1.5)
    np.testing.assert_allclose(mean, [(10 + 10) / 1.5, (10 + 30) / 1.5])


def test_finer_grids_repeat_pixels():
    mean, _ = line([10, 20], 0, 4, 0.5)
    np.testing.assert_allclose(mean, [10, 10, 20, 20])


def test_shares_outside_are_missing():
    mean, inside = line([100, 100, 100], -1, 4, 2.0)
    np.testing.assert_allclose(inside, [0, 1, 0.5, 0])
    np.testing.assert_allclose(mean, [0, 100, 50, 0])


@pytest.mark.parametrize("ratio", [0.37, 1.0, 1.7, 3.0, 5.31])
def test_the_place_decides_not_the_window(ratio):
    whole = averaging.axis(-4, 60, ratio, 100.0)
    part = averaging.axis(13, 5, ratio, 100.0)
    cut = slice(17, 22)
    np.testing.assert_array_equal(part.first, whole.first[cut])
    np.testing.assert_array_equal(part.inside, whole.inside[cut])
    count = len(part.weights)
    np.testing.assert_array_equal(part.weights, whole.weights[:count, cut])
    assert not whole.weights[count:, cut].any()
