"""Tiles in memory: what is fetched is what was stored."""

import numpy as np
import tensorflow as tf

from histogan_tf.data import tile_memory

SIZES = [(3, 5), (4, 2), (1, 1), (6, 3)]


def tiles():
    rng = np.random.default_rng(0)
    for height, width in SIZES:
        yield {
            "image": rng.integers(0, 256, (height, width, 3), np.uint8),
            "labels": rng.integers(0, 256, (height, width, 2), np.uint8),
            "style": rng.normal(size=6).astype(np.float32),
        }


def stored():
    return tile_memory.keep(tiles())


def test_each_number_gives_its_tile():
    # Not in the order of storing.
    numbers = tf.data.Dataset.from_tensor_slices([3, 0, 2, 1, 3])
    found = list(numbers.map(stored().fetch).as_numpy_iterator())
    wanted = list(tiles())
    for number, tile in zip([3, 0, 2, 1, 3], found, strict=True):
        for key, value in wanted[number].items():
            np.testing.assert_array_equal(tile[key], value, key)


def test_static_shapes_are_known_where_they_can_be():
    spec = tf.data.Dataset.range(4).map(stored().fetch).element_spec
    assert spec["image"].shape.as_list() == [None, None, 3]
    assert spec["labels"].shape.as_list() == [None, None, 2]
    assert spec["style"].shape.as_list() == [6]
