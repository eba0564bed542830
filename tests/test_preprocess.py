"""Pixels and class ids between files and networks."""

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf import preprocess


def test_unit_and_back():
    every = np.arange(256, dtype=np.uint8)
    unit = preprocess.to_unit(tf.constant(every))
    assert unit.dtype == tf.float32
    assert unit.numpy()[[0, 255]].tolist() == [-1, 1]
    np.testing.assert_array_equal(preprocess.unit_to_uint8(unit), every)


def test_one_hot_takes_ignored_pixels_for_class_0():
    mask = tf.constant([[0, 2, 255]], tf.uint8)
    found = preprocess.one_hot(mask, 3)
    assert found.numpy().tolist() == [[[1, 0, 0], [0, 0, 1], [1, 0, 0]]]


def test_class_ids_take_the_first_of_the_largest():
    ids = np.random.default_rng(0).integers(0, 3, (2, 37, 41, 5))
    shares = tf.constant(ids, tf.float32)  # ties everywhere
    found = preprocess.class_ids(shares)
    assert found.dtype == tf.uint8
    np.testing.assert_array_equal(found, ids.argmax(-1))


@pytest.mark.parametrize(("before", "after"), [(0, 0), (2, 1), (7, 11)])
@pytest.mark.parametrize("size", [1, 3])
def test_mirror_as_numpy_does(size, before, after):
    values = np.arange(2 * size * 2).reshape(2, size, 2)
    found = preprocess.mirror(tf.constant(values), before, after, 1)
    wanted = np.pad(values, [(0, 0), (before, after), (0, 0)], "symmetric")
    np.testing.assert_array_equal(found, wanted)
