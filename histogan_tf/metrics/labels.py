"""From probabilities to a class mask, from it to a label image of objects.

In: mask of class ids, uint8 [H, W]. Out: labels int32 [H, W], 0 = background,
1..n = objects, in the order in which their first pixels are read by row.

An object is an 8-connected component of the object classes. Where a boundary
class keeps touching objects apart, the components are those of the interior,
and each then takes back the boundary pixels that lie nearest to it.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from histogan_tf.errors import InputError


def class_ids(probabilities: np.ndarray) -> np.ndarray:
    """Most probable class ids, uint8 [...], of probabilities [..., N <= 255].

    Of equal ones the first.
    """
    return probabilities.argmax(axis=-1).astype(np.uint8)


def label_objects(
    mask: np.ndarray,
    object_classes: Sequence[int],
    boundary_class: int | None = None,
    min_area: int = 0,
) -> np.ndarray:
    """Labels the objects of a class mask.

    Args:
      mask: class ids [H, W], or bool [H, W] with `object_classes` (1,).
      object_classes: ids of the pixels inside objects, such as epithelium
        and lumen.
      boundary_class: id of the pixels between and around objects that
        belong to the nearest one; None if the mask has no such class. A
        piece of boundary that touches no interior is background.
      min_area: smaller objects (px, boundary included) are dropped.

    Returns:
      int32 [H, W], labels 1..n without gaps.

    Raises:
      InputError: `mask` is not [H, W].
    """
    if mask.ndim != 2:
        raise InputError(f"class mask: shape {mask.shape}; allowed is [H, W]")
    inside = np.isin(mask, object_classes).astype(np.uint8)
    labels = cv2.connectedComponents(inside, connectivity=8)[1]
    if boundary_class is not None:
        labels = _grow(labels, mask == boundary_class)
    areas = np.bincount(labels.ravel())
    kept = areas >= max(min_area, 1)
    kept[0] = False
    return np.where(kept, np.cumsum(kept), 0).astype(np.int32)[labels]


def _grow(labels: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Spreads labels over `free` pixels, a ring at a time.

    Rings are alternately diamonds and squares (their mean is close to a
    circle), and never leap over background, as the straight distance would.
    """
    diamond = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    square = np.ones((3, 3), np.uint8)
    # cv2.dilate takes no int32; float32 holds labels up to 2**24 exactly.
    grown, still = labels.astype(np.float32), 0
    # Two rings without change: neither shape finds anything more.
    for ring in range(labels.size):
        spread = cv2.dilate(grown, square if ring % 2 else diamond)
        new = free & (grown == 0) & (spread > 0)
        grown[new] = spread[new]
        still = 0 if new.any() else still + 1
        if still == 2:
            break
    return grown.astype(labels.dtype)
