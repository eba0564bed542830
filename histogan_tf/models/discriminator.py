"""The critic of one stage: it segments real tissue and unmasks the painted.

In: image [B, H, W, 3] in [-1, 1].
Out: float32 logits [B, H, W, N + 1]: the N classes, then "generated".

A U-Net with spectral normalisation and one decision per pixel (OASIS,
Schoenfeld et al. 2021, ICLR). It sees no mask: it must read it.

With `patch` p its finest level works on p x p pixels at once. Where patches
begin is then drawn for each image (`places`): a critic with a grid of its own
teaches generators to paint that grid.
"""

import functools
from collections.abc import Callable

import tensorflow as tf

from histogan_tf.config import NetworkConfig
from histogan_tf.models import layers, noise
from histogan_tf.models.fused import fused_exact
from histogan_tf.models.noise import Stream
from histogan_tf.models.spectral import SpectralBlock, SpectralConv

# Colour varies ten times as much as detail: a critic that saw both alike let
# generators cover the stroma with a weave of 2 to 3 px.
_DETAIL = 4.0


def beside_detail(image: tf.Tensor) -> tf.Tensor:
    """An image and, four times, its difference to its 3x3 averages.

    [B, H, W, 3] -> [B, H, W, 6].
    """
    detail = _DETAIL * (image - layers.soften(image))
    return tf.concat([image, detail], axis=-1)


def places(seed: tf.Tensor, patch: int) -> tf.Tensor | None:
    """How far down and right each image is moved before it is cut up.

    int64 [B, 2] in [0, patch), by the image's own seed [B]; None for single
    pixels, which have no grid.
    """
    if patch == 1:
        return None
    # GPUs compare int32 on their host.
    draws = noise.uniform(seed, Stream.CRITIC_PLACE, 2)
    return tf.cast(draws * float(patch), tf.int64)


def moved(x: tf.Tensor, place: tf.Tensor, patch: int, sign: int) -> tf.Tensor:
    """Maps [B, H, W, C] down and right by `place`, or back: like x.

    `sign` is 1, or -1 for back. What comes in mirrors the border. float32.
    """
    return _mover(patch, sign)(x, place)


@functools.cache
def _mover(patch: int, sign: int) -> Callable[..., tf.Tensor]:
    @fused_exact
    def move(x: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
        for axis in (1, 2):
            here, by = x, place[:, axis - 1, None, None, None]
            for far in range(1, patch):
                # Not tf.where, which picks number by number.
                chosen = tf.cast(tf.equal(by, far), x.dtype)
                there = _along(here, axis, sign * far)
                x = chosen * there + (1.0 - chosen) * x
        return x

    return move


def _along(x: tf.Tensor, axis: int, by: int) -> tf.Tensor:
    pads, start = [[0, 0]] * 4, [0] * 4
    pads[axis], start[axis] = [max(by, 0), max(-by, 0)], max(-by, 0)
    return tf.slice(tf.pad(x, pads, "SYMMETRIC"), start, tf.shape(x))


class Discriminator(tf.keras.Model):
    """Encoder-decoder critic with `classes` + 1 outputs a pixel."""

    def __init__(self, config: NetworkConfig, classes: int, patch: int = 1):
        # Else detail, a small difference, would be one of rounded numbers.
        super().__init__(autocast=False)
        self.patch = patch
        widths = config.widths
        self.first = SpectralConv(widths[0])
        self.encoders = [
            [SpectralBlock(w) for _ in range(config.blocks)] for w in widths
        ]
        self.down = [SpectralConv(w, 1) for w in widths[1:]]
        self.up = [SpectralConv(w, 1) for w in widths[:-1]]
        self.decoders = [SpectralConv(w) for w in widths[:-1]]
        self.last = tf.keras.layers.Conv2D(
            (classes + 1) * patch**2, 1, dtype="float32"
        )

    def call(
        self,
        image: tf.Tensor,
        training: bool = False,
        place: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """See the module; `place` is of `places`."""
        if place is not None:
            image = moved(image, place, self.patch, 1)
        h = beside_detail(image)
        h = self.first(layers.fold(h, self.patch), training=training)
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
        h = layers.unfold(self.last(layers.normed(h)), self.patch)
        return h if place is None else moved(h, place, self.patch, -1)
