"""A mask-to-image GAN of one scale and 70 M parameters, to be timed.

In: images [B, H, W, 3] in [-1, 1] and one-hot masks [B, H, W, N], H = W =
256. Out: a train step of OASIS (Schoenfeld et al. 2021, ICLR) as published:
six residual blocks from 8 x 8 to 256 x 256 px, modulated by mask and noise
(SPADE, Park et al. 2019, CVPR), with batch norm and spectral norm; a critic
of N + 1 classes shaped like a U-Net; LabelMix. Widths, order and passes
follow the authors' code, github.com/boschresearch/OASIS; the code is ours.
Its average of weights is left out, in its favour; what can be fused is, as
in the pyramid's step.

Nothing is ever trained with it: a train step of the pyramid is held against
it on the same machine.
"""

import itertools

import tensorflow as tf

from histogan_tf.models import losses
from histogan_tf.models.fused import fused_step
from histogan_tf.models.layers import leaky
from histogan_tf.models.spectral import SpectralConv

NOISE, HIDDEN, WIDTH = 64, 128, 64
_DOWN, _UP = (128, 128, 256, 256, 512, 512), (512, 256, 256, 128, 128, 64)
_GENERATOR_RATE, _CRITIC_RATE, _LABEL_MIX = 1e-4, 4e-4, 10.0
layers = tf.keras.layers


