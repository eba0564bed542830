"""Loops over pixels and their neighbours along one axis (`fused.py`).

In: maps [B, H, W, C] of known size. Out: maps doubled or softened by rows,
then by columns, as `layers.double` and `layers.soften` of other steps.

Each pixel is a weighted sum of pixels at places that are known beforehand,
and so is its gradient. They are gathered, as what is sliced and joined leaves
a branch inside the loop, which is then not vectorised (doubling 8 maps of
128 x 64 px with 64 channels in bfloat16 on AVX2: 13 ms, gathered 3). For the
same reason the loop's last axis is long: W * C numbers, or the channels if
there are many.
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
    return _by_axes(x, _double, _halve)


def soften(x: tf.Tensor) -> tf.Tensor:
    """3x3 average, the border mirrored: like x."""
    return _by_axes(x, _soften, _soften)


def _by_axes(x: tf.Tensor, forth: Callable, back: Callable) -> tf.Tensor:
    batch, height, width, channels = x.shape
    x = tf.reshape(x, [batch, height, width * channels])
    x = _loop(forth, back, 1)(x)
    height = x.shape[1]
    few = channels < _FEW
    flat = [width * channels] if few else [width, channels]
    x = tf.reshape(x, [batch * height, *flat])
    x = _loop(forth, back, channels if few else 1)(x)
    return tf.reshape(x, [batch, height, -1, channels])


@functools.cache
def _loop(forth: Callable, back: Callable, channels: int) -> Callable:
    """Along axis 1, which holds `channels` numbers a pixel.

    `forth` makes the taps of so many pixels, `back` those of the gradient.
    """

    @fused
    @tf.custom_gradient
    def loop(x: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        size = x.shape[1] // channels
        y = _sum(x, forth(size), channels)
        return y, lambda dy: _sum(dy, back(size), channels)

    return loop


def _sum(x: tf.Tensor, taps: _Taps, channels: int) -> tf.Tensor:
    each = np.arange(channels)
    summands = []
    for weight, pixel in taps:
        places = np.add.outer(pixel * channels, each).ravel()
        summands.append(weight * tf.gather(x, places, axis=1))
    return tf.add_n(summands)


def _double(size: int) -> _Taps:
    pixel, odd = np.divmod(np.arange(2 * size), 2)
    return [(0.75, pixel), (0.25, _inside(pixel + 2 * odd - 1, size))]


def _halve(size: int) -> _Taps:
    """The transpose of `_double`."""
    first = 2 * np.arange(size)
    steps = {0: 0.75, 1: 0.75, -1: 0.25, 2: 0.25}
    return [(w, _inside(first + by, 2 * size)) for by, w in steps.items()]


def _soften(size: int) -> _Taps:
    """Its own transpose."""
    pixel = np.arange(size)
    return [(1 / 3, _inside(pixel + by, size)) for by in (0, -1, 1)]


def _inside(at: np.ndarray, size: int) -> np.ndarray:
    return np.clip(at, 0, size - 1)
