"""Pixel scores of a segmentation, all derived from a confusion matrix.

In: masks of class ids, [H, W] or any equal shapes; 255 in the true mask is
ignored. Out: confusion matrices int64 [N, N] (row: true class, column:
predicted class), and from them Dice, IoU, accuracy and Cohen's kappa.

Confusion matrices add up, so a data set's (pooled) scores come from their
sum and a training loop can stream them (`confusion_tensor`). A class in
neither mask has no score: nan, left out of every mean.
"""

import dataclasses
import math
from typing import Any

import numpy as np

from histogan_tf.data.classes import IGNORE
from histogan_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class SegmentationScores:
    """Scores of a set of images; every score in [0, 1], kappa in [-1, 1].

    `dice` and `iou` hold one value per class, pooled over all pixels of the
    set; `image_dice` and `image_iou` the mean over the images in which the
    class is present, truly or by prediction. The means are over classes.
    """

    images: int
    pixels: int
    dice: tuple[float, ...]
    iou: tuple[float, ...]
    mean_dice: float
    mean_iou: float
    image_dice: tuple[float, ...]
    image_iou: tuple[float, ...]
    mean_image_dice: float
    mean_image_iou: float
    accuracy: float
    kappa: float

    def to_json(self) -> dict[str, Any]:
        """A dict for JSON, which has no nan: absent classes are None."""
        return {
            name: [_nullable(v) for v in value]
            if isinstance(value, tuple)
            else _nullable(value)
            for name, value in dataclasses.asdict(self).items()
        }


def confusion_matrix(
    truth: np.ndarray, predicted: np.ndarray, classes: int
) -> np.ndarray:
    """Counts pixels by true and predicted class.

    Args:
      truth: class ids 0..classes-1 of any integer type; 255 is ignored.
      predicted: class ids of the same shape; may hold anything where the
        truth is ignored.
      classes: number of classes N, 1..255.

    Returns:
      int64 [N, N]; row i, column j: pixels of class i taken for class j.

    Raises:
      InputError: shapes differ, or an id is in no class.
    """
    if truth.shape != predicted.shape:
        raise InputError(
            f"masks: true {truth.shape} and predicted {predicted.shape} "
            "shapes differ; they must be equal"
        )
    known = truth != IGNORE
    rows = _checked_ids(truth[known], classes, "true")
    columns = _checked_ids(predicted[known], classes, "predicted")
    counts = np.bincount(rows * classes + columns, minlength=classes**2)
    return counts.reshape(classes, classes)


def confusion_tensor(truth: Any, predicted: Any, classes: int) -> Any:
    """`confusion_matrix` in TensorFlow ops, for streaming in a train step.

    Args:
      truth: integer tensor of class ids 0..classes-1; 255 is ignored.
      predicted: integer tensor of the same shape, ids 0..classes-1. Ids out
        of range are not checked here.
      classes: number of classes N.

    Returns:
      tf.int64 [N, N], as `confusion_matrix`; sums over batches and replicas.
    """
    import tensorflow as tf

    truth = tf.reshape(tf.cast(truth, tf.int32), [-1])
    predicted = tf.reshape(tf.cast(predicted, tf.int32), [-1])
    # Negative segments are dropped by definition of the op.
    cells = tf.where(truth == IGNORE, -1, truth * classes + predicted)
    counts = tf.math.unsorted_segment_sum(
        tf.ones_like(cells, tf.int64), cells, classes * classes
    )
    return tf.reshape(counts, [classes, classes])


def dice(confusion: np.ndarray) -> np.ndarray:
    """2|A and B| / (|A| + |B|) per class: float64 [..., N], nan if absent."""
    hits, total = _hits_and_total(confusion)
    return _ratio(2.0 * hits, total)


def iou(confusion: np.ndarray) -> np.ndarray:
    """|A and B| / |A or B| per class: float64 [..., N], nan if absent."""
    hits, total = _hits_and_total(confusion)
    return _ratio(hits, total - hits)


def mean_present(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Mean without the nan of absent classes; nan where all are absent."""
    present = ~np.isnan(values)
    total = np.where(present, values, 0.0).sum(axis=axis)
    return _ratio(total, present.sum(axis=axis))


def kappa(confusion: np.ndarray) -> float:
    """Cohen's kappa (1960) of [N, N]: agreement beyond that of chance.

    nan where it is undefined: no pixel, or one and the same class all over.
    """
    pixels = float(confusion.sum())
    chance = float(confusion.sum(axis=1) @ confusion.sum(axis=0))
    agreement = pixels * float(np.trace(confusion))
    return float(_ratio(agreement - chance, pixels**2 - chance))


def score(confusions: np.ndarray) -> SegmentationScores:
    """Pooled and per-image scores of a set.

    Args:
      confusions: int [images, N, N], one `confusion_matrix` per image.
    """
    confusions = np.asarray(confusions)
    pooled = confusions.sum(axis=0)
    image_dice = mean_present(dice(confusions), axis=0)
    image_iou = mean_present(iou(confusions), axis=0)
    return SegmentationScores(
        images=len(confusions),
        pixels=int(pooled.sum()),
        dice=tuple(dice(pooled).tolist()),
        iou=tuple(iou(pooled).tolist()),
        mean_dice=float(mean_present(dice(pooled))),
        mean_iou=float(mean_present(iou(pooled))),
        image_dice=tuple(image_dice.tolist()),
        image_iou=tuple(image_iou.tolist()),
        mean_image_dice=float(mean_present(image_dice)),
        mean_image_iou=float(mean_present(image_iou)),
        accuracy=float(_ratio(np.trace(pooled), pooled.sum())),
        kappa=kappa(pooled),
    )


def _checked_ids(ids: np.ndarray, classes: int, which: str) -> np.ndarray:
    ids = ids.astype(np.int64)
    wrong = ids[(ids < 0) | (ids >= classes)]
    if wrong.size:
        raise InputError(
            f"{which} mask: class id {wrong[0]} in {wrong.size} pixels; "
            f"allowed are 0..{classes - 1}"
        )
    return ids


def _hits_and_total(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    confusion = np.asarray(confusion)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return hits, confusion.sum(axis=-1) + confusion.sum(axis=-2)


def _ratio(above: Any, below: Any) -> np.ndarray:
    above, below = np.asarray(above, float), np.asarray(below, float)
    out = np.full(np.broadcast_shapes(above.shape, below.shape), np.nan)
    return np.divide(above, below, out=out, where=below != 0)


def _nullable(value: float) -> float | None:
    return None if math.isnan(value) else value
