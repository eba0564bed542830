"""A segmenter asked all ways round: the mean of what it says, taken back."""

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf.config import NetworkConfig
from histogan_tf.models import turned
from histogan_tf.models.segmenter import Segmenter

CLASSES = 3


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def numpy_turn(values, number):
    """[H, W, C] by NumPy: quarter turns, then rows the other way up."""
    out = np.rot90(values, number % 4)
    return out[::-1] if number >= 4 else out


def numpy_back(values, number):
    values = values[::-1] if number >= 4 else values
    return np.rot90(values, -(number % 4))


@pytest.fixture(scope="module")
def network():
    made = Segmenter(NetworkConfig((4, 5)), CLASSES)
    made(tf.zeros([1, 4, 4, 3]), tf.zeros([1, 4, 4, CLASSES]))
    for place, variable in enumerate(made.trainable_variables):
        variable.assign(numbers(*variable.shape, seed=place))
    return made


@pytest.mark.parametrize("number", range(turned.MOST))
def test_a_turn_is_numpys_and_comes_back(number):
    values = numbers(2, 5, 7, 3)
    found = turned.turn(tf.constant(values), number)
    for one, wanted in zip(found.numpy(), values, strict=True):
        np.testing.assert_array_equal(one, numpy_turn(wanted, number))
    np.testing.assert_array_equal(turned.turn_back(found, number), values)


def test_the_eight_turns_differ():
    values = tf.constant(numbers(1, 6, 6, 1))
    found = [turned.turn(values, n).numpy() for n in range(turned.MOST)]
    assert len({one.tobytes() for one in found}) == 8


@pytest.mark.parametrize("views", [1, 3, 8])
def test_the_mean_of_what_the_network_says(network, views):
    image, coarse = numbers(12, 8, 3), np.abs(numbers(12, 8, CLASSES, seed=1))
    wanted = 0
    for number in range(views):
        shown, opinion = (
            np.ascontiguousarray(numpy_turn(value, number))[None]
            for value in (image, coarse)
        )
        logits = network(shown, opinion).numpy()[0]
        shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        wanted = wanted + numpy_back(shares, number) / views
    found = turned.Turned(network, views)(image[None], coarse[None])
    np.testing.assert_allclose(tf.nn.softmax(found)[0], wanted, atol=1e-5)
    alone = tf.nn.softmax(network(image[None], coarse[None]))[0]
    assert (np.abs(alone - wanted).max() > 1e-3) == (views > 1)


@pytest.mark.parametrize("views", [0, 9])
def test_so_many_ways_there_are_not(network, views):
    with pytest.raises(ValueError, match=f"views: {views}; use 1 to 8"):
        turned.Turned(network, views)
