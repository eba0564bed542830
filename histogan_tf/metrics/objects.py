"""Object scores of the GlaS challenge: object F1, Dice and Hausdorff.

In: label images, integers [H, W], 0 = background, every other value one
object (need not be connected or consecutive); um/px. Out: one `ObjectTally`
per image, and from any number of tallies the `ObjectScores` of the set.

After Sirinukunwattana et al., "Gland segmentation in colon histology images:
the GlaS challenge contest", Med. Image Anal. 35:489 (2017), and the
organisers' published definition (warwick.ac.uk, glascontest/evaluation).
A segmented object S belongs to the true object G it overlaps most, and the
other way round (of equals, the lower label).

- F1: S is a true positive if it covers *more than* half of its G. The text
  says "at least 50 %", the organisers' program `> 0.5`; we follow the program:
  then a G has one true positive at most and FN = |G| - TP stands.
- Object Dice: half the sum, over S and over G, of each object's Dice with
  its match, weighted by its share of the set's object area; 0 if unmatched.
- Object Hausdorff: the same weights; an object that overlaps nothing takes
  the object at the smallest Hausdorff distance. Distances are between pixel
  centres. If the image has no object on the other side at all the program
  gives infinity; here the image's diagonal, and `capped` counts such objects.
- Neither side has an object: F1 1, Dice 1, Hausdorff 0. Only one side has:
  F1 0, Dice 0, Hausdorff the diagonal.

The challenge pools: weights and counts run over all images of a set, so a
set's score is not the mean of its images' scores.
"""

import dataclasses
import functools
import math
from collections.abc import Iterable

import cv2
import numpy as np

from histogan_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class ObjectTally:
    """Sums over objects; tallies of several images add up by field.

    Areas in px. `dice_*` and `hausdorff_*` are sums of area x value, over
    the segmented (seg) and the true objects; Hausdorff in px and in um.
    """

    images: int = 0
    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0
    area_seg: int = 0
    area_true: int = 0
    dice_seg: float = 0.0
    dice_true: float = 0.0
    hausdorff_px_seg: float = 0.0
    hausdorff_px_true: float = 0.0
    hausdorff_um_seg: float = 0.0
    hausdorff_um_true: float = 0.0
    capped: int = 0


@dataclasses.dataclass(frozen=True)
class ObjectScores:
    """The challenge's three scores and the counts behind them."""

    images: int
    object_f1: float
    precision: float
    recall: float
    object_dice: float
    object_hausdorff_px: float
    object_hausdorff_um: float
    true_positives: int
    false_positives: int
    false_negatives: int
    capped: int


@dataclasses.dataclass(frozen=True)
class _Objects:
    """One side of an image: relabelled 1..n, in the order of its labels.

    labels: int [H, W]. areas: int [n]. boxes: int [n, 4], top, left, bottom,
    right, the last two exclusive.
    """

    labels: np.ndarray
    areas: np.ndarray
    boxes: np.ndarray


def tally(segmented: np.ndarray, truth: np.ndarray, mpp: float) -> ObjectTally:
    """Matches the objects of one image and sums their scores.

    Args:
      segmented: integer labels [H, W], 0 = background.
      truth: the same. Pixels to be ignored must be 0 in both.
      mpp: um per px, > 0.

    Raises:
      InputError: shapes differ or are not [H, W], or a label is negative.
    """
    if segmented.shape != truth.shape or truth.ndim != 2:
        raise InputError(
            f"label images: segmented {segmented.shape} and true "
            f"{truth.shape}; both must be the same [H, W]"
        )
    seg, true = _objects(segmented), _objects(truth)
    overlap = _overlap(seg, true)
    dice_seg, hausdorff_seg = _matched_sums(seg, true, overlap)
    dice_true, hausdorff_true = _matched_sums(true, seg, overlap.T)
    hits = _true_positives(overlap, true.areas)
    count_seg, count_true = overlap.shape
    lonely = count_seg == 0 or count_true == 0
    return ObjectTally(
        images=1,
        true_positives=hits,
        false_positives=count_seg - hits,
        false_negatives=count_true - hits,
        area_seg=int(seg.areas.sum()),
        area_true=int(true.areas.sum()),
        dice_seg=dice_seg,
        dice_true=dice_true,
        hausdorff_px_seg=hausdorff_seg,
        hausdorff_px_true=hausdorff_true,
        hausdorff_um_seg=hausdorff_seg * mpp,
        hausdorff_um_true=hausdorff_true * mpp,
        capped=count_seg + count_true if lonely else 0,
    )


