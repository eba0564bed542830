"""Smooth random maps: where an image is treated in one of two ways.

In: a seed per image. Out: noise with features of a stated width in pixels,
each image's from its own seed alone, so the same on any number of replicas.
"""

import functools

import numpy as np
import tensorflow as tf

from histogan_tf.models import noise


def smooth(
    seed: tf.Tensor, stream: int, like: tf.Tensor, channels: int, width: int
) -> tf.Tensor:
    """Noise whose features are about `width` pixels wide.

    Args:
      seed: int64 [B].
      stream: of `noise.field`.
      like: [B, H, W, ...], whose size it has; H and W are static.
      channels: C, static.
      width: distance of the random values, between which it is bicubic.

    Returns:
      float32 [B, H, W, C], as likely above 0 as below.
    """
    height, wide = like.shape[1:3]
    down, across = _bicubic(height, width), _bicubic(wide, width)
    rows, columns = (tf.range(n.shape[1]) for n in (down, across))
    values = noise.field(seed, stream, rows, columns, channels)
    flat = tf.reshape(values, [-1, down.shape[1], across.shape[1] * channels])
    # All channels of a row at once: no axis has to be moved.
    each = np.kron(across.T, np.eye(channels, dtype=np.float32))
    return tf.reshape(down @ flat @ each, [-1, height, wide, channels])


@functools.lru_cache
def _bicubic(side: int, width: int) -> np.ndarray:
    """What resizes bicubically to `side` pixels: float32 [side, g].

    As two products of matrices, for TensorFlow's own op has no GPU kernel.
    """
    count = side // width + 2
    unit = np.eye(count, dtype=np.float32)[..., None]
    with tf.init_scope():
        resized = tf.image.resize(unit, [side, count], "bicubic")
        return resized[..., 0].numpy()
