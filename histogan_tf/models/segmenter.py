"""The segmenter of one stage: a U-Net that refines a coarser opinion.

In: image [B, H, W, 3] in [-1, 1]; coarser probabilities [B, H, W, N]
enlarged to the image's size; 1/N everywhere, or None, where there are none.
Out: float32 logits [B, H, W, N].

U-Net after Ronneberger et al. 2015 with residual blocks and batch norm, whose
moving averages leave it window-exact like the generator. With `patch` p its
finest level works on p x p pixels at once (sub-pixel convolution, Shi et al.
2016), at a p * p-th of the price.
"""

from collections.abc import Sequence
from typing import Protocol

import tensorflow as tf

from histogan_tf.config import NetworkConfig
from histogan_tf.models import batch_norm, layers


class SegmentationNetwork(Protocol):
    """A `Segmenter`, or what stands in for one: sizes divide by `stride`."""

    classes: int
    stride: int

    @property
    def variables(self) -> Sequence[tf.Variable]:
        """Every weight."""

    def __call__(
        self,
        image: tf.Tensor,
        coarse: tf.Tensor | None,
        training: bool = False,
    ) -> tf.Tensor:
        """See the module."""


def no_opinion(image: tf.Tensor, classes: int) -> tf.Tensor:
    """Uniform probabilities [B, H, W, classes] for an image."""
    return tf.ones_like(image[..., :1]) * tf.fill([classes], 1.0 / classes)


def read_twice(
    network: SegmentationNetwork, image: tf.Tensor, training: bool = False
) -> tf.Tensor:
    """Logits [B, H, W, N] of a stage by itself that refines opinions.

    Its own first reading, averaged 2x2, stands for a coarser stage's.

    Args:
      network: the segmenter.
      image: [B, H, W, 3] in [-1, 1]; H and W are even.
      training: by the image's own statistics.
    """
    none = no_opinion(image, network.classes)
    first = tf.nn.softmax(network(image, none, training=training))
    opinion = layers.double(layers.halve(first))
    return network(image, opinion, training=training)


class Segmenter(tf.keras.Model):
    """Residual U-Net with `classes` outputs a pixel."""

    def __init__(self, config: NetworkConfig, classes: int, patch: int = 1):
        super().__init__()
        self.config, self.classes, self.patch = config, classes, patch
        self.stride = patch * config.stride
        widths = config.widths
        # The norms have the biases, see `NormedConv`.
        self.first = layers.Conv(widths[0], bias=False)
        # The finest level has two convolutions only: its pixels cost most.
        self.encoders = [
            [batch_norm.NormedBlock(w) for _ in range(config.blocks)]
            for w in widths[1:]
        ]
        self.down = [layers.Conv(w, 1, bias=False) for w in widths[1:]]
        self.up = [layers.Conv(w, 1, bias=False) for w in widths[:-1]]
        self.decoders = [batch_norm.NormedConv(w) for w in widths[:-1]]
        self.last_norm = batch_norm.BatchNorm()
        self.last = tf.keras.layers.Conv2D(
            classes * patch**2, 1, dtype="float32"
        )

    def call(
        self,
        image: tf.Tensor,
        coarse: tf.Tensor | None,
        training: bool = False,
    ) -> tf.Tensor:
        """See the module; `training`: by the batch's own statistics."""
        skips, h = [], self._enter(image, coarse)
        for down, blocks in zip(self.down, self.encoders, strict=True):
            skips.append(h)
            h = down(layers.halve(h))
            for block in blocks:
                h = block(h, training=training)
        for level in reversed(range(len(self.decoders))):
            # A 1x1 convolution before doubling is the same for a quarter.
            h = layers.double(self.up[level](h)) + skips[level]
            h = h + self.decoders[level](h, training=training)
        h = self.last(layers.leaky(self.last_norm(h, training=training)))
        return layers.unfold(h, self.patch)

    def _enter(self, image: tf.Tensor, coarse: tf.Tensor | None) -> tf.Tensor:
        """The first convolution, of the image beside the opinion."""
        if coarse is not None:
            # No opinion is zero, else its weights were one more idle bias.
            coarse = tf.cast(coarse - 1.0 / self.classes, image.dtype)
            both = tf.concat([image, coarse], -1)
            return self.first(layers.fold(both, self.patch))
        # The same without the zeros: a tenth of the time of reading.
        conv, pixels, samples = self.first.conv, self.patch**2, image.shape[-1]
        each = samples + self.classes
        if not conv.built:
            with tf.init_scope():
                conv.build([None, None, None, pixels * each])
        kernel = tf.reshape(conv.kernel, [3, 3, pixels, each, -1])
        kernel = tf.reshape(
            kernel[:, :, :, :samples], [3, 3, pixels * samples, conv.filters]
        )
        folded = layers.fold(image, self.patch)
        return tf.nn.conv2d(folded, tf.cast(kernel, image.dtype), 1, "SAME")

    def make_variables(self) -> None:
        """Makes all variables, which checkpoints and traced steps look for."""
        blank = tf.zeros([1, self.stride, self.stride, 3])
        self(blank, no_opinion(blank, self.classes))
