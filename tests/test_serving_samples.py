"""Fixed images and masks."""

import numpy as np
import pytest

from serving import samples


@pytest.mark.parametrize("size", [(1, 1), (33, 50)])
def test_size_and_kind(size):
    image, mask = samples.image_of(*size, 1), samples.mask_of(*size, 4, 1)
    assert image.shape == (*size, 3) and mask.shape == size
    assert image.dtype == mask.dtype == np.uint8


def test_the_same_seed_the_same_pixels():
    for make in (
        lambda seed: samples.image_of(40, 40, seed),
        lambda seed: samples.mask_of(40, 40, 3, seed),
    ):
        assert make(1).tobytes() == make(1).tobytes() != make(2).tobytes()


def test_masks_hold_every_class_and_some_ignored_pixels():
    found = set(np.unique(samples.mask_of(200, 200, 5, 0)).tolist())
    assert found == {0, 1, 2, 3, 4, 255}
