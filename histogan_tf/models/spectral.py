"""The critic's convolutions, kept at spectral norm 1.

In and out: NHWC feature maps; no layer takes a statistic over space or over
the batch.

Sources: spectral normalisation, Miyato et al. 2018 (ICLR), by TensorFlow
Addons, the only import of it here.
"""

import warnings

import tensorflow as tf

from histogan_tf.models.layers import normed, normed_beside

with warnings.catch_warnings():
    # Addons announces its end of life on every import.
    warnings.simplefilter("ignore")
    import tensorflow_addons as tfa


class _SpectralNormalization(tfa.layers.SpectralNormalization):
    """Addons' wrapper, right on several replicas too.

    It assigns to its kernel, which a replica may not do by itself.
    """

    def normalize_weights(self) -> None:
        """Normalises once, for all replicas."""
        normalise = super().normalize_weights
        context = tf.distribute.get_replica_context()
        context.merge_call(lambda strategy: normalise())


class SpectralConv(tf.keras.layers.Layer):
    """Convolution whose kernel Addons keeps at spectral norm 1.

    The wrapper writes the kernel back at each training call, so it must
    work in float32: under mixed precision it would round the weights. Maps
    pass through it as they are.
    """

    def __init__(self, width: int, size: int = 3):
        super().__init__()
        self.conv = _SpectralNormalization(
            tf.keras.layers.Conv2D(width, size, padding="same"),
            dtype="float32",
            autocast=False,
        )

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[B, H, W, C] -> [B, H, W, width]."""
        return self.conv(x, training=training)


class SpectralBlock(tf.keras.layers.Layer):
    """Residual block of the critic: pixel norm, leaky ReLU, convolution.

    Without the norm, spectral convolutions shrink what comes up from the
    coarse levels to nothing, and the critic sees no context.
    """

    def __init__(self, width: int):
        super().__init__()
        self.convs = [SpectralConv(width), SpectralConv(width)]

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[B, H, W, C] -> like x."""
        x, h = normed_beside(x)
        h = normed(self.convs[0](h, training=training))
        return x + self.convs[1](h, training=training)
