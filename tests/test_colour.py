"""Lab against known values, styles by hand, and stain that goes where told."""

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf.data import colour


def pixels(*rgb):
    """[1, 1, n, 3] in [-1, 1] from colours in [0, 255]."""
    return tf.constant([[list(rgb)]], tf.float32) / 127.5 - 1.0


def tissue(count=3, size=32):
    """Muted pinks and purples: a stain moved a little stays inside RGB."""
    rng = np.random.default_rng(4)
    base = rng.uniform([150, 90, 140], [190, 130, 180], (count, 1, 1, 3))
    noise = rng.normal(0, 8, (count, size, size, 3))
    return tf.constant((base + noise) / 127.5 - 1.0, tf.float32)


@pytest.mark.parametrize(
    "rgb, lab",
    [
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((128, 128, 128), (53.59, 0, 0)),
    ],
)
def test_lab_of_known_colours(rgb, lab):
    found = colour.to_lab(pixels(rgb)).numpy().ravel()
    np.testing.assert_allclose(found, lab, atol=0.02)


def test_lab_and_back():
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 9)] * 3), -1)
    image = tf.constant(grid.reshape(1, 27, 27, 3), tf.float32)
    back = colour.from_lab(colour.to_lab(image))
    np.testing.assert_allclose(back, image, atol=2e-3)


def test_colours_beyond_the_range_are_clipped():
    found = colour.from_lab(tf.constant([[[[120.0, 90, 90], [-9, 0, 0]]]]))
    assert np.min(found) >= -1 and np.max(found) <= 1
    same = colour.to_lab(tf.constant([[[[3.0, 3, 3]]]]))
    np.testing.assert_allclose(same, [[[[100, 0, 0]]]], atol=0.02)


def test_style_by_hand():
    # L of this grey is 53.59 and of black 0, a = b = 0; white is no tissue.
    white, grey, black = (255, 255, 255), (128, 128, 128), (0, 0, 0)
    found = colour.style_of(pixels(grey, black, white, white)).numpy()[0]
    half = 53.59 / 2
    moments = np.array([half, 0, 0, half, 0, 0])
    wanted = (moments - colour.STYLE_CENTRE) / colour.STYLE_SCALE
    np.testing.assert_allclose(found, wanted, atol=0.01)
    assert found.shape == (colour.STYLE_SIZE,)
    # Nothing but glass has a style all the same.
    found = colour.style_of(pixels(white, white)).numpy()[0]
    wanted = (np.eye(6)[0] * 100 - colour.STYLE_CENTRE) / colour.STYLE_SCALE
    np.testing.assert_allclose(found, wanted, atol=0.01)


@pytest.mark.parametrize(
    "lab, wanted",
    [
        ((92, 0, 0), 0),
        ((87, 0, 0), 0.5),
        ((82, 0, 0), 1),
        ((100, 6, 0), 0),
        ((100, 0, -9), 1 - (144 - 81) / 108),
        ((100, 12, 0), 1),
    ],
)
def test_stain_by_lightness_and_chroma(lab, wanted):
    found = colour.stained(tf.constant([lab], tf.float32))
    np.testing.assert_allclose(found, [[wanted]], atol=1e-6)


def test_glass_stays_white_in_every_stain():
    image = tissue(1).numpy()
    image[:, :8] = 1.0
    old = colour.style_of(tf.constant(image))
    np.testing.assert_allclose(
        old, colour.style_of(tissue(1)[:, 8:]), atol=0.01
    )
    new = old + tf.constant([[-2.0, 1, -1, 0.3, 0, 0]])
    found = colour.restain(tf.constant(image), old, new).numpy()
    np.testing.assert_allclose(found[:, :8], 1.0, atol=2e-3)
    assert np.abs(found - image)[:, 8:].min() > 0.05


def test_moments_undo_standardise():
    style = tf.constant(np.random.default_rng(0).normal(size=(4, 6)))
    style = tf.cast(style, tf.float32)
    back = colour.standardise(colour.moments(style))
    np.testing.assert_allclose(back, style, atol=1e-5)


def test_restain_reaches_the_wanted_style():
    image = tissue()
    old = colour.style_of(image)
    new = old + tf.constant([[0.5, -0.4, 0.3, 0.2, 0.1, -0.1]])
    moved = colour.restain(image, old, new)
    np.testing.assert_allclose(colour.style_of(moved), new, atol=0.02)
    # And back again.
    back = colour.restain(moved, new, old)
    np.testing.assert_allclose(back, image, atol=0.01)


def test_restain_to_the_same_style_changes_nothing():
    image = tissue()
    style = colour.style_of(image)
    same = colour.restain(image, style, style)
    np.testing.assert_allclose(same, image, atol=2e-3)


def test_the_share_of_tissue():
    image = tissue().numpy()
    assert float(colour.tissue_share(tf.constant(image))[0]) > 0.9
    image[:, :, : image.shape[2] // 4] = 0.97  # glass
    share = float(colour.tissue_share(tf.constant(image))[0])
    assert 0.65 < share < 0.76


def test_a_flat_tile_does_not_divide_by_zero():
    image = tf.zeros([1, 8, 8, 3])
    style = colour.style_of(image)
    assert np.isfinite(colour.restain(image, style, style + 1.0)).all()


def test_jitter_moves_the_style_as_it_says():
    image = tissue()
    style = colour.style_of(image)
    draws = tf.constant(
        np.random.default_rng(1).uniform(-1.7, 1.7, (3, 6)), tf.float32
    )
    moved, new = colour.jitter(image, style, draws, 0.15)
    np.testing.assert_allclose(colour.style_of(moved), new, atol=0.03)
    # The mean by amount * draw * scale, the deviation by exp(amount * draw).
    shift = (new - style)[:, :3]
    np.testing.assert_allclose(shift, 0.15 * draws[:, :3], atol=1e-5)
    ratio = colour.moments(new)[:, 3:] / colour.moments(style)[:, 3:]
    np.testing.assert_allclose(ratio, np.exp(0.15 * draws[:, 3:]), rtol=1e-4)


def test_no_jitter_is_the_identity():
    image = tissue()
    style = colour.style_of(image)
    same, new = colour.jitter(image, style, tf.ones([3, 6]), 0.0)
    np.testing.assert_allclose(same, image, atol=2e-3)
    np.testing.assert_allclose(new, style, atol=1e-5)