def score(tallies: Iterable[ObjectTally]) -> ObjectScores:
    """Pooled scores of a set, or of one image given its one tally."""
    total = functools.reduce(_add, tallies, ObjectTally())
    hits = total.true_positives
    seg, true = hits + total.false_positives, hits + total.false_negatives
    agreed = 1.0 if seg == true == 0 else 0.0
    sides = (total.area_seg, total.area_true)
    dice = _balance((total.dice_seg, total.dice_true), sides)
    return ObjectScores(
        images=total.images,
        object_f1=2 * hits / (seg + true) if seg + true else 1.0,
        precision=hits / seg if seg else agreed,
        recall=hits / true if true else agreed,
        object_dice=dice if seg + true else 1.0,
        object_hausdorff_px=_balance(
            (total.hausdorff_px_seg, total.hausdorff_px_true), sides
        ),
        object_hausdorff_um=_balance(
            (total.hausdorff_um_seg, total.hausdorff_um_true), sides
        ),
        true_positives=hits,
        false_positives=total.false_positives,
        false_negatives=total.false_negatives,
        capped=total.capped,
    )


def hausdorff(one: np.ndarray, other: np.ndarray) -> float:
    """Hausdorff distance in px between two non-empty bool masks [H, W]."""
    return max(_directed(one, other), _directed(other, one))


def _directed(source: np.ndarray, target: np.ndarray) -> float:
    """The farthest that a pixel of `source` lies from `target`."""
    # The precise mask is exact; the 3x3 and 5x5 ones are off by up to 2 %.
    distance = cv2.distanceTransform(
        (~target).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
    )
    # Squares are whole numbers; the root's last digit depends on the machine.
    return math.sqrt(round(float(distance[source].max()) ** 2))


def _objects(labels: np.ndarray) -> _Objects:
    if labels.size and labels.min() < 0:
        raise InputError(f"label image: label {labels.min()}; allowed are >= 0")
    values, compact = np.unique(labels, return_inverse=True)
    # np.unique sorts, so background, where there is any, is label 0 already.
    compact = compact.reshape(labels.shape) + int(not (values == 0).any())
    areas = np.bincount(compact.ravel(), minlength=1)[1:]
    rows, columns = np.nonzero(compact)
    order = np.argsort(compact[rows, columns], kind="stable")
    if not len(areas):
        return _Objects(compact, areas, np.zeros((0, 4), int))
    starts = np.cumsum(areas) - areas
    places = np.stack([rows[order], columns[order]], axis=1)
    low = np.minimum.reduceat(places, starts, axis=0)
    high = np.maximum.reduceat(places, starts, axis=0) + 1
    return _Objects(compact, areas, np.concatenate([low, high], axis=1))


def _overlap(seg: _Objects, true: _Objects) -> np.ndarray:
    """Common pixels int [segmented objects, true objects]."""
    shape = len(seg.areas) + 1, len(true.areas) + 1
    pairs = seg.labels.ravel() * shape[1] + true.labels.ravel()
    counts = np.bincount(pairs, minlength=shape[0] * shape[1])
    return counts.reshape(shape)[1:, 1:]


def _true_positives(overlap: np.ndarray, true_areas: np.ndarray) -> int:
    if not overlap.size:
        return 0
    match = overlap.argmax(axis=1)
    covered = overlap.max(axis=1)
    return int((2 * covered > true_areas[match]).sum())


def _matched_sums(
    these: _Objects, those: _Objects, overlap: np.ndarray
) -> tuple[float, float]:
    """Sums of area x Dice and area x Hausdorff [px] over `these`."""
    height, width = these.labels.shape
    if not len(those.areas):
        diagonal = math.hypot(height - 1, width - 1)
        return 0.0, float(these.areas.sum() * diagonal)
    dice = distance = 0.0
    for index, area in enumerate(these.areas):
        match = int(overlap[index].argmax())
        common = int(overlap[index, match])
        dice += area * 2.0 * common / (area + those.areas[match])
        distance += area * (
            _object_distance(these, index, those, match)
            if common
            else _least_distance(these, index, those)
        )
    return float(dice), float(distance)


def _object_distance(
    these: _Objects, index: int, those: _Objects, other: int
) -> float:
    """Hausdorff distance of two objects, inside their common box."""
    one, two = these.boxes[index], those.boxes[other]
    window = np.s_[
        min(one[0], two[0]) : max(one[2], two[2]),
        min(one[1], two[1]) : max(one[3], two[3]),
    ]
    return hausdorff(
        these.labels[window] == index + 1, those.labels[window] == other + 1
    )


def _least_distance(these: _Objects, index: int, those: _Objects) -> float:
    """Smallest Hausdorff distance from one object to any of `those`.

    Two objects are at least as far apart as any side of their boxes, which
    orders the candidates and spares most of them the distance transform.
    """
    sides = np.abs(those.boxes - these.boxes[index]).max(axis=1)
    best = math.inf
    for other in np.argsort(sides, kind="stable"):
        if sides[other] >= best:
            break
        best = min(best, _object_distance(these, index, those, int(other)))
    return best


def _add(one: ObjectTally, two: ObjectTally) -> ObjectTally:
    return ObjectTally(
        *(
            a + b
            for a, b in zip(
                dataclasses.astuple(one), dataclasses.astuple(two), strict=True
            )
        )
    )


def _balance(sums: tuple[float, float], areas: tuple[int, int]) -> float:
    """Mean of both sides' area-weighted means, over the sides that exist."""
    means = [s / a for s, a in zip(sums, areas, strict=True) if a]
    return sum(means) / len(means) if means else 0.0
