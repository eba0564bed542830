"""Noise that belongs to a place on the canvas, not to a window of it.

In: a seed per image, a stream number, absolute rows and columns.
Out: float32 noise [B, H, W, C], uniform with mean 0 and variance 1.

Each value is a hash of (seed, stream, row, column, channel), so any window
of a canvas carries the same noise as the whole, and a training step draws
the same numbers on one replica as on many. Uniform, because one hash gives
two 16-bit uniforms at a tenth of the price of two Gaussians.

The mixer is `lowbias32` (C. Wellons, "Prospecting for hash functions",
2018), 32 bits carried in int64, which TensorFlow multiplies on CPU and GPU.
"""

import enum
import functools
from collections.abc import Callable, Iterable

import tensorflow as tf

from histogan_tf.models.fused import is_loop, looped

_MASK = 0xFFFFFFFF
_SPREAD = 3**0.5


@enum.unique
class Stream(enum.IntEnum):
    """What is drawn by an image's seed; generators have those below 1000.

    A number says where a run's draws come from: one that changes makes
    another run of the same seed.
    """

    # The coarser image that a stage sees (`coarse_view`).
    COARSE_AMOUNT = 1001
    COARSE_NOISE = 1002
    COARSE_BLUR = 1003
    # The coarser opinion that a stage's segmenter sees (`segmenter_loss`).
    OPINION_SHOWN = 1011
    OPINION_TRUST = 1012
    OPINION_OTHER = 1013
    # Another tile's stain (`other_stain`), and the share that gets it.
    STAIN_TILE = 1021
    STUDENT_GRAIN = 1022
    STAIN_SHARE = 1025
    PAINTED_PATCHES = 1026
    # Where a critic's patches begin (`discriminator.places`).
    CRITIC_PLACE = 1031
    # Crops: from where, which way round, bent how (`augment`, `epochs`).
    CROP_PLACE = 2001
    CROP_TURN = 2002
    CROP_WARP = 2003
    CROP_STAIN = 2004
    EPOCH_ORDER = 2005
    CROP_ANGLE = 2006
    # Stains of what the pyramid paints, and of what the judge reads.
    PAINTED_STAIN = 3001
    JUDGED_STAIN = 3002


def _shift(x: tf.Tensor, bits: int | tf.Tensor) -> tf.Tensor:
    return tf.bitwise.right_shift(x, tf.convert_to_tensor(bits, tf.int64))


def mix(x: tf.Tensor) -> tf.Tensor:
    """lowbias32 of int64 values in [0, 2**32)."""
    x = tf.bitwise.bitwise_xor(x, _shift(x, 16))
    x = tf.bitwise.bitwise_and(x * 0x7FEB352D, _MASK)
    x = tf.bitwise.bitwise_xor(x, _shift(x, 15))
    # 0x846ca68b * 2**32 leaves int64, but its low 32 bits stay right.
    x = tf.bitwise.bitwise_and(x * 0x846CA68B, _MASK)
    return tf.bitwise.bitwise_xor(x, _shift(x, 16))


def _absorb(state: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    value = tf.bitwise.bitwise_and(tf.cast(value, tf.int64), _MASK)
    return mix(tf.bitwise.bitwise_xor(state, mix(value + 0x9E3779B9 & _MASK)))


def _start(seed: tf.Tensor, stream: int | tf.Tensor) -> tf.Tensor:
    seed = tf.cast(seed, tf.int64)
    stream = tf.convert_to_tensor(stream, tf.int64)
    high = _absorb(stream, _shift(seed, 32))
    return _absorb(high, seed)


def field(
    seed: tf.Tensor,
    stream: int,
    rows: tf.Tensor,
    columns: tf.Tensor,
    channels: int,
) -> tf.Tensor:
    """Noise at absolute positions.

    Args:
      seed: int64 [B], one per image.
      stream: tells apart stages, levels and purposes (`Stream`); static.
      rows, columns: integers [H] and [W], or [B, H] and [B, W] where each
        image has a place of its own; may be negative.
      channels: C, static.

    Returns:
      float32 [B, H, W, C] in [-sqrt(3), sqrt(3)], mean 0, variance 1.
    """
    return _grains(stream, channels)(seed, rows, columns)


@functools.cache
def _grains(stream: int, channels: int) -> Callable[..., tf.Tensor]:
    """`field` of a stream, a loop of its own where steps are fused."""

    def grains(
        seed: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor
    ) -> tf.Tensor:
        if is_loop():
            return _field(seed, stream, rows, columns, channels)
        # Of each image, or the same for all: two axes either way.
        rows, columns = (
            tf.cast(x if len(x.shape) == 2 else x[None], tf.int64)
            for x in (rows, columns)
        )
        seed = tf.cast(seed, tf.int64)
        found = _traced_field(seed, stream, rows, columns, channels)
        sides = [rows.shape[1], columns.shape[1]]
        found.set_shape([seed.shape[0], *sides, channels])
        return found

    return looped(grains)


def _field(
    seed: tf.Tensor,
    stream: int | tf.Tensor,
    rows: tf.Tensor,
    columns: tf.Tensor,
    channels: int | tf.Tensor,
) -> tf.Tensor:
    state = _start(seed, stream)[:, None, None]
    state = _absorb(state, rows[..., :, None])
    state = _absorb(state, columns[..., None, :])[..., None]
    words = (channels + 1) // 2
    if is_loop():
        # Each word twice, as joining two halves takes a loop longer.
        channel = tf.range(channels, dtype=tf.int64)
        word = mix(tf.bitwise.bitwise_xor(state, channel % words))
        both = _shift(word, 16 * (channel // words))
        both = tf.bitwise.bitwise_and(both, 0xFFFF)
    else:
        word = tf.range(words, dtype=tf.int64)
        word = mix(tf.bitwise.bitwise_xor(state, word))
        low = tf.bitwise.bitwise_and(word, 0xFFFF)
        both = tf.concat([low, _shift(word, 16)], axis=-1)[..., :channels]
    unit = (tf.cast(both, tf.float32) + 0.5) / 32768.0 - 1.0
    return unit * _SPREAD


def _numbers(seed: tf.Tensor, stream: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    zero = tf.zeros([1], tf.int64)
    values = _field(seed, stream, zero, zero, count)[:, 0, 0, :]
    return values / (2 * _SPREAD) + 0.5


def _traced(
    function: Callable[..., tf.Tensor], ranks: Iterable[int]
) -> Callable[..., tf.Tensor]:
    """`function`, traced once for all calls; it takes int64 of these ranks."""
    specs = [tf.TensorSpec([None] * rank, tf.int64) for rank in ranks]
    return tf.function(function, input_signature=specs, autograph=False)


# As plain ops they were half of what a pipeline has, and a fifth of a step.
# TensorFlow inlines them and folds channels and counts, so it runs the same.
_traced_field = _traced(_field, (1, 0, 2, 2, 0))
_traced_numbers = _traced(_numbers, (1, 0, 0))


def uniform(seed: tf.Tensor, stream: int, count: int = 1) -> tf.Tensor:
    """Numbers per image: float32 [B, count] in (0, 1)."""
    seed = tf.cast(seed, tf.int64)
    numbers = _traced_numbers(seed, stream, count)
    numbers.set_shape([seed.shape[0], count])
    return numbers


def pixels(
    seed: tf.Tensor, stream: int, like: tf.Tensor, channels: int
) -> tf.Tensor:
    """Noise over the pixels of `like` [B, H, W, ...], origin at (0, 0)."""
    shape = tf.shape(like)
    return field(seed, stream, tf.range(shape[1]), tf.range(shape[2]), channels)
