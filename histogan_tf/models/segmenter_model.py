"""A segmenter trained by itself, with or without the pyramid's help.

In: batches as in `stage.py`, and the lessons that are to be learnt from them
(`lessons.py`). Out: trained weights and their average.

Two phases use it: the final segmenter (real, painted and unlabelled images)
and the judge (labels of real images only), which reads painted images without
ever having seen one and so measures whether they obey their masks.
"""

from collections.abc import Sequence

import tensorflow as tf

from histogan_tf.config import OptimizerConfig, SegmenterConfig
from histogan_tf.models import averages
from histogan_tf.models.fused import fused_step
from histogan_tf.models.layers import softmax
from histogan_tf.models.lessons import Batch, Lesson
from histogan_tf.models.optimizers import adam
from histogan_tf.models.segmenter import Segmenter, no_opinion


class SegmenterModel(tf.keras.Model):
    """One U-Net with its step; it takes no coarser opinion."""

    def __init__(
        self,
        settings: SegmenterConfig,
        rates: OptimizerConfig,
        classes: int,
        lessons: Sequence[Lesson],
    ):
        """Builds the network; `classes` is N."""
        super().__init__()
        self.settings = settings
        # A tuple, as Keras would wrap a list of things that it cannot save.
        self.lessons = tuple(lessons)
        self.taught = any(lesson.taught for lesson in lessons)
        self.ema = rates.ema
        self.segmenter = Segmenter(settings.network, classes, settings.patch)
        self.average_segmenter = Segmenter(
            settings.network, classes, settings.patch
        )
        image = tf.zeros([1, settings.crop, settings.crop, 3])
        for network in (self.segmenter, self.average_segmenter):
            network(image, no_opinion(image, classes))
        averages.copy(self.segmenter, self.average_segmenter)
        self.segmenter_optimizer = adam(
            rates, rates.segmenter_rate, settings.steps
        )
        self.segmenter_optimizer.build(self.segmenter.trainable_variables)

    @property
    def term_names(self) -> tuple[str, ...]:
        """Names of the loss terms of a step, in the lessons' order."""
        return tuple(f"segmenter/{lesson.name}" for lesson in self.lessons)

    def read(
        self, network: Segmenter, image: tf.Tensor, training: bool = False
    ) -> tf.Tensor:
        """Logits of a network for images without a coarser opinion."""
        return network(image, None, training=training)

    @fused_step
    def train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """One update; returns this replica's share of each loss term."""
        with tf.GradientTape() as tape:
            terms = self.terms(batch, training=True)
            loss = tf.add_n(list(terms.values()))
        variables = self.segmenter.trainable_variables
        self.segmenter_optimizer.apply_gradients(
            zip(tape.gradient(loss, variables), variables, strict=True)
        )
        decay = averages.decay(self.ema, self.segmenter_optimizer.iterations)
        averages.update(
            self.segmenter, self.average_segmenter, decay, not self.taught
        )
        return terms

    def test_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """The loss terms of a batch, nothing updated."""
        return self.terms(batch)

    def teach(self, image: tf.Tensor, training: bool) -> tf.Tensor:
        """The average's probabilities; training, its statistics follow.

        These are of images as they are, so as inference meets them.
        """
        logits = self.read(self.average_segmenter, image, training)
        return tf.stop_gradient(softmax(logits))

    def terms(
        self, batch: Batch, training: bool = False
    ) -> dict[str, tf.Tensor]:
        """Every lesson's loss, summed over images, over the global batch."""
        teacher = self.teach(batch["image"], training) if self.taught else None
        step = tf.cast(self.segmenter_optimizer.iterations, tf.float32)
        progress = step / float(self.settings.steps)
        losses = {}
        for name, lesson in zip(self.term_names, self.lessons, strict=True):
            per_image = lesson.loss(
                lambda image: self.read(self.segmenter, image, training),
                batch,
                teacher,
            )
            share = tf.reduce_sum(per_image) / float(self.settings.batch)
            losses[name] = lesson.weight_at(progress) * share
        return losses
