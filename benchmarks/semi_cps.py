"""Cross pseudo supervision: two networks label for each other.

In: the lesson on real labels, weight and ramp of the cross term. Out: a
model for the trainer's loop. Chen et al., "Semi-supervised semantic
segmentation with cross pseudo supervision" (CVPR 2021), eq. 2: each network's
hard labels teach the other on labelled and unlabelled images alike.
"""

import tensorflow as tf

from histogan_tf.config import OptimizerConfig, SegmenterConfig
from histogan_tf.models import averages, lessons, losses
from histogan_tf.models.fused import fused_step
from histogan_tf.models.lessons import Batch, Lesson
from histogan_tf.models.optimizers import adam
from histogan_tf.models.segmenter import Segmenter
from histogan_tf.models.segmenter_model import SegmenterModel


class CrossModel(SegmenterModel):
    """Two networks of the same shape and other first weights."""

    def __init__(
        self,
        settings: SegmenterConfig,
        rates: OptimizerConfig,
        real: Lesson,
        cross: float,
        ramp: float,
        weights: tf.Tensor,
    ):
        classes = int(weights.shape[0])
        super().__init__(settings, rates, classes, [real])
        self.cross, self.ramp, self.class_weights = cross, ramp, weights
        self.partner = Segmenter(settings.network, classes, settings.patch)
        self.read(self.partner, tf.zeros([1, settings.crop, settings.crop, 3]))
        self.partner_optimizer = adam(
            rates, rates.segmenter_rate, settings.steps
        )
        self.partner_optimizer.build(self.partner.trainable_variables)

    @property
    def term_names(self) -> tuple[str, ...]:
        return ("segmenter/cross", "segmenter/first", "segmenter/second")

    @fused_step
    def train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        pairs = (
            (self.segmenter, self.segmenter_optimizer),
            (self.partner, self.partner_optimizer),
        )
        with tf.GradientTape(persistent=True) as tape:
            terms = self.terms(batch, training=True)
            loss = tf.add_n(list(terms.values()))
        for network, optimizer in pairs:
            variables = network.trainable_variables
            gradients = tape.gradient(loss, variables)
            optimizer.apply_gradients(zip(gradients, variables, strict=True))
        decay = averages.decay(self.ema, self.segmenter_optimizer.iterations)
        averages.update(self.segmenter, self.average_segmenter, decay)
        return terms

    def terms(
        self, batch: Batch, training: bool = False
    ) -> dict[str, tf.Tensor]:
        """Both networks' real lesson, and what each learns of the other."""
        logits = [
            self.read(network, batch["image"], training)
            for network in (self.segmenter, self.partner)
        ]
        (lesson,) = self.lessons
        real = [
            lesson.weight * lesson.loss(lambda _, x=x: x, batch, x)
            for x in logits
        ]
        crossed = sum(
            losses.cross_entropy(own, _labels(other), self.class_weights)
            for own, other in (logits, logits[::-1])
        )
        step = tf.cast(self.segmenter_optimizer.iterations, tf.float32)
        progress = step / float(self.settings.steps)
        weight = self.cross * lessons.ramped(progress, self.ramp)
        return {
            "segmenter/cross": weight * self._share(crossed),
            "segmenter/first": self._share(real[0]),
            "segmenter/second": self._share(real[1]),
        }

    def _share(self, per_image: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(per_image) / float(self.settings.batch)


def _labels(logits: tf.Tensor) -> tf.Tensor:
    return tf.stop_gradient(losses.confident(tf.nn.softmax(logits), 0.0))
