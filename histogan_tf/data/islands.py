"""Islands: what lies wholly inside one other class, and whether masks have it.

In: masks of class ids, uint8 [H, W]. Out: their islands; how much of each
class is islands of each other one in labelled masks; masks without those that
labelled masks never have.

An annotator outlines a gland with its lumen, so no island of stroma lies in a
gland; a network that sees glass in the lumen paints one. Which islands there
may be is read from the labelled masks, for any classes. (Papers on glands
fill all holes, for example Graham et al. 2019, MedIA 52:199.)
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


@dataclass(frozen=True)
class Island:
    """A 4-connected part of class `inner`, all of whose neighbours are `outer`.

    `rows` and `columns` bound it, with a pixel to spare on all sides; `inside`
    is bool of that size. What touches the mask's border is no island.
    """

    inner: int
    outer: int
    rows: slice
    columns: slice
    inside: np.ndarray

    @property
    def area(self) -> int:
        """In pixels."""
        return int(self.inside.sum())


def islands(mask: np.ndarray) -> Iterator[Island]:
    """All islands of a mask of class ids, uint8 [H, W]."""
    height, width = mask.shape
    for inner in np.unique(mask):
        count, labels, boxes, _ = cv2.connectedComponentsWithStats(
            (mask == inner).astype(np.uint8), connectivity=4
        )
        for label in range(1, count):
            left, top, across, down, _ = boxes[label]
            right, bottom = left + across, top + down
            if min(left, top) < 1 or right >= width or bottom >= height:
                continue
            rows = slice(top - 1, bottom + 1)
            columns = slice(left - 1, right + 1)
            inside = labels[rows, columns] == label
            grown = cv2.dilate(inside.astype(np.uint8), _CROSS) > 0
            around = np.unique(mask[rows, columns][grown & ~inside])
            if len(around) == 1:
                yield Island(int(inner), int(around[0]), rows, columns, inside)


def shares(masks: Iterable[np.ndarray], classes: int) -> np.ndarray:
    """How much of each class has islands of each other one.

    Args:
      masks: class ids below `classes`; others are gaps, which are no class.

    Returns:
      float64 [N, N]: area of islands of the first class in the second, over
      the area of the second; inf where no mask has the second.
    """
    inner, area = np.zeros((classes, classes)), np.zeros(classes)
    for mask in masks:
        area += np.bincount(mask.ravel(), minlength=classes)[:classes]
        for one in islands(mask):
            if max(one.inner, one.outer) < classes:
                inner[one.inner, one.outer] += one.area
    return np.where(area > 0, inner / np.maximum(area, 1), np.inf)


def filled(mask: np.ndarray, strange: np.ndarray) -> np.ndarray:
    """A mask whose strange islands have become what is around them.

    Args:
      mask: class ids; strange: bool [N, N], true where there may be no island
        of the first class in the second.

    Returns:
      A new mask. An island in an island goes with the outer one only if it
      is strange itself once that has gone.
    """
    out = mask.copy()
    todo = [i for i in islands(out) if _is_strange(i, strange)]
    while todo:
        for one in todo:
            out[one.rows, one.columns][one.inside] = one.outer
        todo = [i for i in islands(out) if _is_strange(i, strange)]
    return out


def _is_strange(island: Island, strange: np.ndarray) -> bool:
    inside = max(island.inner, island.outer) < len(strange)
    return inside and bool(strange[island.inner, island.outer])
