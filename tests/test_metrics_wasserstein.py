"""Sliced Wasserstein distance against closed forms and its own laws."""

import dataclasses
import json

import cv2
import numpy as np
import pytest

from histogan_tf.errors import InputError
from histogan_tf.metrics import wasserstein
from histogan_tf.metrics.wasserstein import SwdSettings

QUICK = SwdSettings(patches_per_image=64, repeats=2, directions=32)


def textures(count: int, seed: int, side: int = 48) -> list[np.ndarray]:
    """Blurred noise: neighbouring pixels belong together, as in tissue."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(count):
        noise = rng.normal(size=(side, side + 5, 3)).astype(np.float32)
        smooth = cv2.GaussianBlur(noise, (0, 0), 0.6)
        out.append(np.clip(127 + 60 * smooth, 0, 255).astype(np.uint8))
    return out


def test_one_dimension_by_distribution_functions():
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=200), rng.normal(1.0, 2.0, size=200)
    # 1-Wasserstein = area between the empirical distribution functions.
    grid = np.sort(np.concatenate([one, two]))
    steps = [
        np.searchsorted(np.sort(x), grid[:-1], side="right") / 200
        for x in (one, two)
    ]
    expected = float(np.sum(np.abs(steps[0] - steps[1]) * np.diff(grid)))
    found = wasserstein.sliced_wasserstein(
        one[:, None], two[:, None], np.ones((1, 1))
    )
    assert found == pytest.approx(expected)


def test_shift_of_a_cloud_is_the_mean_shadow_of_the_shift():
    rng = np.random.default_rng(1)
    cloud, step = rng.normal(size=(50, 6)), rng.normal(size=6)
    directions = rng.normal(size=(6, 9))
    directions /= np.linalg.norm(directions, axis=0)
    found = wasserstein.sliced_wasserstein(cloud, cloud + step, directions)
    assert found == pytest.approx(np.abs(step @ directions).mean())


@pytest.mark.parametrize("shape", [(48, 64), (37, 51)])
def test_pyramid_adds_up_to_the_image(shape):
    rng = np.random.default_rng(2)
    image = rng.normal(size=(*shape, 3)).astype(np.float32)
    pyramid = wasserstein.laplacian_pyramid(image, 3)
    whole = pyramid[-1]
    for level in pyramid[-2::-1]:
        size = level.shape[1], level.shape[0]
        whole = level + cv2.pyrUp(whole, dstsize=size)
    np.testing.assert_allclose(whole, image, atol=1e-5)
    assert pyramid[2].shape[0] == -(-shape[0] // 4)


def test_equal_sets_are_at_distance_zero_in_any_order():
    real = textures(4, 0)
    found = wasserstein.distance(real, real[::-1], QUICK)
    assert found.distances == pytest.approx([0.0, 0.0], abs=1e-3)
    assert found.settings.levels == 2  # 48 and 24 px; 12 is below 16


def test_symmetric():
    one, two = textures(4, 0), textures(4, 9)
    there = wasserstein.distance(one, two, QUICK).distances
    back = wasserstein.distance(two, one, QUICK).distances
    assert there == pytest.approx(back, rel=1e-4)
    assert min(there) > 1.0


def test_same_seed_same_value_other_seed_other():
    one, two = textures(3, 0), textures(3, 1)
    first = wasserstein.distance(one, two, QUICK)
    assert first == wasserstein.distance(one, two, QUICK)
    other = dataclasses.replace(QUICK, seed=1)
    assert first.distances != wasserstein.distance(one, two, other).distances


@pytest.mark.parametrize("real_statistics", [False, True])
def test_grows_with_blur_at_the_finest_level(real_statistics):
    settings = dataclasses.replace(
        QUICK, patches_per_image=256, real_statistics=real_statistics
    )
    real, other = textures(8, 0), textures(8, 1)
    found = [wasserstein.distance(real, other, settings).distances[0]]
    for sigma in (1.0, 2.0):
        blurred = [cv2.GaussianBlur(x, (0, 0), sigma) for x in other]
        result = wasserstein.distance(real, blurred, settings)
        found.append(result.distances[0])
    # 43, 62, 108 by own statistics; 42, 551, 729 by the real ones.
    assert 1.3 * found[0] < found[1] and 1.2 * found[1] < found[2]


def test_contrast_shows_only_under_the_real_statistics():
    real = textures(6, 0)
    pale = [(127 + 0.4 * (x - 127.0)).astype(np.uint8) for x in real]
    own = wasserstein.distance(real, pale, QUICK).distances
    strict = wasserstein.distance(
        real, pale, dataclasses.replace(QUICK, real_statistics=True)
    ).distances
    assert min(strict) > 3 * max(own)


def test_uint8_and_float_mean_the_same():
    real = textures(2, 0)
    scaled = [x.astype(np.float32) / 127.5 - 1.0 for x in real]
    settings = dataclasses.replace(QUICK, real_statistics=True)
    found = wasserstein.distance(real, scaled, settings)
    assert found.distances == pytest.approx([0.0, 0.0], abs=1e-3)


def test_sets_of_other_number_and_size():
    found = wasserstein.distance(textures(5, 0), textures(3, 1, side=40), QUICK)
    assert found.images == (5, 3) and found.patches == 3 * 64
    json.dumps(dataclasses.asdict(found), allow_nan=False)


@pytest.mark.parametrize(
    ("side", "levels"), [(0, 1), (31, 1), (32, 2), (63, 2), (64, 3)]
)
def test_levels_end_at_16_px_or_more(side, levels):
    assert wasserstein.levels_of(side) == levels


def test_a_flat_set_is_no_division_by_zero():
    flat = [np.full((32, 32, 3), 80, np.uint8)] * 2
    found = wasserstein.distance(textures(2, 0, side=32), flat, QUICK)
    assert np.isfinite(found.distances).all()


@pytest.mark.parametrize(
    ("real", "settings", "message"),
    [
        ([], QUICK, "0 and 2 images"),
        ([np.zeros((32, 32), np.uint8)], QUICK, r"shape \(32, 32\)"),
        ([np.zeros((32, 32, 3), int)], QUICK, "type int64"),
        (
            [np.zeros((20, 32, 3), np.uint8)],
            SwdSettings(levels=3),
            "image 0 has 5 px at level 3",
        ),
        ([np.zeros((20, 32, 3), np.uint8)], SwdSettings(levels=0), "levels: 0"),
    ],
)
def test_bad_sets(real, settings, message):
    with pytest.raises(InputError, match=message):
        wasserstein.distance(real, textures(2, 0), settings)
