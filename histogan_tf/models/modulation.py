"""The generator's units: feature maps modulated by mask and style.

In: feature maps x [B, H, W, C], a soft mask with its surroundings
[B, H, W, M], styles [B, S]. Out: maps like x. No statistic over space or over
the batch (`layers.py`).

Source: class-adaptive modulation (CLADE), Tan et al. 2021 (TPAMI).
"""

import tensorflow as tf

from histogan_tf.models.fused import fused, fused_beside, is_fusing
from histogan_tf.models.layers import Conv, after, leaky, pixel_norm


@fused
def modulated(x: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
    """Pixel norm, scale and shift, leaky ReLU; all [B, H, W, C]: like x."""
    return leaky(pixel_norm(x) * scale + shift)


_modulated_beside = fused_beside(modulated)


class Modulation(tf.keras.layers.Layer):
    """Pixel norm, scale and shift from mask and style, leaky ReLU."""

    def __init__(self, width: int):
        super().__init__()
        self.from_mask = tf.keras.layers.Conv2D(2 * width, 1)
        self.from_style = tf.keras.layers.Dense(2 * width)

    def call(
        self, x: tf.Tensor, mask: tf.Tensor, style: tf.Tensor
    ) -> tf.Tensor:
        """x [B, H, W, C], mask [B, H, W, M], style [B, S] -> like x."""
        if is_fusing() and x.shape.is_fully_defined():
            return modulated(x, *self._maps(x, mask, style))
        kernels, (scale, shift) = self._parts(x, mask, style)
        mask = tf.cast(mask, x.dtype)
        # Only one map of the mask at a time: canvases are large.
        h = pixel_norm(x)
        with after(h):
            h *= tf.nn.conv2d(mask, kernels[0], 1, "SAME") + scale
        with after(h):
            h += tf.nn.conv2d(mask, kernels[1], 1, "SAME") + shift
        return leaky(h)

    def beside(
        self, x: tf.Tensor, mask: tf.Tensor, style: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """x itself, for the sum of a residual block, and what it becomes."""
        if is_fusing() and x.shape.is_fully_defined():
            return _modulated_beside(x, *self._maps(x, mask, style))
        return x, self(x, mask, style)

    def _maps(
        self, x: tf.Tensor, mask: tf.Tensor, style: tf.Tensor
    ) -> list[tf.Tensor]:
        """Scale and shift, each like x, where sizes are known."""
        kernels, same = self._parts(x, mask, style)
        mask = tf.cast(mask, x.dtype)
        ones = tf.concat([mask, tf.ones_like(mask[..., :1])], -1)
        with after(x):
            return [_product(ones, *p) for p in zip(kernels, same, strict=True)]

    def _parts(
        self, x: tf.Tensor, mask: tf.Tensor, style: tf.Tensor
    ) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """For scale and for shift, what makes them of a mask and a style.

        A kernel for the mask, [1, 1, M, C], and what is the same for all
        pixels, [B, 1, 1, C].
        """
        if not self.from_mask.built:
            self.from_mask.build(mask.shape)
        kernels = tf.split(tf.cast(self.from_mask.kernel, x.dtype), 2, -1)
        # Whatever is the same for all pixels is summed before it meets them:
        # maps of this size are what a generator's time goes into.
        same = self.from_style(style) + tf.cast(self.from_mask.bias, x.dtype)
        scale, shift = tf.split(same[:, None, None], 2, -1)
        return kernels, [scale + 1.0, shift]


class ModulatedBlock(tf.keras.layers.Layer):
    """Residual block: twice modulation and convolution."""

    def __init__(self, width: int):
        super().__init__()
        self.norms = [Modulation(width), Modulation(width)]
        self.convs = [Conv(width), Conv(width, gain=0.2)]

    def call(
        self, x: tf.Tensor, mask: tf.Tensor, style: tf.Tensor
    ) -> tf.Tensor:
        """x [B, H, W, C], mask [B, H, W, M], style [B, S] -> like x."""
        x, h = self.norms[0].beside(x, mask, style)
        h = self.norms[1](self.convs[0](h), mask, style)
        return x + self.convs[1](h)


def _product(ones: tf.Tensor, kernel: tf.Tensor, same: tf.Tensor) -> tf.Tensor:
    """`same` [B, 1, 1, C] and a 1x1 convolution, as one product.

    Of a map [B, H, W, M + 1] that ends in ones, and a kernel [1, 1, M, C].
    """
    batch, height, width, maps = ones.shape
    each = tf.zeros_like(same) + kernel
    product = tf.concat([each, same], axis=2)[:, 0]
    flat = tf.reshape(ones, [batch, height * width, maps])
    return tf.reshape(flat @ product, [batch, height, width, -1])
