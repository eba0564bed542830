"""The schedule by hand, and that it follows the optimiser's own count."""

import pytest
import tensorflow as tf

from histogan_tf.config import OptimizerConfig
from histogan_tf.models.optimizers import HoldThenDecay, adam


@pytest.mark.parametrize(
    "step, wanted",
    [(0, 0.4), (7, 0.4), (8, 0.4), (9, 0.2), (10, 0.0), (11, 0.0)],
)
def test_holds_then_falls_to_zero(step, wanted):
    # The last fifth of 10 steps: from step 8 on a line to 0 at step 10.
    rate = HoldThenDecay(0.4, 10, 0.2)(tf.constant(step, tf.int64))
    assert float(rate) == pytest.approx(wanted, abs=1e-6)


def test_a_share_of_zero_holds_and_of_one_falls_at_once():
    assert float(HoldThenDecay(0.4, 10, 0.0)(9)) == pytest.approx(0.4)
    assert float(HoldThenDecay(0.4, 10, 1.0)(5)) == pytest.approx(0.2)


def test_the_schedule_can_be_rebuilt():
    old = HoldThenDecay(0.4, 10, 0.2)
    new = HoldThenDecay.from_config(old.get_config())
    assert float(new(9)) == pytest.approx(float(old(9)))


def test_adam_by_hand():
    settings = OptimizerConfig(beta_1=0.5, beta_2=0.9, decay_share=0.5)
    optimizer = adam(settings, 0.1, 4)
    variable = tf.Variable([1.0, -2.0])
    optimizer.build([variable])

    def step(gradient):
        optimizer.apply_gradients([(tf.constant(gradient), variable)])
        return variable.numpy()

    # The first step moves by the rate against the sign.
    assert step([3.0, -0.5]) == pytest.approx([0.9, -1.9], abs=1e-5)
    # Equal gradients again, m / sqrt(v) is still the sign: 0.1 more.
    assert step([3.0, -0.5]) == pytest.approx([0.8, -1.8], abs=1e-5)
    # Steps 2 and 3 of 4: rates 0.1 and 0.05, then none is left.
    assert step([3.0, -0.5]) == pytest.approx([0.7, -1.7], abs=1e-5)
    assert step([3.0, -0.5]) == pytest.approx([0.65, -1.65], abs=1e-5)
    assert step([3.0, -0.5]) == pytest.approx([0.65, -1.65], abs=1e-5)


def test_the_rate_depends_on_the_count_that_checkpoints_hold():
    optimizer = adam(OptimizerConfig(decay_share=0.5), 0.1, 100)
    variable = tf.Variable(0.0)
    optimizer.build([variable])
    optimizer.iterations.assign(75)
    optimizer.apply_gradients([(tf.constant(1.0), variable)])
    # The next update is the 77th: 0.1 * (1 - 0.76) / 0.5.
    assert float(optimizer.learning_rate) == pytest.approx(0.048)
    assert any(v is optimizer.iterations for v in optimizer.variables())
