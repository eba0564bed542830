"""Objects of class masks, drawn by hand."""

import numpy as np
import pytest

from histogan_tf.errors import InputError
from histogan_tf.metrics.labels import label_objects


def drawn(*rows: str) -> np.ndarray:
    return np.array([[int(c) for c in row] for row in rows], np.uint8)


def test_components_are_eight_connected():
    mask = drawn("10001", "01001", "00000", "11000")
    found = label_objects(mask, (1,))
    np.testing.assert_array_equal(found > 0, mask == 1)
    assert found[0, 0] == found[1, 1] == 1
    assert len({found[0, 0], found[0, 4], found[3, 0]}) == 3
    assert found.max() == 3 and found.dtype == np.int32


def test_several_classes_make_one_object_and_255_none():
    mask = np.array([[1, 2, 1, 255, 1]], np.uint8)
    np.testing.assert_array_equal(
        label_objects(mask, (1, 2)), [[1, 1, 1, 0, 2]]
    )


def test_bool_mask():
    np.testing.assert_array_equal(
        label_objects(np.array([[True, False, True]]), (1,)), [[1, 0, 2]]
    )


def test_boundary_goes_to_the_nearest_object():
    mask = drawn("1222221", "1222221")
    found = label_objects(mask, (1,), boundary_class=2)
    one, two = found[0, 0], found[0, 6]
    assert {one, two} == {1, 2}
    np.testing.assert_array_equal(found[:, :3], one)
    np.testing.assert_array_equal(found[:, 4:], two)
    assert (found[:, 3] > 0).all()


def test_boundary_alone_is_background_and_gaps_are_not_leapt():
    mask = drawn("1200200", "0000200")
    found = label_objects(mask, (1,), boundary_class=2)
    np.testing.assert_array_equal(found, drawn("1100000", "0000000"))


def test_growth_turns_corners_to_the_end():
    mask = drawn("12222", "00002", "22222", "20000", "22222")
    found = label_objects(mask, (1,), boundary_class=2)
    np.testing.assert_array_equal(found, mask > 0)


def test_small_objects_go_and_labels_close_up():
    mask = drawn("1011", "0011", "0000", "0111")
    found = label_objects(mask, (1,), min_area=3)
    np.testing.assert_array_equal(found, drawn("0011", "0011", "0000", "0222"))


def test_min_area_counts_the_boundary():
    mask = drawn("122", "000")
    assert label_objects(mask, (1,), 2, min_area=3).max() == 1
    assert label_objects(mask, (1,), 2, min_area=4).max() == 0


def test_nothing_there():
    assert label_objects(np.zeros((3, 4), np.uint8), (1,), 2).max() == 0


def test_wrong_shape():
    with pytest.raises(InputError, match="class mask: shape"):
        label_objects(np.zeros((3, 4, 1), np.uint8), (1,))
