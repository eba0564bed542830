"""Pixels and class ids between files and networks, in stock TensorFlow ops.

In: uint8 images, masks of class ids, soft labels; any leading axes. Out: what
the networks take, and back. Training, the canvas and exported graphs share
these functions, so that a served model sees what it was trained on.
"""

import tensorflow as tf

from histogan_tf.data.classes import IGNORE


def to_unit(image: tf.Tensor) -> tf.Tensor:
    """Values of [0, 255] of any number type -> float32 in [-1, 1]."""
    return tf.cast(image, tf.float32) / 127.5 - 1.0


def to_uint8(values: tf.Tensor) -> tf.Tensor:
    """Rounds and clips values of [0, 255]."""
    return tf.cast(tf.round(tf.clip_by_value(values, 0.0, 255.0)), tf.uint8)


def unit_to_uint8(image: tf.Tensor) -> tf.Tensor:
    """float32 in [-1, 1] -> uint8, rounded and clipped."""
    return to_uint8((image + 1.0) * 127.5)


def one_hot(mask: tf.Tensor, classes: int) -> tf.Tensor:
    """uint8 class ids [...] -> float32 [..., classes]; 255 is class 0."""
    known = tf.where(mask == IGNORE, tf.zeros_like(mask), mask)
    return tf.one_hot(known, classes)


def class_ids(probabilities: tf.Tensor) -> tf.Tensor:
    """[..., N] -> uint8 [...]: the first of the largest."""
    ids = tf.argmax(probabilities, axis=-1, output_type=tf.int32)
    return tf.cast(ids, tf.uint8)


def hard_mask(shares: tf.Tensor) -> tf.Tensor:
    """Classes' shares [..., N] of each pixel -> uint8 [...], 255 = ignore.

    The largest share wins; a pixel of which less than half is known is
    ignored.
    """
    # A sum of rounded bytes can end a little below one half.
    unknown = tf.reduce_sum(shares, axis=-1) < 0.498
    ids = class_ids(shares)
    return tf.where(unknown, tf.constant(IGNORE, tf.uint8), ids)


def mirror(
    values: tf.Tensor, before: tf.Tensor, after: tf.Tensor, axis: int
) -> tf.Tensor:
    """Mirrors an axis beyond its ends, as often as it takes.

    Args:
      values: any tensor of one element or more along `axis`.
      before: how many elements to add in front, int32 [], >= 0.
      after: the same behind.
      axis: which one.

    Returns:
      Like `values`; the element before the first is the first itself.
    """
    size = tf.shape(values)[axis]
    place = tf.range(-before, size + after) % (2 * size)
    return tf.gather(values, tf.minimum(place, 2 * size - 1 - place), axis=axis)
