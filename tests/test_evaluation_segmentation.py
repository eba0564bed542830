"""Class and object scores of masks, by hand-computed numbers."""

import numpy as np
import pytest

from histogan_tf.data.class_info import ClassInfo
from histogan_tf.data.classes import ClassTable
from histogan_tf.errors import InputError
from histogan_tf.evaluation import segmentation


def table(*names, boundary=False):
    infos = [
        ClassInfo(i, name, (i, i, i), boundary=boundary and i == len(names) - 1)
        for i, name in enumerate(names)
    ]
    return ClassTable(tuple(infos))


def test_class_scores_leave_ignored_pixels_out():
    truth = np.array([[0, 0, 1, 255]], np.uint8)
    mask = np.array([[0, 1, 1, 0]], np.uint8)
    scores = segmentation.class_scores([truth], [mask], 2)
    assert scores.pixels == 3
    assert scores.dice == pytest.approx((2 / 3, 2 / 3))


def test_objects_of_two_classes_count_as_one():
    truth = np.zeros((8, 8), np.uint8)
    truth[2:6, 2:6] = 1
    truth[3:5, 3:5] = 2
    scores = segmentation.object_scores([truth], [truth], (1, 2), None, 0.5)
    assert scores.object_f1 == scores.object_dice == 1.0
    assert scores.true_positives == 1


def test_ignored_pixels_hold_no_objects():
    truth = np.zeros((8, 8), np.uint8)
    truth[:, :4] = 255
    mask = np.zeros((8, 8), np.uint8)
    mask[1:3, 1:3] = 1
    scores = segmentation.object_scores([truth], [mask], (1,), None, 0.5)
    assert scores.false_positives == 0 and scores.object_f1 == 1.0


@pytest.mark.parametrize(("least", "wrong"), [(1.0, 1), (1.1, 0)])
def test_small_objects_may_be_left_out(least, wrong):
    """Four pixels are 1 um2; a small true object is missed all the same."""
    truth, mask = np.zeros((2, 12, 12), np.uint8)
    truth[6:, 6:] = mask[6:, 6:] = 1
    truth[0, :3] = 1
    mask[2:4, 2:4] = 1
    scores = segmentation.object_scores([truth], [mask], (1,), None, 0.5, least)
    assert scores.true_positives == scores.false_negatives == 1
    assert scores.false_positives == wrong


def test_object_classes_are_all_but_background_and_boundary():
    edged = table("stroma", "gland", "lumen", "edge", boundary=True)
    assert segmentation.object_classes(edged, None) == (1, 2)
    assert segmentation.object_classes(edged, ["gland"]) == (1,)
    plain = table("gleason 3", "gleason 4")
    assert segmentation.object_classes(plain, ["gleason 3"]) == (0,)


@pytest.mark.parametrize("name", ["nerve", "edge"])
def test_an_unknown_object_class_is_named(name):
    edged = table("stroma", "gland", "edge", boundary=True)
    with pytest.raises(InputError, match=f"'{name}': allowed are stroma, gl"):
        segmentation.object_classes(edged, [name])
