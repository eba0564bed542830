"""The segmenters' units, with batch norm over all replicas.

In and out: NHWC feature maps. In training the norm takes statistics of the
global batch, so that any number of replicas gives the same; outside it takes
moving averages, so that windows stay exact.

Source: batch norm, Ioffe & Szegedy 2015 (ICML), by Keras.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from histogan_tf.models import layers


class BatchNorm(tf.keras.layers.BatchNormalization):
    """Keras' batch norm over all replicas, whose variables are all mirrored.

    Keras keeps a replica's own moving averages and means them when they are
    read: a message between machines, which a worker that saves alone would
    wait for in vain. They are the same on all replicas anyway.

    A replica alone takes the fused kernel, which Keras leaves aside for what
    may meet others: a fifth of a segmenter's step. Several send each other one
    message where Keras' would send three: a step has dozens.
    """

    def __init__(self) -> None:
        """Moving averages span about 33 batches."""
        super().__init__(momentum=0.97, synchronized=True)

    def add_weight(self, **settings: Any) -> tf.Variable:
        """As Keras' own, mirrored."""
        settings["synchronization"] = tf.VariableSynchronization.AUTO
        settings["aggregation"] = tf.VariableAggregation.ONLY_FIRST_REPLICA
        return super().add_weight(**settings)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[B, H, W, C] -> like x."""
        alone = tf.distribute.get_strategy().num_replicas_in_sync == 1
        if not (training and alone):
            return super().call(x, training=training)
        y, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            x, self.gamma, self.beta, epsilon=self.epsilon
        )
        # The kernel tells n / (n - 1) times the batch's own.
        count = tf.cast(tf.size(x), tf.float32) / float(x.shape[-1])
        variance *= (count - 1.0) / count
        for moving, found in (
            (self.moving_mean, mean),
            (self.moving_variance, variance),
        ):
            moving.assign_sub((moving - found) * (1.0 - self.momentum))
        return y

    def _sync_calculate_mean_and_var(
        self,
        x: tf.Tensor,
        reduction_axes: Sequence[int],
        keep_dims: bool,
        mask: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Keras' own: mean and variance [C] of all replicas' x, float32."""
        assert not keep_dims and mask is None, "never asked for here"
        context = tf.distribute.get_replica_context()
        count = tf.cast(tf.size(x), tf.float32) / float(x.shape[-1])
        # The same on all replicas; squares of what is far from zero would
        # leave nothing of a small variance.
        near = tf.convert_to_tensor(self.moving_mean)
        x -= near
        parts = [
            tf.reduce_sum(x, reduction_axes),
            tf.reduce_sum(tf.square(x), reduction_axes),
            count[None],
        ]
        total = context.all_reduce(
            tf.distribute.ReduceOp.SUM, tf.concat(parts, 0)
        )
        mean, square = tf.split(total[:-1] / total[-1], 2)
        variance = tf.maximum(square - tf.square(mean), 0.0)
        return near + mean, variance


class NormedConv(tf.keras.layers.Layer):
    """Batch norm, leaky ReLU, convolution: a segmenter's unit.

    No bias: the next norm takes it off again, so that its gradient would be
    rounding noise, which Adam makes full steps of.
    """

    def __init__(self, width: int, gain: float = 2.0):
        super().__init__()
        self.norm = BatchNorm()
        self.conv = layers.Conv(width, gain=gain, bias=False)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[B, H, W, C] -> [B, H, W, width]."""
        return self.conv(layers.leaky(self.norm(x, training=training)))


class NormedBlock(tf.keras.layers.Layer):
    """Residual block of the segmenter: two `NormedConv`."""

    def __init__(self, width: int):
        super().__init__()
        self.convs = [NormedConv(width), NormedConv(width, gain=0.2)]

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[B, H, W, C] -> like x."""
        h = x
        for conv in self.convs:
            h = conv(h, training=training)
        return x + h
