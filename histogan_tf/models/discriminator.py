"""The critic of one stage: it segments real tissue and unmasks the painted.

In: image [B, H, W, 3] in [-1, 1].
Out: float32 logits [B, H, W, N + 1]: the N classes, then "generated".

A U-Net with spectral normalisation and one decision per pixel (OASIS,
Schoenfeld et al. 2021, ICLR). It sees no mask: it must read it.
"""

import tensorflow as tf

from histogan_tf.config import NetworkConfig
from histogan_tf.models import layers

# Colour varies ten times as much as detail: a critic that saw both alike let
# generators cover the stroma with a weave of 2 to 3 px.
_DETAIL = 4.0


def beside_detail(image: tf.Tensor) -> tf.Tensor:
    """An image and, four times, its difference to its 3x3 averages.

    [B, H, W, 3] -> [B, H, W, 6].
    """
    detail = _DETAIL * (image - layers.soften(image))
    return tf.concat([image, detail], axis=-1)


class Discriminator(tf.keras.Model):
    """Encoder-decoder critic with `classes` + 1 outputs a pixel."""

    def __init__(self, config: NetworkConfig, classes: int):
        # Else detail, a small difference, would be one of rounded numbers.
        super().__init__(autocast=False)
        widths = config.widths
        self.first = layers.SpectralConv(widths[0])
        self.encoders = [
            [layers.SpectralBlock(w) for _ in range(config.blocks)]
            for w in widths
        ]
        self.down = [layers.SpectralConv(w, 1) for w in widths[1:]]
        self.up = [layers.SpectralConv(w, 1) for w in widths[:-1]]
        self.decoders = [layers.SpectralConv(w) for w in widths[:-1]]
        self.last = tf.keras.layers.Conv2D(classes + 1, 1, dtype="float32")

    def call(self, image: tf.Tensor, training: bool = False) -> tf.Tensor:
        """See the module."""
        h = self.first(beside_detail(image), training=training)
        skips = []
        for level, blocks in enumerate(self.encoders):
            if level:
                h = layers.pixel_norm(layers.halve(h))
                h = self.down[level - 1](h, training=training)
            for block in blocks:
                h = block(h, training=training)
            skips.append(h)
        for level in reversed(range(len(self.decoders))):
            h = layers.pixel_norm(layers.double(h))
            h = self.up[level](h, training=training)
            h = layers.normed(h + skips[level])
            h = self.decoders[level](h, training=training)
        return self.last(layers.normed(h))
