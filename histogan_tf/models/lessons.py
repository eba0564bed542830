"""What a segmenter learns from a batch: one lesson for each kind of image.

In: the student's `read` (images -> logits [B, H, W, N]), a batch as in
`stage.py`, the teacher's probabilities of the batch's images [B, H, W, N]
(the student's own average: mean teacher, Tarvainen & Valpola 2017), None where
no lesson is `taught`.
Out: a loss per image, float32 [B], or of every n-th image, n-fold.

Nothing passes between the images of a batch, which may lie on several
replicas.
"""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from histogan_tf.models import losses, noise, patches
from histogan_tf.models.fused import looped
from histogan_tf.models.noise import Stream
from histogan_tf.models.other_stain import Batch, View, as_it_is

Read = Callable[[tf.Tensor], tf.Tensor]
Loss = Callable[[Read, Batch, tf.Tensor | None], tf.Tensor]
Paint = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]

_PATCH = 32  # px


@dataclass(frozen=True)
class Lesson:
    """One term of a segmenter's loss.

    `ramp` is the share of the steps over which the weight rises to its full
    size, as exp(-5 (1 - t)^2) (Laine & Aila 2017); 0: it is full at once.
    `taught`: the loss needs the teacher, who reads the batch only then.
    """

    name: str
    weight: float
    loss: Loss
    ramp: float = 0.0
    taught: bool = False

    def weight_at(self, progress: tf.Tensor) -> tf.Tensor:
        """The weight after `progress`, 0 to 1, of the steps."""
        return self.weight * ramped(progress, self.ramp)


def ramped(progress: tf.Tensor, share: float) -> tf.Tensor:
    """exp(-5 (1 - t)^2) over the first `share` of the steps, then 1."""
    if not share:
        return tf.constant(1.0)
    t = tf.clip_by_value(progress / share, 0.0, 1.0)
    return tf.exp(-5.0 * (1.0 - t) ** 2)


def fit(logits: tf.Tensor, target: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Class-balanced cross-entropy and soft Dice: [B]; 0 without a label."""
    cross = losses.cross_entropy(logits, target, weights)
    return cross + losses.labelled(target) * losses.soft_dice(logits, target)


def labelled(weights: tf.Tensor, view: View = as_it_is) -> Loss:
    """Images, as `view` shows them, and their masks."""

    def loss(read, batch, teacher):
        del teacher
        return fit(read(view(batch)), batch["labels"], weights)

    return loss


def consistent(grain: float, view: View = as_it_is) -> Loss:
    """Mean teacher: the student agrees, where no label is, through noise.

    Args:
      grain: deviation of the noise, in an image's [-1, 1].
      view: of what the student sees; the teacher sees the images as they are.
    """

    def loss(read, batch, teacher):
        image = view(batch)
        noisy = image + grain * noise.pixels(
            batch["seed"], Stream.STUDENT_GRAIN, image, 3
        )
        where = losses.gaps(batch["labels"])
        return losses.consistency(read(noisy), teacher, where)

    return loss


def painted(
    weights: tf.Tensor, paint: Paint, view: View = as_it_is, thin: int = 1
) -> Loss:
    """Patches of painted tissue within real tissue of the same mask.

    The mask is the image's own, the teacher's where it has gaps, one class a
    pixel; real tissue in a gap teaches nothing. About half of each image is
    painted (LabelMix, Schoenfeld et al. 2021, mixes so for the critic; its
    patches follow the classes). Images that were painted all over were read
    by their paint and taught nothing (WORKSPACE_NOTES.md).

    Args:
      weights: class weights [N].
      paint: mask [B, H, W, N], style, seed -> image [B, H, W, 3].
      view: of the real tissue.
      thin: every `thin`-th image is treated so, and counts `thin` times.
    """

    def loss(read, batch, teacher):
        some = {name: value[::thin] for name, value in batch.items()}
        mask = complete(some["labels"], teacher[::thin])
        mask = losses.confident(mask, 0.0)
        seen, seed = view(some), some["seed"]
        image = tf.stop_gradient(paint(mask, some["style"], seed))
        where = (
            patches.smooth(seed, Stream.PAINTED_PATCHES, mask, 1, _PATCH) > 0
        )
        image = tf.where(where, tf.cast(image, seen.dtype), seen)
        # Paint is what its mask says; real tissue in a gap is unknown still.
        known = tf.reduce_sum(some["labels"], axis=-1, keepdims=True)
        target = mask * tf.where(where, 1.0, known)
        return thin * fit(read(image), target, weights)

    return loss


@looped
def complete(labels: tf.Tensor, teacher: tf.Tensor) -> tf.Tensor:
    """Masks without gaps: the teacher's winners where there is no label."""
    gap = losses.gaps(labels)[..., None]
    return labels + gap * losses.confident(teacher, 0.0)


@looped
def sure(labels: tf.Tensor, teacher: tf.Tensor, threshold: float) -> tf.Tensor:
    """The teacher's winners of at least `threshold`, only in the gaps."""
    gap = losses.gaps(labels)[..., None]
    return gap * losses.confident(teacher, threshold)
