"""Losses as pure functions: tensors in, one float32 number per image out.

Conventions: logits [B, H, W, N] or [B, H, W, N + 1] (last: generated);
`target` [B, H, W, N] are soft one-hot masks, all zero where the label is to
be ignored; every mean runs over all H * W pixels, ignored ones included, so
that a sum over images divided by the global batch is the same on any number
of replicas. Class weights [N] come from the data set, not from the batch.

Sources: OASIS, Schoenfeld et al. 2021, eq. 1-2; semi-supervised GAN,
Salimans et al. 2016; soft Dice, Milletari et al. 2016.
"""

import tensorflow as tf

from histogan_tf.models import class_axis
from histogan_tf.models.fused import fused_exact, looped


def class_weights(pixels: list[int], limit: float) -> list[float]:
    """Weights that give each class an equal say, at most `limit`.

    w_c = total / (present classes * pixels_c), 0 for an absent class.
    """
    total = float(sum(pixels))
    present = sum(1 for n in pixels if n)
    return [min(limit, total / (present * n)) if n else 0.0 for n in pixels]


def labelled(target: tf.Tensor) -> tf.Tensor:
    """1 for images with a label on any pixel, else 0: [B]."""
    return tf.cast(tf.reduce_max(target, axis=[1, 2, 3]) > 0, tf.float32)


@looped
def gaps(target: tf.Tensor) -> tf.Tensor:
    """How much of each pixel has no label, 0 to 1: [B, H, W]."""
    return 1.0 - class_axis.total(target)


def _mean(values: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(values, axis=[1, 2])


@fused_exact
def cross_entropy(
    logits: tf.Tensor, target: tf.Tensor, weights: tf.Tensor
) -> tf.Tensor:
    """-sum_c w_c target_c log p_c, mean over pixels: [B].

    With N + 1 logits the last takes part in the softmax only.
    """
    tf.debugging.assert_rank(logits, 4)
    classes = target.shape[-1]
    log_p = class_axis.log_softmax(tf.cast(logits, tf.float32))
    return _mean(-class_axis.total(weights * target * log_p[..., :classes]))


@fused_exact
def generated(logits: tf.Tensor) -> tf.Tensor:
    """-log p_generated, the critic's term on painted pixels: [B]."""
    logits = tf.cast(logits, tf.float32)
    return _mean(class_axis.log_sum_exp(logits) - _last(logits))


@fused_exact
def real(logits: tf.Tensor, where: tf.Tensor | float = 1.0) -> tf.Tensor:
    """-log(1 - p_generated), for real pixels without a label: [B].

    `where` weighs each pixel, [B, H, W].
    """
    logits = tf.cast(logits, tf.float32)
    never = tf.one_hot(logits.shape[-1] - 1, logits.shape[-1], -1e9, 0.0)
    true_classes = class_axis.log_sum_exp(logits + never)
    return _mean(where * tf.nn.softplus(_last(logits) - true_classes))


def _last(logits: tf.Tensor) -> tf.Tensor:
    """As a sum: a slice's gradient is put together number by number."""
    count = logits.shape[-1]
    return class_axis.total(logits * tf.one_hot(count - 1, count))


def soft_dice(logits: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """1 - mean over classes of soft Dice, per image: [B].

    Ignored pixels are left out; a class absent from both counts as 1 in the
    limit of no probability.
    """
    tf.debugging.assert_rank(logits, 4)
    both, either = tf.unstack(_overlap(logits, target), axis=1)
    return 1.0 - tf.reduce_mean((2 * both + 1.0) / (either + 1.0), axis=-1)


@fused_exact
def _overlap(logits: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Each class' sums of p * target and of p + target: [B, 2, N].

    Apart, so that a loop of the gradient need not sum again.
    """
    valid = class_axis.total(target)[..., None]
    p = class_axis.softmax(tf.cast(logits, tf.float32)) * valid
    both = tf.reduce_sum(p * target, axis=[1, 2])
    return tf.stack([both, tf.reduce_sum(p + target, axis=[1, 2])], axis=1)


@fused_exact
def consistency(
    logits: tf.Tensor, teacher: tf.Tensor, where: tf.Tensor | float = 1.0
) -> tf.Tensor:
    """Mean square difference of probabilities (mean teacher): [B].

    `where` weighs each pixel, [B, H, W].
    """
    p = class_axis.softmax(tf.cast(logits, tf.float32))
    return _mean(where * class_axis.total(tf.square(p - teacher)))


@looped
def confident(probabilities: tf.Tensor, threshold: float) -> tf.Tensor:
    """One-hot winners where the winner's probability >= threshold, else 0."""
    best = class_axis.most(probabilities)[..., None]
    winner = class_axis.winner(probabilities)
    return winner * tf.cast(best >= threshold, tf.float32)


def reconstruction(
    painted: tf.Tensor, image: tf.Tensor, full_size: float
) -> tf.Tensor:
    """L1 of 2x2 averages plus `full_size` times L1 of the pixels: [B].

    The averages hold the layout; the finest detail is the critic's. They
    overlap, as averages on a grid of 2 would print that grid.
    """
    return _distance(painted - image, full_size)


@fused_exact
def _distance(difference: tf.Tensor, full_size: float) -> tf.Tensor:
    rows = difference[:, 1:] + difference[:, :-1]
    averages = (rows[:, :, 1:] + rows[:, :, :-1]) / 4.0
    return _size(averages) + full_size * _size(difference)


def _size(x: tf.Tensor) -> tf.Tensor:
    # Down first: a loop adds the numbers of a row one after the other.
    return tf.reduce_mean(tf.reduce_mean(tf.abs(x), axis=1), axis=[1, 2])


def total(terms: dict[str, tf.Tensor], prefix: str) -> tf.Tensor:
    """Sum of the terms whose name starts with `prefix`."""
    return tf.add_n([v for k, v in terms.items() if k.startswith(prefix)])
