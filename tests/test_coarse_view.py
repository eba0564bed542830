"""The coarser image while training: averaged, then blurred and noisy."""

import numpy as np
import tensorflow as tf

from histogan_tf.models import coarse_view, layers


def batch():
    rng = np.random.default_rng(0)
    return {
        "image": tf.constant(rng.uniform(-1, 1, (6, 16, 16, 3)), tf.float32),
        "seed": tf.constant([3, 1, 4, 15, 9, 2], tf.int64),
    }


def test_clean_is_the_enlarged_average():
    clean, _ = coarse_view.views(batch(), 0.3)
    image = batch()["image"].numpy()
    small = image.reshape(6, 8, 2, 8, 2, 3).mean((2, 4))
    wanted = tf.image.resize(small, [16, 16], "bilinear")
    np.testing.assert_allclose(clean, wanted, atol=1e-6)


def test_without_noise_it_lies_between_sharp_and_soft():
    clean, seen = coarse_view.views(batch(), 0.0)
    small = layers.halve(batch()["image"])
    soft = layers.double(layers.soften(small)).numpy()
    way, gap = soft - clean.numpy(), seen.numpy() - clean.numpy()
    # Each image goes one share of the way, drawn by its seed.
    shares = (gap * way).sum((1, 2, 3)) / (way**2).sum((1, 2, 3))
    np.testing.assert_allclose(
        gap, shares[:, None, None, None] * way, atol=1e-5
    )
    assert shares.min() >= 0 and shares.max() <= 1 and np.ptp(shares) > 0.2


def test_noise_is_within_its_limit():
    _, plain = coarse_view.views(batch(), 0.0)
    _, noisy = coarse_view.views(batch(), 0.1)
    gap = np.abs(noisy - plain).max((1, 2, 3))
    assert (gap > 0).all() and gap.max() <= 0.1 * 3**0.5 + 1e-6
