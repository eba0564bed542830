"""Averages of weights, by hand."""

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf.models import averages


def network(value, bias=0.0):
    dense = tf.keras.layers.Dense(2)
    model = tf.keras.Sequential([dense])
    model(tf.zeros([1, 1]))
    dense.kernel.assign([[value, 2 * value]])
    dense.bias.assign([bias, bias])
    return model


@pytest.mark.parametrize(
    "step, wanted",
    [
        (0, 1 / 10),
        (1, 2 / 11),
        (8, 0.5),  # 9 / 18
        (890, 0.99),  # 891 / 900
        (1790, 0.995),  # 1791 / 1800: the limit
        (10**6, 0.995),
    ],
)
def test_decay_rises_to_its_limit(step, wanted):
    found = averages.decay(0.995, tf.constant(step, tf.int64))
    assert float(found) == pytest.approx(wanted, rel=1e-6)


def test_copy_makes_equal_and_leaves_apart():
    source, twin = network(1.0), network(5.0)
    averages.copy(source, twin)
    assert twin.weights[0].numpy().tolist() == [[1, 2]]
    source.weights[0].assign([[9.0, 9.0]])
    assert twin.weights[0].numpy().tolist() == [[1, 2]]


@pytest.mark.parametrize("graph", [False, True])
def test_update_by_hand(graph):
    source, twin = network(4.0, 8.0), network(2.0)

    def update(rate):
        averages.update(source, twin, rate)

    call = tf.function(update) if graph else update
    call(tf.constant(0.75))
    # 0.75 * 2 + 0.25 * 4 = 2.5, its double, and 0.75 * 0 + 0.25 * 8 = 2.
    assert twin.weights[0].numpy().tolist() == [[2.5, 5.0]]
    assert twin.weights[1].numpy().tolist() == [2.0, 2.0]
    call(tf.constant(0.75))
    # 0.75 * 2.5 + 0.25 * 4 = 2.875.
    assert twin.weights[0].numpy().tolist() == [[2.875, 5.75]]
    assert source.weights[0].numpy().tolist() == [[4.0, 8.0]]


def test_rates_of_one_and_zero():
    source, twin = network(4.0), network(2.0)
    averages.update(source, twin, tf.constant(1.0))
    assert twin.weights[0].numpy().tolist() == [[2.0, 4.0]]
    averages.update(source, twin, tf.constant(0.0))
    assert twin.weights[0].numpy().tolist() == [[4.0, 8.0]]


def test_small_steps_survive_bfloat16():
    before = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        source, twin = network(1.001), network(1.0)
        averages.update(source, twin, tf.constant(0.99))
    finally:
        tf.keras.mixed_precision.set_global_policy(before)
    # bfloat16 has nothing between 1 and 1.0078.
    np.testing.assert_allclose(
        twin.weights[0].numpy()[0, 0], 1.00001, rtol=1e-7
    )
