"""Object scores: hand-computed, and against the paper's formulas spelt out.

`spelt_out` follows the definitions by brute force: all pairs of pixels for
the Hausdorff distance, all pairs of objects for the matches.
"""

import dataclasses
import json
import math

import cv2
import numpy as np
import pytest

from histogan_tf.errors import InputError
from histogan_tf.metrics import objects
from histogan_tf.metrics.labels import label_objects


def one_image(segmented, truth, mpp=1.0):
    return objects.score(
        [objects.tally(np.array(segmented), np.array(truth), mpp)]
    )


def test_equal_objects_are_perfect_under_any_labels():
    truth = np.array([[1, 1, 0, 2, 2], [1, 1, 0, 2, 2]])
    found = one_image(np.array([0, 70000, 4])[truth], truth)
    assert (found.object_f1, found.object_dice) == (1.0, 1.0)
    assert found.object_hausdorff_px == 0.0
    assert (found.precision, found.recall, found.capped) == (1.0, 1.0, 0)


def test_by_hand():
    truth = [[1, 1, 1, 1, 0, 0, 0, 2, 2, 0]]
    segmented = [[1, 1, 1, 0, 0, 3, 0, 0, 2, 0]]
    found = one_image(segmented, truth, mpp=0.5)
    # S1 covers 3/4 of G1: true. S2 covers exactly half of G2: false.
    # S3 touches nothing: false. G2 is missed.
    counts = (found.true_positives, found.false_positives)
    assert (*counts, found.false_negatives) == (1, 2, 1)
    assert found.object_f1 == pytest.approx(2 * 1 / (2 * 1 + 2 + 1))
    seg = 3 / 5 * (6 / 7) + 1 / 5 * (2 / 3) + 1 / 5 * 0
    true = 4 / 6 * (6 / 7) + 2 / 6 * (2 / 3)
    assert found.object_dice == pytest.approx((seg + true) / 2)
    # H(S1, G1) = 1, H(S2, G2) = 1; S3 is 3 from G2 and 5 from G1.
    seg = 3 / 5 * 1 + 1 / 5 * 1 + 1 / 5 * 3
    expected = (seg + 1) / 2
    assert found.object_hausdorff_px == pytest.approx(expected)
    assert found.object_hausdorff_um == pytest.approx(expected * 0.5)


def test_two_halves_are_not_both_true():
    found = one_image([[1, 1, 2, 2]], [[1, 1, 1, 1]])
    assert found.object_f1 == 0.0 and found.false_negatives == 1


def test_merged_glands_find_only_the_larger():
    found = one_image([[1, 1, 1, 1, 1]], [[1, 1, 1, 2, 2]])
    assert found.true_positives == 1 and found.false_negatives == 1
    assert found.object_f1 == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("segmented", "truth", "f1", "dice", "distance", "capped"),
    [
        (0, 0, 1.0, 1.0, 0.0, 0),
        (1, 0, 0.0, 0.0, 5.0, 1),
        (0, 1, 0.0, 0.0, 5.0, 1),
    ],
)
def test_empty_sides(segmented, truth, f1, dice, distance, capped):
    sides = [np.zeros((4, 5), int), np.zeros((4, 5), int)]
    sides[0][1, 1], sides[1][1, 1] = segmented, truth
    found = one_image(*sides)  # the diagonal is hypot(3, 4) = 5
    assert (found.object_f1, found.object_dice) == (f1, dice)
    assert found.object_hausdorff_px == distance
    assert found.capped == capped


def test_image_without_background():
    found = one_image([[3, 3, 9]], [[3, 3, 9]])
    assert found.true_positives == 2 and found.object_dice == 1.0


def test_pools_over_images_by_area():
    perfect = objects.tally(np.ones((3, 6), int), np.ones((3, 6), int), 1.0)
    missed = objects.tally(np.array([[0, 0]]), np.array([[0, 1]]), 2.0)
    found = objects.score([perfect, missed])
    assert found.images == 2 and found.capped == 1
    assert found.object_f1 == pytest.approx(2 / 3)
    assert found.object_dice == pytest.approx((1 + 18 / 19) / 2)
    assert found.object_hausdorff_px == pytest.approx((0 + 1 / 19) / 2)
    assert found.object_hausdorff_um == pytest.approx((0 + 2 / 19) / 2)


