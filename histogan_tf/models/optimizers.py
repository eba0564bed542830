"""Adam with a rate that is constant, then falls to zero on a line.

In: the run's optimiser settings. Out: a Keras optimiser whose schedule
depends on its own step count only, so it resumes with the checkpoint.
"""

from collections.abc import Sequence

import tensorflow as tf

from histogan_tf.config import OptimizerConfig


class HoldThenDecay(tf.keras.optimizers.schedules.LearningRateSchedule):
    """`rate` until the last `share` of `steps`, then linearly to zero."""

    def __init__(self, rate: float, steps: int, share: float):
        self.rate, self.steps, self.share = rate, steps, share

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The rate at `step`."""
        left = 1.0 - tf.cast(step, tf.float32) / float(self.steps)
        if self.share == 0:
            return tf.constant(self.rate)
        return self.rate * tf.clip_by_value(left / self.share, 0.0, 1.0)

    def get_config(self) -> dict[str, float]:
        """The constructor's arguments."""
        return {"rate": self.rate, "steps": self.steps, "share": self.share}


class Adam(tf.keras.optimizers.legacy.Adam):
    """Adam (Kingma & Ba 2015) whose update is one fused op a variable.

    Keras' newer one, which gives the same weights, makes a dozen small ops
    of each variable: 30 % of a step's graph, a quarter of its tracing time.
    """

    def build(self, variables: Sequence[tf.Variable]) -> None:
        """Makes count and moments, which a checkpoint is restored into."""
        self._create_all_weights(variables)

    @property
    def learning_rate(self) -> tf.Tensor:
        """The rate of the next update."""
        return self._decayed_lr(tf.float32)


def adam(settings: OptimizerConfig, rate: float, steps: int) -> Adam:
    """An Adam of these settings for a phase of `steps` updates."""
    return Adam(
        HoldThenDecay(rate, steps, settings.decay_share),
        beta_1=settings.beta_1,
        beta_2=settings.beta_2,
    )
