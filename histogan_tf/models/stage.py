"""One stage of the pyramid: three networks and the step that trains them.

In: batches of `dataset.py`: image [B, c, c, 3] in [-1, 1]; labels
[B, c, c, N] soft one-hot, all zero where there is no label; style [B, 6];
seed int64 [B]. Out: trained weights and their exponential averages, which
are what inference uses.

The coarser image of stage k > 0 is the real one (`coarse_view.py`), as in
LAPGAN (Denton et al. 2015), so that stages are independent of one another.

Losses are sums over this replica's images divided by the global batch, so
sums over replicas are the global loss. One forward pass updates critic and
generator, which saves a third of the step.

Pixels without a label take the mean teacher's opinion (Tarvainen & Valpola
2017): as the generator's mask always, as a class label where it is sure.
"""

from dataclasses import dataclass

import tensorflow as tf

from histogan_tf.config import Config, LossConfig, StageConfig
from histogan_tf.data import colour
from histogan_tf.data.dataset import labelled_count
from histogan_tf.models import (
    averages,
    coarse_view,
    lessons,
    losses,
    segmenter_loss,
)
from histogan_tf.models.discriminator import Discriminator, places
from histogan_tf.models.fused import fused_step
from histogan_tf.models.generator import Generator, noise_fields
from histogan_tf.models.layers import softmax
from histogan_tf.models.optimizers import adam
from histogan_tf.models.other_stain import Batch, View, as_it_is
from histogan_tf.models.segmenter import Segmenter, no_opinion

_TERMS = (
    "critic/classes",
    "critic/generated",
    "critic/unlabelled",
    "generator/classes",
    "generator/reconstruction",
    "segmenter/consistency",
    "segmenter/labelled",
    "segmenter/painted",
)


@dataclass(frozen=True)
class Networks:
    """What inference needs of a stage: averaged generator and segmenter."""

    generator: Generator
    segmenter: Segmenter


