"""A segmenter trained by itself, with or without the pyramid's help.

In: batches as in `stage.py`, and a `paint` function that makes tissue from
masks (the trained pyramid's). Out: trained weights and their average.

Two phases use it: the final segmenter (real, painted and unlabelled images)
and the judge (real labelled images only), which reads painted images without
ever having seen one and so measures whether they obey their masks.
"""

from collections.abc import Callable

import tensorflow as tf

from histogan_tf.config import Config, SegmenterConfig
from histogan_tf.models import averages, losses
from histogan_tf.models.optimizers import adam
from histogan_tf.models.segmenter import Segmenter, no_opinion
from histogan_tf.models.stage import Batch, labelled_count, total

Paint = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


class SegmenterModel(tf.keras.Model):
    """One U-Net with its step; it takes no coarser opinion."""

    def __init__(
        self,
        config: Config,
        settings: SegmenterConfig,
        weights: list[float],
        paint: Paint,
    ):
        """Builds the network.

        Args:
          config: the run's settings (optimiser, labelled share).
          settings: this segmenter's own.
          weights: class weights, from `losses.class_weights`.
          paint: (mask [B, H, W, N], style [B, 6], seed [B]) -> images; not
            called when `settings.synthetic` is 0.
        """
        super().__init__()
        self.settings, self.paint = settings, paint
        self.classes = len(weights)
        self.class_weights = tf.constant(weights, tf.float32)
        labelled = labelled_count(settings.batch, config.labelled_share)
        self.labelled_share = labelled / float(settings.batch)
        self.ema = config.optimizer.ema
        self.segmenter = Segmenter(settings.network, self.classes)
        self.average_segmenter = Segmenter(settings.network, self.classes)
        image = tf.zeros([1, settings.crop, settings.crop, 3])
        for network in (self.segmenter, self.average_segmenter):
            network(image, no_opinion(image, self.classes))
        averages.copy(self.segmenter, self.average_segmenter)
        self.segmenter_optimizer = adam(
            config.optimizer, config.optimizer.segmenter_rate, settings.steps
        )
        self.segmenter_optimizer.build(self.segmenter.trainable_variables)

    @property
    def term_names(self) -> tuple[str, ...]:
        """Names of the loss terms of a step, sorted."""
        wanted = {
            "segmenter/consistency": self.settings.consistency,
            "segmenter/labelled": 1.0,
            "segmenter/painted": self.settings.synthetic,
        }
        return tuple(name for name, weight in wanted.items() if weight)

    def read(self, network: Segmenter, image: tf.Tensor) -> tf.Tensor:
        """Logits of a network for images without a coarser opinion."""
        return network(image, no_opinion(image, self.classes))

    def train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """One update; returns this replica's share of each loss term."""
        with tf.GradientTape() as tape:
            terms = self.terms(batch)
            loss = total(terms, "segmenter/")
        variables = self.segmenter.trainable_variables
        self.segmenter_optimizer.apply_gradients(
            zip(tape.gradient(loss, variables), variables, strict=True)
        )
        decay = averages.decay(self.ema, self.segmenter_optimizer.iterations)
        averages.update(self.segmenter, self.average_segmenter, decay)
        return terms

    def test_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """The loss terms of a batch, nothing updated."""
        return self.terms(batch)

    def terms(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Supervised, consistency and painted terms that the settings ask."""
        image, labels = batch["image"], batch["labels"]
        has_label = losses.labelled(labels)
        logits = self.read(self.segmenter, image)
        fit = losses.cross_entropy(logits, labels, self.class_weights)
        fit += has_label * losses.soft_dice(logits, labels)
        out = {"segmenter/labelled": self._sum(fit) / self.labelled_share}
        if not self.settings.consistency and not self.settings.synthetic:
            return out
        teacher = tf.stop_gradient(
            tf.nn.softmax(self.read(self.average_segmenter, image))
        )
        if self.settings.consistency:
            gap = (1.0 - has_label) * losses.consistency(logits, teacher)
            out["segmenter/consistency"] = (
                self.settings.consistency * self._sum(gap)
            )
        if self.settings.synthetic:
            out["segmenter/painted"] = self._painted(batch, teacher)
        return out

    def _painted(self, batch: Batch, teacher: tf.Tensor) -> tf.Tensor:
        """Loss on fresh tissue painted from the batch's own masks.

        Nothing may pass between the batch's images, which may lie on
        several replicas.
        """
        labels = batch["labels"]
        gap = 1.0 - tf.reduce_sum(labels, axis=-1, keepdims=True)
        mask = labels + gap * losses.confident(teacher, 0.0)
        image = self.paint(mask, batch["style"], batch["seed"])
        image = tf.stop_gradient(image)
        logits = self.read(self.segmenter, image)
        fit = losses.cross_entropy(logits, mask, self.class_weights)
        fit += losses.soft_dice(logits, mask)
        return self.settings.synthetic * self._sum(fit)

    def _sum(self, per_image: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(per_image) / float(self.settings.batch)