def _sized(x: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    return tf.image.resize(x, tf.shape(like)[1:3], "nearest")


def _double(x: tf.Tensor) -> tf.Tensor:
    return tf.repeat(tf.repeat(x, 2, axis=1), 2, axis=2)


class Spade(layers.Layer):
    """Batch norm, then scale and shift by convolutions of the mask."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = layers.BatchNormalization(center=False, scale=False)
        self.shared = layers.Conv2D(
            HIDDEN, 3, padding="same", activation="relu"
        )
        self.scale = layers.Conv2D(width, 3, padding="same")
        self.shift = layers.Conv2D(width, 3, padding="same")

    def call(self, x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """x [B, H, W, C], mask of any size -> like x."""
        h = self.shared(_sized(mask, x))
        return self.norm(x, training=True) * (1.0 + self.scale(h)) + (
            self.shift(h)
        )


class SpadeBlock(layers.Layer):
    """Residual block of the generator."""

    def __init__(self, before: int, width: int):
        super().__init__()
        middle = min(before, width)
        self.norms = [Spade(before), Spade(middle)]
        self.convs = [SpectralConv(middle), SpectralConv(width)]
        self.shortcut = before != width
        if self.shortcut:
            self.side_norm = Spade(before)
            self.side = SpectralConv(width, 1)

    def call(self, x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """[B, H, W, before] -> [B, H, W, width]."""
        h = x
        for norm, conv in zip(self.norms, self.convs, strict=True):
            h = conv(leaky(norm(h, mask)), training=True)
        if self.shortcut:
            x = self.side(self.side_norm(x, mask), training=True)
        return x + h


class LargeGenerator(tf.keras.Model):
    """Paints images from masks with noise."""

    def __init__(self) -> None:
        super().__init__()
        widths = [n * WIDTH for n in (16, 16, 16, 8, 4, 2, 1)]
        self.first = layers.Conv2D(widths[0], 3, padding="same")
        self.blocks = [
            SpadeBlock(one, two) for one, two in itertools.pairwise(widths)
        ]
        self.last = layers.Conv2D(3, 3, padding="same")

    def call(self, mask: tf.Tensor) -> tf.Tensor:
        """[B, H, W, N] -> [B, H, W, 3] in (-1, 1); H, W multiples of 32."""
        shape = tf.shape(mask)
        noise = tf.random.normal([shape[0], 1, 1, NOISE])
        noise = tf.broadcast_to(noise, [*tf.unstack(shape)[:3], NOISE])
        mask = tf.concat([tf.cast(noise, mask.dtype), mask], axis=-1)
        small = tf.stack([shape[1], shape[2]]) // 2 ** (len(self.blocks) - 1)
        x = self.first(tf.image.resize(mask, small, "nearest"))
        for place, block in enumerate(self.blocks):
            x = block(_double(x) if place else x, mask)
        return tf.tanh(tf.cast(self.last(leaky(x)), tf.float32))


class CriticBlock(layers.Layer):
    """Residual block of the critic; `resize` at its end or its start."""

    def __init__(self, before: int, width: int, up: bool, first: bool):
        super().__init__()
        self.convs = [SpectralConv(width), SpectralConv(width)]
        self.side = SpectralConv(width, 1) if before != width else None
        self.up, self.first = up, first

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Twice or half as high and wide."""
        h = x if self.first else leaky(x)
        if self.up:
            h, x = _double(h), _double(x)
        h = self.convs[0](h, training=True)
        h = self.convs[1](leaky(h), training=True)
        if self.side is not None:
            x = self.side(x, training=True)
        return x + h if self.up else tf.nn.avg_pool2d(x + h, 2, 2, "VALID")


class LargeCritic(tf.keras.Model):
    """Logits of N + 1 classes for each pixel."""

    def __init__(self, classes: int):
        super().__init__()
        before, self.down, self.up = 3, [], []
        for place, width in enumerate(_DOWN):
            self.down.append(CriticBlock(before, width, False, place == 0))
            before = width
        beside = (0, *_DOWN[-2::-1])
        for width, more in zip(_UP, beside, strict=True):
            self.up.append(CriticBlock(before + more, width, True, False))
            before = width
        self.last = layers.Conv2D(classes + 1, 1)

    def call(self, image: tf.Tensor) -> tf.Tensor:
        """[B, H, W, 3] -> [B, H, W, N + 1]; H, W multiples of 64."""
        found = []
        for block in self.down:
            image = block(image)
            found.append(image)
        x = self.up[0](found.pop())
        for block in self.up[1:]:
            x = block(tf.concat([found.pop(), x], axis=-1))
        return tf.cast(self.last(x), tf.float32)


class LargeGan:
    """Both networks and their train step."""

    def __init__(self, classes: int):
        self.weights = tf.ones([classes])
        self.generator, self.critic = LargeGenerator(), LargeCritic(classes)
        self.optimizers = [
            tf.keras.optimizers.legacy.Adam(rate, 0.0, 0.999)
            for rate in (_GENERATOR_RATE, _CRITIC_RATE)
        ]

    @fused_step
    def train_step(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        """One update of the generator, then one of the critic: the losses.

        Of "image" [B, H, W, 3] in [-1, 1] and "labels" [B, H, W, N], one-hot.
        """
        image, mask = batch["image"], batch["labels"]
        with tf.GradientTape() as tape:
            fooled = self.critic(self.generator(mask))
            cheat = self._loss(losses.cross_entropy(fooled, mask, self.weights))
        self._update(tape, cheat, self.generator, 0)
        painted = tf.stop_gradient(self.generator(mask))
        with tf.GradientTape() as tape:
            loss = self._critic_loss(image, painted, mask)
        self._update(tape, loss, self.critic, 1)
        return tf.stack([cheat, loss])

    def _critic_loss(self, image, painted, mask):
        on_painted, on_real = self.critic(painted), self.critic(image)
        # LabelMix: a coin a class says which image its pixels come from.
        coins = tf.cast(tf.random.uniform([mask.shape[-1]]) < 0.5, tf.float32)
        share = tf.reduce_sum(mask * coins, axis=-1, keepdims=True)

        def mixed(one, other):
            return share * one + (1.0 - share) * other

        gap = self.critic(mixed(image, painted)) - mixed(on_real, on_painted)
        return self._loss(
            losses.generated(on_painted)
            + losses.cross_entropy(on_real, mask, self.weights)
            + _LABEL_MIX * tf.reduce_mean(tf.square(gap), axis=[1, 2, 3])
        )

    @staticmethod
    def _loss(per_image: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(per_image)

    def _update(self, tape, loss, network, place: int) -> None:
        variables = network.trainable_variables
        pairs = zip(tape.gradient(loss, variables), variables, strict=True)
        self.optimizers[place].apply_gradients(pairs)


def parameters(network: tf.keras.Model) -> int:
    """How many numbers a network has to learn."""
    return sum(int(tf.size(v)) for v in network.trainable_variables)
