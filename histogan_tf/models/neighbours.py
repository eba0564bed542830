"""Loops over pixels and their neighbours (`fused.py`).

In: maps [B, H, W, C] of known size. Out: maps doubled, halved, softened,
folded, as `layers.double`, ... make them apart.

Each number is a weighted sum of numbers at places that are known beforehand,
and so is its gradient. They are gathered: what is sliced and joined leaves a
branch inside the loop, which then treats one number after the other (AVX2,
bfloat16: 8 maps of 128 x 64 px with 64 channels doubled in 13 ms, gathered in
3). For the same reason few channels are one axis with the columns.
"""

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from histogan_tf.models.fused import fused

# Each summand's weight, and its place for each pixel of the result.
_Taps = list[tuple[float, np.ndarray]]
_FEW = 8  # channels


def double(x: tf.Tensor) -> tf.Tensor:
    """Bilinear, half-pixel centres: [B, H, W, C] -> [B, 2H, 2W, C]."""
    batch, height, width, channels = x.shape
    # By rows, then by columns: one loop's gradient would read 16 pixels.
    for axis in (1, 2):
        x = _loop(_double, _of_double, (axis,), channels)(_flat(x))
    return tf.reshape(x, [batch, 2 * height, 2 * width, channels])


def halve(x: tf.Tensor) -> tf.Tensor:
    """2x2 average: [B, 2H, 2W, C] -> [B, H, W, C]."""
    batch, height, width, channels = x.shape
    x = _loop(_halve, _of_halve, (1, 2), channels)(_flat(x))
    return tf.reshape(x, [batch, height // 2, width // 2, channels])


def soften(x: tf.Tensor) -> tf.Tensor:
    """3x3 average, the border mirrored: like x."""
    y = _flat(x)
    for axis in (1, 2):
        y = _loop(_soften, _soften, (axis,), x.shape[3])(y)
    return tf.reshape(y, x.shape)


def fold(x: tf.Tensor, patch: int) -> tf.Tensor:
    """[B, H, W, C] -> [B, H / patch, W / patch, C * patch**2]."""
    batch, height, width, channels = x.shape
    rows = tf.reshape(x, [batch * height // patch, patch * width * channels])
    y = _ordered(patch, width, channels, False)(rows)
    sizes = [height // patch, width // patch, patch**2 * channels]
    return tf.reshape(y, [batch, *sizes])


def unfold(x: tf.Tensor, patch: int) -> tf.Tensor:
    """Inverse of `fold`."""
    batch, height, width, depth = x.shape
    channels = depth // patch**2
    rows = tf.reshape(x, [batch * height, width * depth])
    y = _ordered(patch, width * patch, channels, True)(rows)
    return tf.reshape(y, [batch, height * patch, width * patch, channels])


@functools.cache
def _ordered(patch: int, width: int, channels: int, back: bool) -> Callable:
    """Puts `patch` rows in the order of patches, or back."""
    each = np.arange(patch * width * channels)
    rows = each.reshape(patch, width // patch, patch, channels)
    forth = rows.transpose(1, 0, 2, 3).ravel()
    orders = [forth, np.argsort(forth)]
    order, other = reversed(orders) if back else orders

    @fused
    @tf.custom_gradient
    def loop(x: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        y = tf.gather(x, order, axis=1)
        return y, lambda dy: tf.gather(dy, other, axis=1)

    return loop


def _flat(x: tf.Tensor) -> tf.Tensor:
    """Few channels beside their columns: [B, H, W * C]."""
    if x.shape.rank == 3 or x.shape[3] >= _FEW:
        return x
    batch, height, width, channels = x.shape
    return tf.reshape(x, [batch, height, width * channels])


@functools.cache
def _loop(
    forth: Callable, back: Callable, axes: tuple[int, ...], channels: int
) -> Callable:
    """`forth` makes the taps of so many pixels, `back` the gradient's."""

    def along(x: tf.Tensor, taps: Callable) -> tf.Tensor:
        for axis in axes:
            beside = channels if axis == 2 and x.shape.rank == 3 else 1
            x = _sum(x, taps(x.shape[axis] // beside), axis, beside)
        return x

    @fused
    @tf.custom_gradient
    def loop(x: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        return along(x, forth), lambda dy: along(dy, back)

    return loop


def _sum(x: tf.Tensor, taps: _Taps, axis: int, beside: int) -> tf.Tensor:
    """Along an axis that holds so many numbers a pixel."""
    each = np.arange(beside)
    summands = []
    for weight, pixel in taps:
        places = np.add.outer(pixel * beside, each).ravel()
        summands.append(weight * tf.gather(x, places, axis=axis))
    return tf.add_n(summands)


def _double(size: int) -> _Taps:
    pixel, odd = np.divmod(np.arange(2 * size), 2)
    return [(0.75, pixel), (0.25, _inside(pixel + 2 * odd - 1, size))]


def _of_double(size: int) -> _Taps:
    first = np.arange(0, size, 2)
    steps = {0: 0.75, 1: 0.75, -1: 0.25, 2: 0.25}
    return [(w, _inside(first + by, size)) for by, w in steps.items()]


def _halve(size: int) -> _Taps:
    first = np.arange(0, size, 2)
    return [(0.5, first), (0.5, first + 1)]


def _of_halve(size: int) -> _Taps:
    return [(0.5, np.arange(2 * size) // 2)]


def _soften(size: int) -> _Taps:
    """Its own transpose."""
    pixel = np.arange(size)
    return [(1 / 3, _inside(pixel + by, size)) for by in (0, -1, 1)]


def _inside(at: np.ndarray, size: int) -> np.ndarray:
    return np.clip(at, 0, size - 1)
