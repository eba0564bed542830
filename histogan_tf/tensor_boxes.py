"""Boxes inside graphs: parts of tensors by absolute rows and columns.

In: tensors [B, H, W, C], the absolute place of their first pixel, boxes as
`regions.to_array` gives them. Out: the parts.
"""

import tensorflow as tf


def cut(values: tf.Tensor, start: tf.Tensor, box: tf.Tensor) -> tf.Tensor:
    """The part of [B, H, W, C] in a box.

    Args:
      values: [B, H, W, C] of any type.
      start: int64 [2], absolute row and column of the first pixel.
      box: int64 [4], top, bottom, left, right.
    """
    top, bottom, left, right = tf.unstack(box)
    return values[
        :,
        top - start[0] : bottom - start[0],
        left - start[1] : right - start[1],
    ]


def start_of(box: tf.Tensor) -> tf.Tensor:
    """Row and column of a box's first pixel, int64 [2]."""
    return tf.gather(box, [0, 2])
