"""Segmenter: sizes, windows, and that the coarser opinion is heard."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf.config import NetworkConfig
from histogan_tf.models.segmenter import Segmenter, no_opinion

WIDTHS = (4, 6, 8)


def inputs(classes, size=16, count=2):
    rng = np.random.default_rng(classes)
    image = rng.uniform(-1, 1, (count, size, size, 3))
    opinion = rng.dirichlet(np.ones(classes), (count, size, size))
    return tf.constant(image, tf.float32), tf.constant(opinion, tf.float32)


@functools.cache
def shaken(levels, classes):
    network = Segmenter(NetworkConfig(WIDTHS[:levels]), classes)
    network(*inputs(classes))
    rng = np.random.default_rng(levels)
    for variable in network.trainable_variables:
        fan = max(1, np.prod(variable.shape[:-1]))
        variable.assign(rng.normal(0, fan**-0.5, variable.shape))
    return network


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_one_output_a_class(levels, classes):
    network = shaken(levels, classes)
    assert network.stride == 2 ** (levels - 1)
    logits = network(*inputs(classes))
    assert logits.shape == (2, 16, 16, classes)
    assert logits.dtype == tf.float32
    assert np.isfinite(logits).all() and np.std(logits) > 0.01


@pytest.mark.parametrize("classes", [2, 5])
def test_no_opinion_is_uniform(classes):
    found = no_opinion(tf.zeros([2, 3, 4, 3]), classes).numpy()
    np.testing.assert_allclose(
        found, np.full((2, 3, 4, classes), 1 / classes), rtol=1e-6
    )


@pytest.mark.parametrize("patch", [1, 2])
def test_no_opinion_needs_no_maps(patch):
    network = Segmenter(NetworkConfig(WIDTHS), 3, patch)
    image, opinion = inputs(3)
    network(image, None)  # makes the weights of opinions, too
    kernel = network.first.conv.kernel
    assert kernel.shape[2] == 6 * patch**2
    rng = np.random.default_rng(patch)
    kernel.assign(rng.normal(0, 0.2, kernel.shape))
    without = network(image, None).numpy()
    uniform = network(image, no_opinion(image, 3)).numpy()
    np.testing.assert_allclose(without, uniform, atol=1e-5)
    assert np.abs(network(image, opinion).numpy() - uniform).max() > 0.01


def test_no_opinion_in_bfloat16():
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        network = Segmenter(NetworkConfig(WIDTHS), 3)
        image, _ = inputs(3)
        without = network(image, None).numpy()
        uniform = network(image, no_opinion(image, 3)).numpy()
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    np.testing.assert_allclose(without, uniform, atol=0.05)
    assert network.first.conv.kernel.dtype == tf.float32


def test_the_coarser_opinion_is_heard():
    network = shaken(2, 2)
    image, opinion = inputs(2)
    with_it = network(image, opinion).numpy()
    without = network(image, no_opinion(image, 2)).numpy()
    assert np.abs(with_it - without).max() > 0.01


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_a_window_inside_is_a_crop_of_the_whole(levels):
    network = shaken(levels, 2)
    image, opinion = inputs(2, 96, 1)
    whole = network(image, opinion).numpy()
    a, b = 8, 88
    part = network(image[:, a:b, a:b], opinion[:, a:b, a:b]).numpy()
    halo = {1: 8, 2: 18, 3: 36}[levels]
    inside = slice(halo, b - a - halo)
    np.testing.assert_allclose(
        part[:, inside, inside],
        whole[:, a:b, a:b][:, inside, inside],
        atol=1e-4,
    )


def test_images_of_a_batch_do_not_mix():
    network = shaken(2, 2)
    image, opinion = inputs(2)
    whole = network(image, opinion).numpy()
    alone = network(image[1:2], opinion[1:2])
    np.testing.assert_allclose(alone, whole[1:2], atol=1e-5)


def test_every_weight_gets_a_gradient():
    network = shaken(3, 5)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(network(*inputs(5))))
    variables = network.trainable_variables
    for gradient, variable in zip(
        tape.gradient(loss, variables), variables, strict=True
    ):
        assert gradient is not None, variable.name
        assert np.abs(gradient).max() > 0, variable.name
