"""What a segmenter learns from one batch, shared by stages and segmenters.

In: a segmenter, a batch, the mean teacher's probabilities.
Out: loss terms per image [B].

The coarser opinion that a stage's segmenter refines is simulated while it
trains (stages are independent): half of the labelled images show it their
own mask at half size, blended in patches with another class; the other half,
and unlabelled images, show none. Stage 0, below which there is none, never
sees one.

The student reads its images in the stains of others (`other_stain.py`).
"""

from dataclasses import dataclass

import tensorflow as tf

from histogan_tf.models import (
    class_axis,
    layers,
    lessons,
    losses,
    noise,
    patches,
)
from histogan_tf.models.fused import looped
from histogan_tf.models.noise import Stream
from histogan_tf.models.other_stain import View
from histogan_tf.models.segmenter import Segmenter

_PATCH = 8  # px


@dataclass(frozen=True)
class SegmenterLosses:
    """Loss terms, each float32 [B]."""

    labelled: tf.Tensor
    consistency: tf.Tensor


def segmenter_losses(
    segmenter: Segmenter,
    batch: dict[str, tf.Tensor],
    opinion: tf.Tensor,
    weights: tf.Tensor,
    teacher: tf.Tensor,
    view: View,
    training: bool = False,
) -> SegmenterLosses:
    """Cross-entropy and soft Dice where labelled, consistency elsewhere.

    Args:
      segmenter: the student.
      batch: image, labels, style and seed as in `stage.py`.
      opinion: what the student is shown of a coarser one, [B, H, W, N].
      weights: class weights [N].
      teacher: the averaged segmenter's probabilities [B, H, W, N].
      view: what the student sees of the images.
      training: whether it reads by the batch's own statistics.
    """
    labels = batch["labels"]
    logits = segmenter(view(batch), opinion, training=training)
    return SegmenterLosses(
        lessons.fit(logits, labels, weights),
        losses.consistency(logits, teacher, losses.gaps(labels)),
    )


def simulated_opinion(batch: dict[str, tf.Tensor]) -> tf.Tensor:
    """A coarser stage's fallible probabilities [B, H, W, N]."""
    labels, seed = batch["labels"], batch["seed"]
    classes = labels.shape[-1]
    blurred = layers.double(layers.halve(_filled(labels)))
    shown = tf.cast(noise.uniform(seed, Stream.OPINION_SHOWN) < 0.5, tf.float32)
    shown = (shown[:, 0] * losses.labelled(labels))[:, None, None, None]
    trust = patches.smooth(seed, Stream.OPINION_TRUST, labels, 1, _PATCH)
    other = patches.smooth(seed, Stream.OPINION_OTHER, labels, classes, _PATCH)
    return _blended(blurred, other, trust, shown)


@looped
def _filled(labels: tf.Tensor) -> tf.Tensor:
    """Uniform where there is no label."""
    return labels + losses.gaps(labels)[..., None] / labels.shape[-1]


@looped
def _blended(
    blurred: tf.Tensor, other: tf.Tensor, trust: tf.Tensor, shown: tf.Tensor
) -> tf.Tensor:
    """Where it is shown, the mask in patches with another class."""
    none = 1.0 / blurred.shape[-1]
    trust = tf.clip_by_value(0.75 + trust, 0.0, 1.0)
    mixed = trust * blurred + (1.0 - trust) * class_axis.softmax(8.0 * other)
    return none + shown * (mixed - none)
