"""What a stage is shown of the coarser image while it trains.

In: a batch as in `stage.py`. Out: the real image averaged 2x2 and enlarged
again, as it is and blurred and noisy (conditioning augmentation, Ho et al.
2021): what the coarser stage paints is softer than what it saw.
"""

import tensorflow as tf

from histogan_tf.models import layers, noise
from histogan_tf.models.noise import Stream


def views(
    batch: dict[str, tf.Tensor], limit: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """The coarser image, clean and as it is seen: [B, H, W, 3] each.

    Args:
      batch: image [B, H, W, 3] and seed [B] are used; H and W are even.
      limit: the largest deviation of the noise; its amount is drawn by seed.
    """
    seed, small = batch["seed"], layers.halve(batch["image"])
    clean = layers.double(small)
    blur = noise.uniform(seed, Stream.COARSE_BLUR)[:, None, None]
    small += blur * (layers.soften(small) - small)
    amount = noise.uniform(seed, Stream.COARSE_AMOUNT)[:, None, None]
    grain = noise.pixels(seed, Stream.COARSE_NOISE, small, 3)
    return clean, layers.double(small + limit * amount * grain)
