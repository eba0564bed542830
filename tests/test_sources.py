"""Sources: windows of masks and images, mirrored and resampled."""

import numpy as np
import pytest

from histogan_tf import rescale, sources
from histogan_tf.errors import InputError
from histogan_tf.regions import Box

VALUES = np.random.default_rng(0).integers(0, 200, (13, 17), np.uint8)


@pytest.mark.parametrize(
    "box",
    [
        Box(2, 5, 3, 9),
        Box(-4, 5, 10, 21),
        Box(-40, 60, -50, 50),
        Box(13, 20, 17, 18),
        Box(-3, -1, 0, 17),
    ],
    ids=str,
)
def test_mirrored_is_numpys_symmetric_padding(box):
    padded = np.pad(VALUES, 64, mode="symmetric")
    expected = padded[box.slices(Box(-64, 0, -64, 0))]
    found = sources.mirrored(sources.from_array(VALUES), box)
    np.testing.assert_array_equal(found, expected)


def test_mirrored_keeps_channels_and_reads_inside():
    colours = np.stack([VALUES, VALUES + 1, VALUES + 2], -1)
    boxes = []

    def read(*box):
        boxes.append(box)
        return sources.from_array(colours).read(*box)

    source = sources.Source(13, 17, read)
    found = sources.mirrored(source, Box(-2, 1, 15, 19))
    assert boxes == [(0, 15, 2, 2)]
    assert found.shape == (3, 4, 3)
    np.testing.assert_array_equal(found[0, 0], colours[1, 15])
    np.testing.assert_array_equal(found[2, 3], colours[0, 15])


@pytest.mark.parametrize("target", [0.5, 0.31, 0.7, 1.0, 2.3, 100.0])
def test_rescaled_windows_are_those_of_the_resampled_whole(target):
    whole = rescale.mask_to(VALUES, 0.5, target)
    source = sources.rescaled(sources.from_array(VALUES), 0.5, target)
    assert (source.height, source.width) == whole.shape
    everything = source.read(0, 0, *whole.shape)
    np.testing.assert_array_equal(everything, whole)
    row, column = whole.shape[0] // 3, whole.shape[1] // 2
    part = source.read(row, column, 1, whole.shape[1] - column)
    np.testing.assert_array_equal(part, whole[row : row + 1, column:])


def test_at_scale_reads_at_its_own():
    seen = []
    source = sources.at_scale((7, 9), lambda *box: seen.append(box), 0.5)
    source.read(1, 2, 3, 4)
    assert seen == [(1, 2, 3, 4, 0.5)]
    assert (source.height, source.width) == (7, 9)


def test_mapped_changes_each_window():
    source = sources.mapped(sources.from_array(VALUES), lambda v: v // 2)
    found = source.read(3, 4, 5, 6)
    np.testing.assert_array_equal(found, VALUES[3:8, 4:10] // 2)


def test_checks():
    source = sources.from_array(VALUES)
    sources.check_window(source, Box(0, 13, 0, 17))
    with pytest.raises(InputError, match="columns 3 to 18; the canvas has 13"):
        sources.check_window(source, Box(0, 1, 3, 18))
    sources.check_ids(np.array([0, 2, 255], np.uint8), 3)
    with pytest.raises(InputError, match=r"value 3 in 2 pixels; 0\.\.2 and"):
        sources.check_ids(np.array([3, 3, 0], np.uint8), 3)
