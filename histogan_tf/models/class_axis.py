"""Sums, softmax and winners over the few classes of each pixel.

In: maps [..., C] whose last axis are classes. Out: the same as TensorFlow's
ops; inside a fused loop (`fused.py`) written class by class, as XLA treats
one pixel after the other where it sums over an axis of three or four numbers
(cross-entropy of 8 images of 256 px: 4.7 ms, class by class 0.9).
"""

import functools
from collections.abc import Callable

import tensorflow as tf

from histogan_tf.models.fused import is_loop


def total(x: tf.Tensor) -> tf.Tensor:
    """Sum over classes: [..., C] -> [...]."""
    return _total(x) if is_loop() else tf.reduce_sum(x, axis=-1)


def log_sum_exp(x: tf.Tensor) -> tf.Tensor:
    """log sum_c exp x_c: [..., C] -> [...]."""
    return _log_sum_exp(x) if is_loop() else tf.reduce_logsumexp(x, axis=-1)


def log_softmax(x: tf.Tensor) -> tf.Tensor:
    """Logits' log probabilities: like x."""
    if is_loop():
        return x - _log_sum_exp(x)[..., None]
    return tf.nn.log_softmax(x)


def softmax(x: tf.Tensor) -> tf.Tensor:
    """Logits' probabilities: like x."""
    return _softmax(x) if is_loop() else tf.nn.softmax(x)


def most(x: tf.Tensor) -> tf.Tensor:
    """The largest of the classes: [..., C] -> [...]."""
    if is_loop():
        return functools.reduce(tf.maximum, tf.unstack(x, axis=-1))
    return tf.reduce_max(x, axis=-1)


def winner(x: tf.Tensor) -> tf.Tensor:
    """1 for the largest class, the first of equals, else 0: like x."""
    count = x.shape[-1]
    if not is_loop():
        return tf.one_hot(tf.argmax(x, axis=-1), count, dtype=x.dtype)
    best, found = most(x), count
    for index, value in reversed(list(enumerate(tf.unstack(x, axis=-1)))):
        found = tf.where(value == best, index, found)
    return tf.cast(tf.range(count) == found[..., None], x.dtype)


# Gradients by hand: those of single classes would be put together again
# number by number.


@tf.custom_gradient
def _total(x: tf.Tensor) -> tuple[tf.Tensor, Callable]:
    result = tf.add_n(tf.unstack(x, axis=-1))
    return result, lambda dy: tf.broadcast_to(dy[..., None], x.shape)


@tf.custom_gradient
def _log_sum_exp(x: tf.Tensor) -> tuple[tf.Tensor, Callable]:
    classes = tf.unstack(x, axis=-1)
    top = functools.reduce(tf.maximum, classes)
    rest = tf.add_n([tf.exp(c - top) for c in classes])
    result = top + tf.math.log(rest)
    return result, lambda dy: dy[..., None] * tf.exp(x - result[..., None])


@tf.custom_gradient
def _softmax(x: tf.Tensor) -> tuple[tf.Tensor, Callable]:
    y = tf.exp(x - _log_sum_exp(x)[..., None])
    return y, lambda dy: y * (dy - _total(dy * y)[..., None])
