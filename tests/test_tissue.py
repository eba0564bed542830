"""Tissue against painted places, bare glass and real tissue."""

import cv2
import numpy as np
import pytest

from histogan_tf.data import images, slides, tissue
from histogan_tf.regions import Box

PINK = (225, 150, 190)


def glass(height, width, seed=0):
    """Nearly white, with the noise of a JPEG."""
    rng = np.random.default_rng(seed)
    return rng.integers(238, 246, (height, width, 3)).astype(np.uint8)


def test_a_disc_of_tissue_is_found():
    image = glass(200, 240)
    cv2.circle(image, (120, 90), 50, PINK, -1)
    found = tissue.tissue_mask(image, 8.0)
    rows, columns = np.mgrid[:200, :240]
    radius = np.hypot(rows - 90, columns - 120)
    assert found[radius < 47].all() and not found[radius > 53].any()


def test_dust_is_dropped():
    image = glass(100, 100)
    cv2.rectangle(image, (10, 10), (12, 12), PINK, -1)
    cv2.rectangle(image, (40, 40), (60, 60), PINK, -1)
    found = tissue.tissue_mask(image, 8.0)
    assert not found[:30].any() and found[44:57, 44:57].all()


def test_bare_glass_holds_none():
    assert not tissue.tissue_mask(glass(120, 120), 8.0).any()


def test_nothing_but_tissue_is_all_tissue():
    rng = np.random.default_rng(0)
    image = np.array(PINK) + rng.integers(-25, 25, (120, 120, 1))
    found = tissue.tissue_mask(image.clip(0, 255).astype(np.uint8), 8.0)
    assert found.all()


def test_shares_of_boxes(tmp_path):
    image = np.full((400, 800, 3), 243, np.uint8)
    image[:, :400] = PINK
    images.write_png(tmp_path / "a.png", image)
    with slides.open_slide(tmp_path / "a.png", 2.0) as slide:
        found = tissue.find(slide)
    assert found.mpp == 8.0 and found.mask.shape == (100, 200)
    assert found.share(0, 0, 800, 800) == 1.0
    assert found.share(0, 800, 800, 1600) == 0.0
    assert found.share(0, 400, 800, 1200) == pytest.approx(0.5, abs=0.03)


def test_a_slide_coarser_than_the_search(tmp_path):
    images.write_png(tmp_path / "a.png", np.full((20, 30, 3), PINK, np.uint8))
    with slides.open_slide(tmp_path / "a.png", 20.0) as slide:
        found = tissue.find(slide)
    assert found.mpp == 20.0 and found.mask.shape == (20, 30)


def test_real_tissue(real_data):
    path = real_data / "slides/CMU-1-Small-Region.svs"
    with slides.open_slide(path) as slide:
        found = tissue.find(slide)
        small = slide.read_region(0, 0, *slide.size_at(8.0), 8.0)
    # The region holds tissue and glass; the glass is the bright part.
    assert 0.2 < found.mask.mean() < 0.95
    bright = small.min(axis=2)
    assert bright[found.mask].mean() < bright[~found.mask].mean() - 20


def test_a_window_by_hand():
    mask = np.array([[True, False], [False, True]])
    found = tissue.Tissue(mask, 2.0).window(Box(0, 5, 1, 5), 1.0)
    # Columns 1 to 4, rows 0 to 4; beyond the mask the nearest counts.
    assert found.astype(int).tolist() == [
        [1, 0, 0, 0],
        [1, 0, 0, 0],
        [0, 1, 1, 1],
        [0, 1, 1, 1],
        [0, 1, 1, 1],
    ]