class StageModel(tf.keras.Model):
    """Generator, critic and segmenter of one scale, with their step."""

    def __init__(
        self,
        config: Config,
        index: int,
        weights: list[float],
        view: View = as_it_is,
    ):
        """Builds the networks.

        Args:
          config: the run's settings; stage `index` of it is built.
          index: 0 is the coarsest stage.
          weights: class weights, from `losses.class_weights`.
          view: what the segmenter sees of real images.
        """
        super().__init__()
        self.index, self.term_names = index, _TERMS
        self.classes = len(weights)
        self.class_weights = tf.constant(weights, tf.float32)
        self.settings: StageConfig = config.stages[index]
        self.loss_settings: LossConfig = config.losses
        batch, self.thin = self.settings.batch, self.settings.thin
        labelled = labelled_count(batch, config.labelled_share)
        self.labelled_share = labelled / float(batch)
        # Labelled images come first in a batch.
        self.thin_share = -(-labelled // self.thin) * self.thin / float(batch)
        self.noise_channels, self.view = config.noise_channels, view
        self._build_networks()
        rates, steps = config.optimizer, self.settings.steps
        self.generator_optimizer = adam(rates, rates.generator_rate, steps)
        self.critic_optimizer = adam(rates, rates.critic_rate, steps)
        self.segmenter_optimizer = adam(rates, rates.segmenter_rate, steps)
        self.ema = rates.ema
        self._build_optimizers()

    def _build_networks(self) -> None:
        stage, residual, classes = self.settings, self.index > 0, self.classes
        self.generator = Generator(stage.generator, residual)
        self.critic = Discriminator(stage.critic, classes, stage.critic_patch)
        reads = stage.segmenter, classes, stage.segmenter_patch
        self.segmenter = Segmenter(*reads)
        self.average = Networks(
            Generator(stage.generator, residual), Segmenter(*reads)
        )
        # Keras tracks networks that are attributes, not a dataclass's.
        self.average_generator = self.average.generator
        self.average_segmenter = self.average.segmenter
        image = tf.zeros([1, stage.crop, stage.crop, 3])
        mask = tf.zeros([1, stage.crop, stage.crop, self.classes])
        style, seed = tf.zeros([1, colour.STYLE_SIZE]), tf.zeros([1], tf.int64)
        for generator in (self.generator, self.average_generator):
            generator(
                mask,
                self.noise(seed, image),
                style,
                image if residual else None,
            )
        for segmenter in (self.segmenter, self.average_segmenter):
            segmenter(image, no_opinion(image, self.classes))
        self.critic(image)
        averages.copy(self.generator, self.average_generator)
        averages.copy(self.segmenter, self.average_segmenter)

    def _build_optimizers(self) -> None:
        # Slots must exist before a checkpoint is restored into them.
        self.generator_optimizer.build(self.generator.trainable_variables)
        self.critic_optimizer.build(self.critic.trainable_variables)
        self.segmenter_optimizer.build(self.segmenter.trainable_variables)

    def noise(self, seed: tf.Tensor, image: tf.Tensor) -> list[tf.Tensor]:
        """The generator's noise for images with origin (0, 0)."""
        size = tf.shape(image)
        return noise_fields(
            seed,
            self.index,
            tf.range(size[1]),
            tf.range(size[2]),
            len(self.settings.generator.widths),
            self.noise_channels,
        )

    def coarse(self, batch: Batch) -> tuple[tf.Tensor | None, tf.Tensor | None]:
        """The real coarser image as it is and as it is seen.

        As `coarse_view.views` has them; both are None at stage 0.
        """
        if self.index == 0:
            return None, None
        return coarse_view.views(batch, self.loss_settings.coarse_noise)

    def teach(self, batch: Batch, training: bool = False) -> tf.Tensor:
        """The averaged segmenter's probabilities [B, c, c, N].

        In training its statistics follow: they are of images as they are.
        """
        image = batch["image"]
        opinion = no_opinion(image, self.classes)
        logits = self.average_segmenter(image, opinion, training=training)
        return tf.stop_gradient(softmax(logits))

    def adversarial_losses(
        self, batch: Batch, mask: tf.Tensor, sure: tf.Tensor, training: bool
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Critic's and generator's terms from one pass through both.

        Args:
          batch: see the module; every `thin`-th image of it.
          mask: the generator's mask [B, c, c, N], complete.
          sure: labels the teacher is sure of, where there are none.
          training: whether spectral norms are updated.

        Returns:
          Terms by name (names start with the network's), and the painted
          images [B, c, c, 3].
        """
        weights, settings = self.class_weights, self.loss_settings
        painted = self.generator(
            mask,
            self.noise(batch["seed"], batch["image"]),
            batch["style"],
            *self.coarse(batch),
        )
        place = places(batch["seed"], self.settings.critic_patch)
        on_real = self.critic(batch["image"], training, place)
        # By itself, so that the generator's gradient spares the real images;
        # the spectral norms have just been brought up to date.
        on_painted = self.critic(painted, place=place)
        labels = batch["labels"]
        semi = settings.unlabelled * (
            losses.real(on_real, losses.gaps(labels))
            + losses.cross_entropy(on_real, sure, weights)
        )
        classes = losses.cross_entropy(on_real, labels, weights)
        terms = {
            "critic/classes": self._thin_sum(classes) / self.thin_share,
            "critic/unlabelled": self._thin_sum(semi),
            "critic/generated": self._thin_sum(losses.generated(on_painted)),
            "generator/classes": self._thin_sum(
                losses.cross_entropy(on_painted, mask, weights)
            ),
            "generator/reconstruction": self.settings.reconstruction
            * self._thin_sum(
                losses.reconstruction(
                    painted, batch["image"], settings.full_size
                )
            ),
        }
        return terms, painted

    def _sum(self, per_image: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(per_image) / float(self.settings.batch)

    def _thin_sum(self, per_image: tf.Tensor) -> tf.Tensor:
        return self._sum(per_image) * float(self.thin)

    def thinned(self, batch: Batch) -> Batch:
        """What critic and generator take of a batch."""
        return {name: value[:: self.thin] for name, value in batch.items()}

    def complete(
        self, labels: tf.Tensor, teacher: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Masks without gaps, and the teacher's sure labels in the gaps."""
        threshold = self.loss_settings.confidence
        sure = lessons.sure(labels, teacher, threshold)
        return lessons.complete(labels, teacher), sure

    @fused_step
    def train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """One update of all; this replica's share of each loss term."""
        teacher, some = self.teach(batch, True), self.thinned(batch)
        mask, sure = self.complete(some["labels"], teacher[:: self.thin])
        with tf.GradientTape(persistent=True) as tape:
            terms, painted = self.adversarial_losses(some, mask, sure, True)
            critic_loss = losses.total(terms, "critic/")
            generator_loss = losses.total(terms, "generator/")
        self._update(tape, critic_loss, "critic")
        self._update(tape, generator_loss, "generator")
        with tf.GradientTape() as tape:
            more = self.segmenter_terms(batch, mask, painted, teacher, True)
            segmenter_loss = losses.total(more, "segmenter/")
        self._update(tape, segmenter_loss, "segmenter")
        self._update_averages()
        return terms | more

    def test_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """The loss terms of a batch, nothing updated."""
        teacher, some = self.teach(batch), self.thinned(batch)
        mask, sure = self.complete(some["labels"], teacher[:: self.thin])
        terms, painted = self.adversarial_losses(some, mask, sure, False)
        return terms | self.segmenter_terms(batch, mask, painted, teacher)

    def segmenter_terms(
        self,
        batch: Batch,
        mask: tf.Tensor,
        painted: tf.Tensor,
        teacher: tf.Tensor,
        training: bool = False,
    ) -> dict[str, tf.Tensor]:
        """The segmenter's loss terms on real and painted images."""
        settings, weights = self.loss_settings, self.class_weights
        none = no_opinion(batch["image"], self.classes)
        shown = segmenter_loss.simulated_opinion(batch) if self.index else none
        per_image = segmenter_loss.segmenter_losses(
            self.segmenter,
            batch,
            shown,
            weights,
            teacher,
            self.view,
            training,
        )
        painted = tf.stop_gradient(painted)
        logits = self.segmenter(painted, none[:: self.thin], training=training)
        paired = lessons.fit(logits, mask, weights)
        return {
            "segmenter/labelled": self._sum(per_image.labelled)
            / self.labelled_share,
            "segmenter/consistency": settings.consistency
            * self._sum(per_image.consistency),
            "segmenter/painted": settings.synthetic * self._thin_sum(paired),
        }

    def _update(
        self, tape: tf.GradientTape, loss: tf.Tensor, name: str
    ) -> None:
        variables = getattr(self, name).trainable_variables
        pairs = zip(tape.gradient(loss, variables), variables, strict=True)
        getattr(self, f"{name}_optimizer").apply_gradients(pairs)

    def _update_averages(self) -> None:
        step = self.generator_optimizer.iterations
        decay = averages.decay(self.ema, step)
        averages.update(self.generator, self.average_generator, decay)
        averages.update(self.segmenter, self.average_segmenter, decay)
