"""Packing of tiles: there and back, the same bytes, halved by hand."""

import numpy as np
import pytest

from histogan_tf.data import tile_pixels

PALETTE = np.array([[255, 0, 0], [0, 0, 255]], np.uint8)
KINDS = {
    "rgb": tile_pixels.lossless_rgb(32),
    "labels": tile_pixels.labels(32, PALETTE),
    "shares": tile_pixels.shares(32, "gland"),
}


def tile(samples):
    draws = np.random.default_rng(0).integers(0, 256, (32, 32, samples))
    return draws.astype(np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_lossless_kinds_come_back_as_they_were(kind):
    pixels = KINDS[kind]
    data = pixels.encode(tile(pixels.samples))
    assert data == pixels.encode(tile(pixels.samples))
    np.testing.assert_array_equal(pixels.decode(data), tile(pixels.samples))


def test_differences_make_smooth_tissue_small():
    ramp = np.arange(32, dtype=np.uint8)[None, :, None]
    smooth = np.repeat(np.repeat(ramp, 32, 0), 3, 2)
    assert len(KINDS["rgb"].encode(smooth)) < 60


def test_jpeg_is_near_and_smaller():
    rows, columns = np.mgrid[:32, :32]
    smooth = np.stack([4 * rows, 4 * columns, rows + columns], -1)
    smooth = smooth.astype(np.uint8)
    pixels = tile_pixels.jpeg_rgb(95)
    data = pixels.encode(smooth)
    gap = pixels.decode(data).astype(int) - smooth
    assert 0 < np.abs(gap).max() <= 8
    assert len(data) < smooth.size / 2
    assert len(tile_pixels.jpeg_rgb(50).encode(smooth)) < len(data)


def test_averages_by_hand():
    values = np.array([[0, 1, 255, 255], [1, 1, 255, 254]], np.uint8)
    # 3/4 rounds to 1, 1019/4 to 255.
    assert tile_pixels.averaged(values[..., None])[..., 0].tolist() == [
        [1, 255]
    ]


def test_the_commonest_class_by_hand():
    squares = [
        ([1, 1, 1, 2], 1),
        ([2, 1, 1, 1], 1),
        ([3, 1, 2, 1], 1),
        ([3, 1, 2, 2], 2),
        ([1, 2, 1, 2], 1),
        ([4, 3, 2, 1], 4),
        ([255, 0, 0, 255], 255),
    ]
    values = np.concatenate(
        [np.reshape(four, (2, 2)) for four, _ in squares], 1
    ).astype(np.uint8)
    found = tile_pixels.commonest(values[..., None])[0, :, 0]
    assert found.tolist() == [wanted for _, wanted in squares]
