"""A segmenter asked about an image several ways round.

In: what a `Segmenter` takes. Out: float32 logits [B, H, W, N], the logarithm
of the mean of its probabilities over the image turned and mirrored, each
taken back (test-time augmentation, as nnU-Net mirrors; Isensee et al. 2021).

The network's levels divide the image's edges on all sides, so cells of 2 x 2
pixels fall on cells whichever way it lies, and windows stay exact.
"""

from collections.abc import Sequence

import tensorflow as tf

from histogan_tf.models import layers
from histogan_tf.models.segmenter import SegmentationNetwork

MOST = 8  # symmetries of the square


def turn(values: tf.Tensor, number: int) -> tf.Tensor:
    """[B, H, W, C] in one of the square's symmetries.

    `number`: quarter turns, from 4 on with rows mirrored after them.
    """
    turned = tf.image.rot90(values, number % 4)
    return tf.reverse(turned, [1]) if number >= 4 else turned


def turn_back(values: tf.Tensor, number: int) -> tf.Tensor:
    """Undoes `turn`."""
    values = tf.reverse(values, [1]) if number >= 4 else values
    return tf.image.rot90(values, -number % 4)


def shown(network: SegmentationNetwork, views: int) -> SegmentationNetwork:
    """The network, shown what it is asked about in the first `views` ways."""
    return Turned(network, views) if views > 1 else network


class Turned:
    """Called like the segmenter; `views` times the work."""

    def __init__(self, network: SegmentationNetwork, views: int):
        """Asks the first `views` of the eight ways round, 1 to 8."""
        if not 1 <= views <= MOST:
            raise ValueError(f"views: {views}; use 1 to {MOST}")
        self.network, self.views = network, views
        self.stride, self.classes = network.stride, network.classes

    @property
    def variables(self) -> Sequence[tf.Variable]:
        """Every weight, of the network."""
        return self.network.variables

    def __call__(
        self,
        image: tf.Tensor,
        coarse: tf.Tensor | None,
        training: bool = False,
    ) -> tf.Tensor:
        """See the module and `Segmenter.call`."""
        total = self._shares(image, coarse, 0, training)
        for number in range(1, self.views):
            with layers.after(total):  # in the memory of one view
                shares = self._shares(image, coarse, number, training)
            total += shares
        # Of a sum of 1, what is less than 1e-30 is nothing.
        return tf.math.log(total / float(self.views) + 1e-30)

    def _shares(self, image, coarse, number, training):
        opinion = None if coarse is None else turn(coarse, number)
        logits = self.network(turn(image, number), opinion, training=training)
        return turn_back(tf.nn.softmax(logits), number)
