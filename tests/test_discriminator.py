"""Critic: N + 1 decisions a pixel, per image, trained by every weight."""

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf.config import NetworkConfig
from histogan_tf.models import fused, losses
from histogan_tf.models.discriminator import (
    Discriminator,
    beside_detail,
    moved,
    places,
)

WIDTHS = (4, 6, 8)


def images(count=2, size=16, seed=0):
    rng = np.random.default_rng(seed)
    return tf.constant(rng.uniform(-1, 1, (count, size, size, 3)), tf.float32)


@pytest.mark.parametrize(
    "levels, classes, blocks",
    [(1, 2, 1), (1, 5, 1), (2, 2, 2), (2, 5, 1), (3, 2, 1), (3, 5, 1)],
)
def test_one_output_more_than_classes(levels, classes, blocks):
    critic = Discriminator(NetworkConfig(WIDTHS[:levels], blocks), classes)
    logits = critic(images())
    assert logits.shape == (2, 16, 16, classes + 1)
    assert logits.dtype == tf.float32
    assert np.isfinite(logits).all()


def test_images_of_a_batch_do_not_mix():
    critic = Discriminator(NetworkConfig(WIDTHS[:2]), 2)
    x = images(3)
    np.testing.assert_allclose(critic(x)[1:2], critic(x[1:2]), atol=1e-5)


def test_training_updates_norms_and_inference_nothing():
    critic = Discriminator(NetworkConfig(WIDTHS[:2]), 2)
    x = images(1)
    critic(x)
    before = [v.numpy() for v in critic.variables]
    critic(x)
    for old, new in zip(before, critic.variables, strict=True):
        np.testing.assert_array_equal(old, new)
    critic(x, training=True)
    moved = [
        (old != new.numpy()).any()
        for old, new in zip(before, critic.variables, strict=True)
    ]
    assert any(moved)


def test_every_weight_gets_a_gradient():
    critic = Discriminator(NetworkConfig(WIDTHS), 3)
    x, labels = images(), tf.one_hot(tf.zeros([2, 16, 16], tf.int32), 3)
    with tf.GradientTape() as tape:
        logits = critic(x, training=True)
        loss = tf.reduce_sum(
            losses.cross_entropy(logits, labels, tf.ones(3))
            + losses.generated(logits)
        )
    variables = critic.trainable_variables
    for gradient, variable in zip(
        tape.gradient(loss, variables), variables, strict=True
    ):
        assert gradient is not None, variable.name
        assert np.abs(gradient).max() > 0, variable.name


def patched(patch, size, levels=2):
    """A critic of patches of an image's size, every weight in play."""
    critic = Discriminator(NetworkConfig(WIDTHS[:levels]), 2, patch)
    critic(images(1, size))
    rng = np.random.default_rng(3)
    for variable in critic.trainable_variables:
        fan = max(1, np.prod(variable.shape[:-1]))
        variable.assign(rng.normal(0, fan**-0.5, variable.shape))
    return critic


def test_moved_down_and_right_and_back_by_hand():
    x = tf.reshape(tf.range(9.0), [1, 3, 3, 1])
    both = tf.concat([x, x], 0)
    down = moved(both, tf.constant([[1, 0], [1, 1]]), 2, 1)[..., 0]
    # The border's own rows and columns come in.
    wanted = [
        [[0, 1, 2], [0, 1, 2], [3, 4, 5]],
        [[0, 0, 1], [0, 0, 1], [3, 3, 4]],
    ]
    np.testing.assert_array_equal(down, wanted)
    back = moved(both, tf.constant([[0, 1], [2, 0]]), 3, -1)[..., 0]
    wanted = [
        [[1, 2, 2], [4, 5, 5], [7, 8, 8]],
        [[6, 7, 8], [6, 7, 8], [3, 4, 5]],
    ]
    np.testing.assert_array_equal(back, wanted)


