"""Scores of a segmenter on whole images, one row an image.

In: a function that reads uint8 [H, W, 3] at the network's um/px, images with
their mask files. Out: {name: {dice, jaccard, object_dice, object_f1,
object_hausdorff, counts}} for GlaS at the images' own size, threshold 0.5
(the larger of two probabilities). Whole images are read at once: the network
is window-exact, so windows with their halo give the same.

True objects are the instances of the label image (glands that touch count as
two); found ones are the connected parts of the found mask.
"""

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np

from benchmarks import semi_statistics
from histogan_tf import rescale
from histogan_tf.data import images
from histogan_tf.data.pairs import ImageFiles
from histogan_tf.metrics import objects, segmentation
from histogan_tf.metrics.labels import label_objects

Read = Callable[[np.ndarray], np.ndarray]
Row = dict[str, Any]

GLAND = 1


def gland_rows(
    read: Read, sources: Sequence[ImageFiles], mpp: float, target: float
) -> dict[str, Row]:
    """Rows of GlaS images, at their own `mpp`; the network's is `target`."""
    out = {}
    for source in sources:
        image = images.read_image(source.image)
        truth = images.read_mask_raw(source.mask, False).astype(np.int32)
        found = rescale.read_at(read, image, mpp, target).argmax(-1) == GLAND
        out[source.name] = {
            **pixel_row(found, truth > 0),
            **_objects(found, truth, mpp),
        }
    return out


def small_rows(
    read: Read, sources: Sequence[ImageFiles], side: int
) -> dict[str, Row]:
    """Rows of images and masks resized to side x side, pixels only."""
    out = {}
    for source in sources:
        image = resized(images.read_image(source.image), side)
        truth = images.read_mask_raw(source.mask, False) > 0
        truth = resized_mask(truth.astype(np.uint8), side) > 0
        found = read(image).argmax(-1) == GLAND
        out[source.name] = pixel_row(found, truth)
    return out


def class_rows(
    read: Read, sources: Sequence[ImageFiles], mpp: float, target: float
) -> dict[str, Row]:
    """Rows of masks of class ids: IoU a class, the mean of those that occur.

    A class that neither mask has is None. The mean is over the classes of the
    true mask, so that it is of the same classes for every method.
    """
    out = {}
    for source in sources:
        image = images.read_image(source.image)
        truth = images.read_mask_raw(source.mask, False)
        found = rescale.read_at(read, image, mpp, target)
        counts = segmentation.confusion_matrix(
            truth, found.argmax(-1), found.shape[-1]
        )
        iou = segmentation.iou(counts)
        out[source.name] = {
            "mean_iou": semi_statistics.mean_iou(counts),
            "iou": [None if np.isnan(v) else float(v) for v in iou],
            "confusion": counts.tolist(),
        }
    return out


def pixel_row(found: np.ndarray, truth: np.ndarray) -> Row:
    """Dice and Jaccard of two bool masks, and the counts behind them.

    Neither mask has a pixel: both are 1.
    """
    both = int((found & truth).sum())
    found_only, missed = int(found.sum()) - both, int(truth.sum()) - both
    total = 2 * both + found_only + missed
    union = both + found_only + missed
    return {
        "dice": 2 * both / total if total else 1.0,
        "jaccard": both / union if union else 1.0,
        "counts": [both, found_only, missed],
    }


def pooled_classes(rows: dict[str, Row]) -> dict[str, float]:
    """Mean IoU over the true classes, of the pixels of all images together."""
    counts = sum(np.array(row["confusion"]) for row in rows.values())
    return {"mean_iou": semi_statistics.mean_iou(counts)}


def pooled(rows: dict[str, Row]) -> dict[str, float]:
    """Dice and Jaccard over the pixels of all images together."""
    both, extra, missed = (
        sum(row["counts"][place] for row in rows.values()) for place in range(3)
    )
    return {
        "dice": 2 * both / (2 * both + extra + missed),
        "jaccard": both / (both + extra + missed),
    }


def resized(image: np.ndarray, side: int) -> np.ndarray:
    """uint8 [side, side, 3] by area average."""
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)


def resized_mask(mask: np.ndarray, side: int) -> np.ndarray:
    """[side, side] by nearest neighbours."""
    return cv2.resize(mask, (side, side), interpolation=cv2.INTER_NEAREST_EXACT)


def _objects(found: np.ndarray, truth: np.ndarray, mpp: float) -> Row:
    tally = objects.tally(label_objects(found, (1,)), truth, mpp)
    score = objects.score([tally])
    return {
        "object_dice": score.object_dice,
        "object_f1": score.object_f1,
        "object_hausdorff": score.object_hausdorff_px,
    }
