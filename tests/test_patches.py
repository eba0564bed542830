"""Patches: smooth maps from each image's own seed."""

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf.models import noise, patches

SEEDS = tf.constant([5, 6, 7, 8], tf.int64)
LIKE = tf.zeros([4, 128, 96, 2])


def smooth(seeds=SEEDS, width=32, like=LIKE):
    return patches.smooth(seeds, 9, like, 1, width).numpy()


@pytest.mark.parametrize(
    "height, width, apart", [(16, 16, 8), (24, 16, 8), (48, 128, 32)]
)
def test_maps_are_bicubic_noise(height, width, apart):
    like = tf.zeros([4, height, width, 1])
    found = patches.smooth(SEEDS, 9, like, 2, apart)
    grid = [tf.range(n // apart + 2) for n in (height, width)]
    values = noise.field(SEEDS, 9, *grid, 2)
    wanted = tf.image.resize(values, [height, width], "bicubic")
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_an_image_has_its_own_map_whatever_batch_it_is_in():
    whole = smooth()
    assert whole.shape == (4, 128, 96, 1)
    alone = smooth(SEEDS[2:3], like=LIKE[:1])
    np.testing.assert_allclose(whole[2], alone[0], atol=1e-6)
    assert np.abs(whole[0] - whole[1]).max() > 0.5


def test_about_half_of_many_maps_is_above_zero():
    seeds = tf.range(400, dtype=tf.int64)
    like = tf.zeros([400, 64, 64, 1])
    above = smooth(seeds, like=like) > 0
    assert 0.47 < above.mean() < 0.53


def borders(width):
    """Share of neighbours in a row that differ."""
    above = smooth(width=width)[..., 0] > 0
    return (above[:, :, 1:] != above[:, :, :-1]).mean()


def test_features_are_as_wide_as_they_should_be():
    assert 1.5 < borders(16) / borders(32) < 2.6
    # A fine map's sign changes about every other random value.
    assert 0.25 / 8 < borders(8) < 1.0 / 8