@pytest.mark.parametrize("sign", [1, -1])
def test_moving_is_the_same_fused(sign, bfloat16):
    x, place = images(2, 6), tf.constant([[0, 1], [2, 0]])

    def both():
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = moved(x, place, 3, sign)
            total = tf.reduce_sum(result**3)
        return result, tape.gradient(total, x)

    wanted = both()
    with fused.fusing():
        found = both()
    np.testing.assert_array_equal(found[0], wanted[0])
    np.testing.assert_allclose(found[1], wanted[1], rtol=1e-5)


def test_places_are_an_images_own_and_all_alike_in_number():
    seeds = tf.range(4000, dtype=tf.int64) * 977
    found = places(seeds, 2).numpy()
    assert found.dtype == np.int64
    counts = np.bincount(found @ [2, 1], minlength=4)
    assert np.abs(counts - 1000).max() < 137  # five standard errors
    np.testing.assert_array_equal(places(seeds[7:9], 2), found[7:9])
    assert set(places(seeds, 3).numpy().ravel()) == {0, 1, 2}
    assert places(seeds, 1) is None


@pytest.mark.parametrize("patch", [2, 3])
def test_patches_begin_at_the_images_place(patch):
    critic, x = patched(patch, 36, levels=1), images(2, 36)
    by = patch - 1
    place = tf.constant([[by, 0], [0, by]])
    found = critic(x, place=place).numpy()
    shifts = [(by, 0), (0, by)]
    shifted = tf.stack(
        [tf.roll(i, s, (0, 1)) for i, s in zip(x, shifts, strict=True)]
    )
    plain = critic(shifted).numpy()
    # Far from what came in over the border.
    inner = slice(16, 20)
    for n, (down, right) in enumerate(shifts):
        there = plain[n, 16 + down : 20 + down, 16 + right : 20 + right]
        np.testing.assert_allclose(found[n, inner, inner], there, atol=1e-5)
    still = critic(x).numpy()
    assert np.abs(found - still)[:, inner, inner].max() > 1e-3


def test_patches_have_an_output_for_each_pixel_and_a_gradient_for_each():
    critic, x = patched(2, 16), images(1)
    with tf.GradientTape() as tape:
        tape.watch(x)
        logits = critic(x, place=tf.constant([[1, 1]]))
        total = tf.reduce_sum(tf.square(logits))
    assert logits.shape == (1, 16, 16, 3)
    # The last row and column have been moved out.
    assert np.abs(tape.gradient(total, x)[:, :-1, :-1]).min() > 0
    # Neighbours within a patch differ, up to the row that stands in.
    for axis in (0, 1):
        steps = np.abs(np.diff(logits[0, :-1, :-1], axis=axis))
        assert steps.min() > 0


def test_detail_is_four_times_what_3x3_averages_lack():
    image = np.zeros((1, 6, 6, 3), np.float32)
    image[0, 2, 3] = 1, -0.9, 0.45
    seen = beside_detail(tf.constant(image)).numpy()
    np.testing.assert_array_equal(seen[..., :3], image)
    wanted = np.zeros((6, 6))
    wanted[1:4, 2:5] = -4 / 9
    wanted[2, 3] = 4 * (1 - 1 / 9)
    for channel, value in enumerate((1, -0.9, 0.45)):
        np.testing.assert_allclose(
            seen[0, ..., 3 + channel], value * wanted, atol=1e-6
        )


def test_even_colour_has_no_detail_up_to_the_border():
    image = tf.fill([2, 8, 8, 3], 0.7)
    assert np.abs(beside_detail(image)[..., 3:]).max() < 1e-5


def test_detail_is_exact_where_convolutions_are_bfloat16():
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        critic = Discriminator(NetworkConfig(WIDTHS[:2]), 2)
        seen = []
        first = critic.first

        def watched(x, training):
            seen.append(x)
            return first(x, training=training)

        critic.first = watched
        logits = critic(images())
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    (found,) = seen
    np.testing.assert_array_equal(found, beside_detail(images()))
    assert first.compute_dtype == "bfloat16"
    assert logits.dtype == tf.float32
