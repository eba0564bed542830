"""Pixel scores against hand-computed numbers."""

import json

import numpy as np
import pytest

from histogan_tf.errors import InputError
from histogan_tf.metrics import segmentation

TRUTH = np.array([[0, 0, 0, 1], [1, 1, 255, 255]], np.uint8)
PREDICTED = np.array([[0, 0, 1, 1], [1, 0, 0, 2]], np.uint8)


def test_confusion_by_hand():
    found = segmentation.confusion_matrix(TRUTH, PREDICTED, 3)
    np.testing.assert_array_equal(found, [[2, 1, 0], [1, 2, 0], [0, 0, 0]])


def test_scores_by_hand():
    found = segmentation.score(
        segmentation.confusion_matrix(TRUTH, PREDICTED, 3)[None]
    )
    # Classes 0 and 1: 2 hits, 1 missed, 1 wrong; class 2: nowhere.
    assert found.dice[:2] == pytest.approx([4 / 6, 4 / 6])
    assert found.iou[:2] == pytest.approx([2 / 4, 2 / 4])
    assert np.isnan(found.dice[2]) and np.isnan(found.iou[2])
    assert found.mean_dice == pytest.approx(4 / 6)
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.kappa == pytest.approx((4 / 6 - 1 / 2) / (1 - 1 / 2))
    assert found.pixels == 6 and found.images == 1


def test_pooled_and_per_image_differ():
    first = np.array([[2, 0], [0, 0]])  # class 1 is absent
    second = np.array([[0, 1], [0, 3]])
    found = segmentation.score(np.stack([first, second]))
    assert found.dice == pytest.approx([4 / 5, 6 / 7])
    assert found.image_dice == pytest.approx([(1 + 0) / 2, 6 / 7])
    assert found.image_iou == pytest.approx([(1 + 0) / 2, 3 / 4])
    assert found.mean_image_dice == pytest.approx((0.5 + 6 / 7) / 2)


def test_predicted_class_that_is_not_there_scores_zero():
    assert segmentation.dice(np.array([[3, 1], [0, 0]]))[1] == 0.0


@pytest.mark.parametrize(
    ("confusion", "expected"),
    [
        # Cohen 1960's kind of table: p_o = 0.7, p_e = 0.5.
        ([[20, 5], [10, 15]], 0.4),
        ([[5, 0], [0, 5]], 1.0),
        ([[0, 5], [5, 0]], -1.0),
    ],
)
def test_kappa_by_hand(confusion, expected):
    assert segmentation.kappa(np.array(confusion)) == pytest.approx(expected)


def test_empty_set_has_no_scores_and_json_has_null():
    found = segmentation.score(np.zeros((0, 2, 2), int))
    assert np.isnan(found.mean_dice) and np.isnan(found.kappa)
    text = json.dumps(found.to_json(), allow_nan=False)
    assert json.loads(text)["dice"] == [None, None]


def test_tensor_version_agrees():
    import tensorflow as tf

    rng = np.random.default_rng(3)
    truth = rng.choice([0, 1, 2, 3, 255], (2, 30, 31)).astype(np.uint8)
    predicted = rng.integers(0, 4, truth.shape)
    count = tf.function(segmentation.confusion_tensor)
    found = count(tf.constant(truth), tf.constant(predicted), 4)
    expected = segmentation.confusion_matrix(truth, predicted, 4)
    np.testing.assert_array_equal(found.numpy(), expected)
    assert found.dtype == tf.int64


@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [
        ([[0, 1]], [[0]], "shapes differ"),
        ([[0, 7]], [[0, 1]], "true mask: class id 7 in 1 pixels"),
        ([[0, 1]], [[0, 255]], "predicted mask: class id 255"),
    ],
)
def test_bad_masks(truth, predicted, message):
    with pytest.raises(InputError, match=message):
        segmentation.confusion_matrix(
            np.array(truth, np.uint8), np.array(predicted, np.uint8), 2
        )
