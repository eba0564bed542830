"""A batch's images in the stain of other training tiles.

In: a batch as in `stage.py`; the styles (`data/colour.py`) of all training
tiles, labelled or not. Out: its images as a segmenter is to read them.

With few labelled slides, the stain of the others is what a segmenter fails
on. Stain needs no label: every image is moved to the style of a training tile
drawn by the image's own seed (Reinhard et al. 2001), so nothing depends on
how a batch is spread over replicas.
"""

from collections.abc import Callable

import tensorflow as tf

from histogan_tf.data import colour
from histogan_tf.models import noise
from histogan_tf.models.fused import fused
from histogan_tf.models.noise import Stream

Batch = dict[str, tf.Tensor]
View = Callable[[Batch], tf.Tensor]

_restain = fused(colour.restain)


def as_it_is(batch: Batch) -> tf.Tensor:
    """The `View` that changes nothing."""
    return batch["image"]


def restained(styles: tf.Tensor, jitter: float, share: float) -> View:
    """A `View` of images in other stains.

    Args:
      styles: float32 [M, 6] of the training tiles.
      jitter: as `AugmentConfig.stain`, about the drawn style.
      share: of the images whose stain changes.

    Returns:
      Maps a batch to images like its own, float32 [B, H, W, 3] in [-1, 1].
    """

    def view(batch: Batch) -> tf.Tensor:
        image, seed, old = batch["image"], batch["seed"], batch["style"]
        new = drawn_styles(styles, seed, Stream.STAIN_TILE, jitter)
        other = noise.uniform(seed, Stream.STAIN_SHARE) < share
        return _restain(image, old, tf.where(other, new, old))

    return view


def drawn_styles(
    styles: tf.Tensor, seed: tf.Tensor, stream: int, jitter: float
) -> tf.Tensor:
    """A style for each seed: one of `styles` [M, 6], its Lab mean jittered.

    Args:
      styles: float32 [M, 6]; seed: int64 [B].
      stream: of `noise.uniform`.
      jitter: as `AugmentConfig.stain`.

    Returns:
      float32 [B, 6]. An image's style depends on its own seed alone, so it
      is the same on any number of replicas.
    """
    draws = noise.uniform(seed, stream, 4)
    count = tf.cast(tf.shape(styles)[0], tf.float32)
    chosen = tf.gather(styles, tf.cast(draws[:, 0] * count, tf.int32))
    moved = (draws[:, 1:] * 2.0 - 1.0) * 3.0**0.5 * jitter
    return chosen + tf.pad(moved, [[0, 0], [0, 3]])
