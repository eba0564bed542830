"""Colours, contours and grid geometry, by hand."""

import numpy as np
import pytest

from histogan_tf import pictures
from histogan_tf.data import png
from histogan_tf.errors import InputError

PALETTE = np.array([[250, 240, 230], [200, 0, 100]], np.uint8)


def flat(height, width, value):
    return np.full((height, width, 3), value, np.uint8)


def test_palette_and_ignored_pixels():
    found = pictures.palette_image(np.array([[0, 1, 255]], np.uint8), PALETTE)
    assert found.dtype == np.uint8
    assert found.tolist() == [[[250, 240, 230], [200, 0, 100], [128] * 3]]


def test_palette_refuses_an_unknown_class():
    mask = np.array([[0, 2, 2]], np.uint8)
    with pytest.raises(InputError, match=r"id 2 in 2 pixels; .* 0\.\.1"):
        pictures.palette_image(mask, PALETTE)


def test_overlay_mixes_and_draws_the_contour():
    mask = np.array([[0, 0, 1, 1, 255]], np.uint8)
    found = pictures.overlay(flat(1, 5, 100), mask, PALETTE, alpha=0.5)
    background = [175, 170, 165]
    assert found[0].tolist() == [
        background,
        background,
        [200, 0, 100],  # the contour, on the gland's side of the border
        [200, 0, 100],  # and against what is ignored
        [100, 100, 100],
    ]


def test_overlay_without_lines():
    mask = np.array([[0, 1]], np.uint8)
    found = pictures.overlay(flat(1, 2, 100), mask, PALETTE, 0.5, line=0)
    assert found[0].tolist() == [[175, 170, 165], [150, 50, 100]]


def test_overlay_refuses_another_size():
    with pytest.raises(InputError, match="one size"):
        pictures.overlay(flat(2, 2, 0), np.zeros((2, 3), np.uint8), PALETTE)


@pytest.mark.parametrize("line", [1, 2])
def test_contour_is_a_ring_inside_the_object(line):
    mask = np.zeros((9, 9), np.uint8)
    mask[1:8, 1:8] = 1
    ring = mask.astype(bool)
    ring[1 + line : 8 - line, 1 + line : 8 - line] = False
    assert (pictures.contours(mask, line) == ring).all()


def test_no_contour_along_the_edge_of_the_picture():
    assert not pictures.contours(np.ones((4, 4), np.uint8)).any()


def test_magnify_repeats_pixels():
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    found = pictures.magnify(image, 3)
    assert found.shape == (6, 6, 3)
    assert (found[::3, ::3] == image).all()
    assert (found[2, 5] == image[0, 1]).all()


def test_grid_geometry():
    rows = [[flat(2, 3, 10), flat(2, 3, 20)], [flat(1, 2, 30)]]
    found = pictures.grid(rows, gap=1, enlarge=2)
    # Heights 4 + 1 + 2, widths 6 + 1 + 6.
    expected = np.full((7, 13, 3), 255, np.uint8)
    expected[:4, :6], expected[:4, 7:], expected[5:, :4] = 10, 20, 30
    assert found.dtype == np.uint8
    assert (found == expected).all()


def test_grid_without_gap_or_arguments():
    rows = [[flat(2, 2, 1), flat(2, 2, 2)]]
    assert pictures.grid(rows, gap=0).shape == (2, 4, 3)
    assert pictures.grid(rows).shape == (2, 8, 3)


def test_labels_stand_left_of_the_images():
    rows = [[flat(30, 20, 7)], [flat(30, 20, 9)]]
    plain = pictures.grid(rows, gap=2)
    found = pictures.grid(rows, gap=2, labels=("real", "mask µ"))
    width = found.shape[1] - plain.shape[1]
    assert len(found) == len(plain) == 62
    assert (found[:, width:] == plain).all()
    for top in (0, 32):
        assert (found[top : top + 30, : width - 2] < 128).any()


@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        ([], (), "images needed"),
        ([[]], (), "images needed"),
        ([[np.zeros((2, 2), np.uint8)]], (), r"uint8 \(2, 2\)"),
        ([[np.zeros((2, 2, 3))]], (), "float64"),
        ([[flat(1, 1, 0)]], ("a", "b"), "2 labels; 1 rows"),
    ],
)
def test_grid_refuses(rows, labels, message):
    with pytest.raises(InputError, match=message):
        pictures.grid(rows, labels=labels)


def test_saved_picture_is_the_same(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    path = tmp_path / "samples" / "a.png"
    pictures.save(path, image)
    assert (png.decode(path.read_bytes()) == image).all()
    assert [p.name for p in path.parent.iterdir()] == ["a.png"]
