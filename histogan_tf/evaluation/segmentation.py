"""Scores of a segmenter on labelled images: classes and objects.

In: predicted masks and `EvaluationTile`s. Out: `SegmentationScores`
(per class, pooled and per image) and the GlaS challenge's `ObjectScores`.

Records hold class masks, not instances. So true objects are the connected
parts of the true mask (see `metrics/labels.py`), as the predicted ones are;
objects that touch without a boundary class between them count as one.
"""

import math
from collections.abc import Sequence

import numpy as np

from histogan_tf.data.classes import IGNORE, ClassTable
from histogan_tf.errors import InputError
from histogan_tf.metrics import objects, segmentation
from histogan_tf.metrics.labels import label_objects


def class_scores(
    truths: Sequence[np.ndarray], predicted: Sequence[np.ndarray], classes: int
) -> segmentation.SegmentationScores:
    """Per-class scores of masks, uint8 [H, W]; 255 in a truth is ignored."""
    return segmentation.score(
        np.stack(
            [
                segmentation.confusion_matrix(truth, mask, classes)
                for truth, mask in zip(truths, predicted, strict=True)
            ]
        )
    )


def object_scores(
    truths: Sequence[np.ndarray],
    predicted: Sequence[np.ndarray],
    object_classes: Sequence[int],
    boundary: int | None,
    mpp: float,
    least_um2: float = 0.0,
) -> objects.ObjectScores:
    """GlaS scores of the objects in masks, uint8 [H, W].

    Args:
      truths: 255 = ignore; such pixels belong to no object on either side.
      predicted: masks of the same shapes.
      object_classes: classes that make up an object together.
      boundary: class that keeps touching objects apart, or None.
      mpp: um/px of all masks.
      least_um2: smaller predicted objects count as background.
    """
    tallies, least = [], math.ceil(least_um2 / mpp**2)
    for truth, mask in zip(truths, predicted, strict=True):
        known = np.where(truth == IGNORE, np.uint8(IGNORE), mask)
        found = label_objects(known, object_classes, boundary, least)
        wanted = label_objects(truth, object_classes, boundary)
        tallies.append(objects.tally(found, wanted, mpp))
    return objects.score(tallies)


def object_classes(
    table: ClassTable, names: Sequence[str] | None
) -> tuple[int, ...]:
    """Ids of the classes that objects are made of.

    Args:
      table: the run's classes.
      names: class names; None: all but class 0 and the boundary class.

    Raises:
      InputError: a name is in no class, or is the boundary class.
    """
    edge = table.boundary
    allowed = {i.name: i.id for i in table.classes if i != edge}
    if names is None:
        return tuple(i for i in allowed.values() if i)
    for name in names:
        if name not in allowed:
            raise InputError(
                f"--object_classes {name!r}: allowed are {', '.join(allowed)}"
            )
    return tuple(sorted({allowed[name] for name in names}))
