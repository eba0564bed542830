"""Images in the stain of other tiles: whose, and how many of them."""

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf.data import colour
from histogan_tf.models import fused, other_stain

PALE = [1.0, -1.0, 0.5, 0.2, -0.5, 0.0]
DARK = [-1.0, 0.5, -0.5, 0.0, 0.0, 0.2]
STYLES = tf.constant([PALE, DARK], tf.float32)


def batch(count=40, size=16):
    """Tissue-like colours, whose style is that of their own pixels."""
    rng = np.random.default_rng(0)
    image = tf.constant(
        np.array([0.3, -0.2, 0.25])
        + rng.normal(0, 0.1, (count, size, size, 3)),
        tf.float32,
    )
    return {
        "image": image,
        "style": colour.style_of(image),
        "seed": tf.range(count, dtype=tf.int64),
    }


def test_drawn_styles_belong_to_their_seeds():
    styles = tf.constant(np.arange(18.0).reshape(3, 6), tf.float32)
    seeds = tf.range(200, dtype=tf.int64)
    drawn = other_stain.drawn_styles(styles, seeds, 7, 0.0).numpy()
    assert {tuple(row) for row in drawn} == {
        tuple(row) for row in styles.numpy()
    }
    some = other_stain.drawn_styles(styles, seeds[50:60], 7, 0.0).numpy()
    np.testing.assert_array_equal(some, drawn[50:60])
    moved = other_stain.drawn_styles(styles, seeds, 7, 0.2).numpy() - drawn
    assert np.abs(moved[:, :3]).max() <= 0.2 * 3**0.5 + 1e-5
    assert moved[:, :3].std() == pytest.approx(0.2, rel=0.15)
    assert (moved[:, 3:] == 0).all()


def test_images_take_the_stain_of_a_training_tile():
    data = batch()
    found = other_stain.restained(STYLES, 0.0, 1.0)(data)
    means = colour.style_of(found).numpy()[:, :3]
    wanted = np.array([PALE, DARK])[:, :3]
    gaps = np.abs(means[:, None] - wanted[None]).max(-1)
    # Clipped colours move the mean a little; the stains are 1 to 2 apart.
    assert gaps.min(1).max() < 0.35
    chosen = gaps.argmin(1)
    assert 8 <= chosen.sum() <= 32  # 20 expected, deviation 3.2


def test_the_share_of_images_that_change_their_stain():
    data = batch(200, 8)
    found = other_stain.restained(STYLES, 0.0, 0.25)(data)
    moved = colour.style_of(found).numpy() - data["style"].numpy()
    changed = np.abs(moved[:, :3]).max(1) > 0.4
    # 50 expected, deviation 6.
    assert 32 <= changed.sum() <= 68


def test_a_view_depends_on_the_images_own_seed_alone():
    data, view = batch(6), other_stain.restained(STYLES, 0.15, 0.5)
    whole = view(data).numpy()
    some = view({name: value[2:] for name, value in data.items()}).numpy()
    np.testing.assert_allclose(some, whole[2:], atol=1e-5)
    assert other_stain.as_it_is(data) is data["image"]


def test_jitter_before_another_stain_cancels():
    data, view = batch(6), other_stain.restained(STYLES, 0.15, 1.0)
    draws = tf.constant(np.random.default_rng(1).uniform(-1, 1, (6, 6)))
    draws = tf.cast(draws, tf.float32)
    image, style = colour.jitter(data["image"], data["style"], draws, 0.15)
    assert np.abs(image - data["image"]).mean() > 0.01
    jittered = view({**data, "image": image, "style": style})
    np.testing.assert_allclose(jittered, view(data), atol=1e-3)


def test_a_stain_is_the_same_fused(bfloat16):
    data, view = batch(), other_stain.restained(STYLES, 0.1, 0.5)
    with fused.fusing():
        found = view(data)
    assert found.dtype == tf.float32
    # Powers differ in their last digits, and Lab's cubes make more of that.
    np.testing.assert_allclose(found, view(data), atol=1e-4)
