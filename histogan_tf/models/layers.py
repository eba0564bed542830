"""The parts that the three networks share.

In and out: NHWC feature maps. Outside training no layer takes a statistic
over space or over the batch, so a window with its halo gives the pixels of
the whole canvas. In training only the segmenters' batch norm does
(`batch_norm.py`).

Source: pixel norm, Karras et al. 2018 (ICLR).
"""

import contextlib
from collections.abc import Callable

import tensorflow as tf

from histogan_tf.models import class_axis, neighbours
from histogan_tf.models.fused import (
    fused,
    fused_beside,
    is_fusing,
    is_loop,
    is_whole,
)


@fused
def leaky(x: tf.Tensor) -> tf.Tensor:
    """Leaky ReLU with slope 0.2, element by element: like x."""
    return tf.nn.leaky_relu(x, 0.2)


@fused
def softmax(x: tf.Tensor) -> tf.Tensor:
    """Softmax over the last axis: like x."""
    return class_axis.softmax(x)


@fused
def pixel_norm(x: tf.Tensor) -> tf.Tensor:
    """Scales each pixel's channel vector to unit mean square: [..., C], like x.

    The mean square is taken in float32, also under bfloat16.
    """
    if is_loop() and x.shape[-1] > 32 and x.shape[-1] % 16 == 0:
        return _loop_norm(x)
    square = tf.square(tf.cast(x, tf.float32))
    mean = tf.reduce_mean(square, axis=-1, keepdims=True)
    return x * tf.cast(tf.math.rsqrt(mean + 1e-6), x.dtype)


@tf.custom_gradient
def _loop_norm(x: tf.Tensor) -> tuple[tf.Tensor, Callable]:
    """`pixel_norm` without long sums, nor its gradient."""
    scale = tf.math.rsqrt(_loop_mean(tf.square(x)) + 1e-6)
    y = x * scale
    return y, lambda dy: scale * (dy - y * _loop_mean(dy * y))


def _loop_mean(x: tf.Tensor) -> tf.Tensor:
    """Mean over channels, a multiple of 16: [..., C] -> [..., 1].

    A loop adds one number after the other, each when the last is done; of
    many channels, 16 sums side by side take a third of the time.
    """
    sums = tf.add_n(tf.split(x, x.shape[-1] // 16, -1))
    return tf.reduce_sum(sums, axis=-1, keepdims=True) / float(x.shape[-1])


@fused
def normed(x: tf.Tensor) -> tf.Tensor:
    """Pixel norm, then leaky ReLU: like x."""
    return leaky(pixel_norm(x))


# For residual blocks, whose input is summed with what becomes of it.
normed_beside = fused_beside(normed)


def _as_loops(x: tf.Tensor) -> bool:
    return is_fusing() and x.shape.is_fully_defined()


def halve(x: tf.Tensor) -> tf.Tensor:
    """2x2 average: [B, 2H, 2W, C] -> [B, H, W, C]."""
    if _as_loops(x):
        return neighbours.halve(x)
    return tf.nn.avg_pool2d(x, 2, 2, "VALID")


def soften(x: tf.Tensor) -> tf.Tensor:
    """3x3 average of an image, its border mirrored: like x."""
    if _as_loops(x):
        return neighbours.soften(x)
    padded = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    return tf.nn.avg_pool2d(padded, 3, 1, "VALID")


def double(x: tf.Tensor) -> tf.Tensor:
    """Bilinear, half-pixel centres: [B, H, W, C] -> [B, 2H, 2W, C]."""
    if _as_loops(x):
        return neighbours.double(x)
    if is_whole():
        # XLA takes the pixels of the resize's gradient one after the other on
        # GPUs, and would leave that in float32 whatever the maps are in.
        exact = neighbours.double(tf.cast(x, tf.float32))
        return tf.cast(exact, x.dtype)
    size = tf.shape(x)
    big = tf.image.resize(x, [2 * size[1], 2 * size[2]], "bilinear")
    return tf.cast(big, x.dtype)


def levels_of(x: tf.Tensor, count: int) -> list[tf.Tensor]:
    """`x` [B, H, W, C] and its repeated 2x2 averages, finest first.

    H and W are multiples of 2 ** (count - 1); the last is [B, H / that, ...].
    """
    out = [x]
    for _ in range(count - 1):
        out.append(halve(out[-1]))
    return out


def neighbourhood(mask: tf.Tensor) -> tf.Tensor:
    """The mask beside its averages over 5x5 and 13x13 pixels.

    [B, H, W, N] -> [B, H, W, 3N], like the mask in type.

    The averages tell a pixel how far it lies from its region's edge, which
    is what makes a lumen or a rim, at the price of a few poolings. They are
    in float32: sums of many numbers in bfloat16 are off by some percent.
    """
    exact = tf.cast(mask, tf.float32)
    maps = [exact, _average(exact, 5), _average(exact, 13)]
    return tf.concat([tf.cast(m, mask.dtype) for m in maps], axis=-1)


def _average(x: tf.Tensor, side: int) -> tf.Tensor:
    """Over squares, of what lies inside the map; by rows, then by columns."""
    rows = tf.nn.avg_pool2d(x, [side, 1], 1, "SAME")
    return tf.nn.avg_pool2d(rows, [1, side], 1, "SAME")


def after(x: tf.Tensor | None) -> contextlib.AbstractContextManager:
    """What is inside is not computed before `x`, and so not kept for it.

    A graph starts whatever has its inputs: maps that hang on the mask alone
    would all lie in memory from the start, in an order of chance.
    """
    return tf.control_dependencies([] if x is None else [x])


def fold(x: tf.Tensor, patch: int) -> tf.Tensor:
    """[B, H, W, C] -> [B, H / patch, W / patch, C * patch**2]."""
    if patch == 1:
        return x
    if _as_loops(x):
        return neighbours.fold(x, patch)
    return tf.nn.space_to_depth(x, patch)


def unfold(x: tf.Tensor, patch: int) -> tf.Tensor:
    """Inverse of `fold`."""
    if patch == 1:
        return x
    if _as_loops(x):
        return neighbours.unfold(x, patch)
    return tf.nn.depth_to_space(x, patch)


class Conv(tf.keras.layers.Layer):
    """3x3 (or `size`) convolution, zero padding, He initialisation."""

    def __init__(
        self, width: int, size: int = 3, gain: float = 2.0, bias: bool = True
    ):
        super().__init__()
        self.conv = tf.keras.layers.Conv2D(
            width,
            size,
            padding="same",
            use_bias=bias,
            kernel_initializer=tf.keras.initializers.VarianceScaling(gain)
            if gain
            else "zeros",
        )

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[B, H, W, C] -> [B, H, W, width]."""
        return self.conv(x)
