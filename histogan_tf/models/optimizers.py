"""Adam with a rate that is constant, then falls to zero on a line.

In: the run's optimiser settings. Out: a Keras optimiser whose schedule
depends on its own step count only, so it resumes with the checkpoint.
"""

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


def adam(
    settings: OptimizerConfig, rate: float, steps: int
) -> tf.keras.optimizers.Optimizer:
    """An Adam of these settings for a phase of `steps` updates."""
    return tf.keras.optimizers.Adam(
        HoldThenDecay(rate, steps, settings.decay_share),
        beta_1=settings.beta_1,
        beta_2=settings.beta_2,
    )
