"""Exponential moving averages of weights, float32, right on any strategy.

In: a trained network and its twin. Out: the twin's weights follow. The twin
is what inference and the mean teacher use.
"""

import tensorflow as tf


def decay(limit: float, step: tf.Tensor) -> tf.Tensor:
    """`limit`, less in the first steps: min(limit, (1 + n) / (10 + n))."""
    step = tf.cast(step, tf.float32)
    return tf.minimum(limit, (1.0 + step) / (10.0 + step))


def copy(source: tf.keras.Model, twin: tf.keras.Model) -> None:
    """Makes the twin's weights equal to the source's."""
    for old, new in zip(twin.variables, source.variables, strict=True):
        old.assign(new)


def update(
    source: tf.keras.Model,
    twin: tf.keras.Model,
    rate: tf.Tensor,
    statistics: bool = False,
) -> None:
    """twin <- rate * twin + (1 - rate) * source, inside a replica.

    `statistics`: those too; else the twin's are of what it reads itself.
    """

    def in_all_replicas(strategy, olds, news, share):
        def assign(old, new, share):
            old.assign_sub(share * (old - new))

        for old, new in zip(olds, news, strict=True):
            strategy.extended.update(old, assign, args=(new, share))

    olds, news = (
        network.variables if statistics else network.trainable_variables
        for network in (twin, source)
    )
    tf.distribute.get_replica_context().merge_call(
        in_all_replicas, args=(olds, news, 1.0 - rate)
    )
