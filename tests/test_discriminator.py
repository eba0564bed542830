"""Critic: N + 1 decisions a pixel, per image, trained by every weight."""

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf.config import NetworkConfig
from histogan_tf.models import losses
from histogan_tf.models.discriminator import Discriminator, beside_detail

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