def test_scores_are_json():
    found = dataclasses.asdict(one_image([[0, 1]], [[0, 0]]))
    json.dumps(found, allow_nan=False)


def brute_hausdorff(one: np.ndarray, two: np.ndarray) -> float:
    a, b = np.argwhere(one), np.argwhere(two)
    all_pairs = np.linalg.norm(a[:, None] - b[None], axis=-1)
    return max(all_pairs.min(axis=0).max(), all_pairs.min(axis=1).max())


def spelt_out(segmented: np.ndarray, truth: np.ndarray):
    """(F1, object Dice, object Hausdorff px) from the text of the paper."""

    def masks(labels):
        return [labels == v for v in np.unique(labels) if v]

    def one_way(these, those):
        total = sum(m.sum() for m in these)
        dice = far = 0.0
        for mask in these:
            common = [(mask & other).sum() for other in those]
            weight = mask.sum() / total
            if max(common):
                match = those[int(np.argmax(common))]
                shared = max(common) / (mask.sum() + match.sum())
                dice += weight * 2 * shared
                far += weight * brute_hausdorff(mask, match)
            else:
                far += weight * min(brute_hausdorff(mask, o) for o in those)
        return dice, far

    seg, true = masks(segmented), masks(truth)
    hits = 0
    for mask in seg:
        match = max(true, key=lambda other: (mask & other).sum())
        hits += (mask & match).sum() / match.sum() > 0.5
    pairs = zip(one_way(seg, true), one_way(true, seg), strict=True)
    return (2 * hits / (len(seg) + len(true)), *(sum(p) / 2 for p in pairs))


@pytest.mark.parametrize("seed", range(12))
def test_against_the_formulas_spelt_out(seed):
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(2):
        labels = np.zeros((24, 31), np.uint8)
        for label in range(1, 8):
            row, column = rng.integers(0, 24), rng.integers(0, 31)
            height, width = rng.integers(1, 9, 2)
            labels[row : row + height, column : column + width] = label
        images.append(labels)
    found = one_image(*images)
    assert (
        found.object_f1,
        found.object_dice,
        found.object_hausdorff_px,
    ) == pytest.approx(spelt_out(*images), rel=1e-5)


def test_hausdorff_sees_the_inside_of_a_ring():
    ring = np.zeros((41, 41), np.uint8)
    cv2.circle(ring, (20, 20), 18, 1, 2)
    disc = cv2.circle(np.zeros_like(ring), (20, 20), 18, 1, -1)
    found = objects.hausdorff(ring > 0, disc > 0)
    assert found == pytest.approx(brute_hausdorff(ring > 0, disc > 0))
    assert found > 15


@pytest.mark.parametrize(
    ("segmented", "truth", "message"),
    [
        (np.zeros((2, 3), int), np.zeros((3, 2), int), "same"),
        (np.zeros(3, int), np.zeros(3, int), "same"),
        (np.array([[-1, 0]]), np.array([[0, 0]]), "label -1"),
    ],
)
def test_bad_labels(segmented, truth, message):
    with pytest.raises(InputError, match=message):
        objects.tally(segmented, truth, 1.0)


def test_real_glands_shifted(real_data):
    path = real_data / "glas" / "labels" / "testA_1_anno.png"
    truth = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert one_image(truth, truth).object_dice == 1.0
    shifted = np.roll(truth, (3, 4), axis=(0, 1))
    shifted[:3], shifted[:, :4] = 0, 0
    found = one_image(shifted, truth, mpp=0.62)
    assert found.object_f1 == 1.0
    # Every point moved by hypot(3, 4); at the edges objects are cut.
    assert math.isclose(found.object_hausdorff_px, 5.0, rel_tol=0.05)
    glands = label_objects(truth > 0, (1,))
    assert 0 < glands.max() <= len(np.unique(truth)) - 1
