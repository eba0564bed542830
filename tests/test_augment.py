"""Augmentation: labels stay on their pixels, seeds decide everything."""

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf.config import AugmentConfig
from histogan_tf.data import augment, colour

STILL = AugmentConfig(flips=False, scale=1.0, warp=0.0, stain=0.0)
SIZE = 16


def painted_tile(height=48, width=40):
    """Three classes in blocks; the image shows each as a primary colour."""
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 3, (height // 4, width // 4))
    ids = np.kron(ids, np.ones((4, 4), int))
    labels = tf.constant(255 * np.eye(3)[ids], tf.uint8)
    return {"image": labels, "labels": labels, "style": tf.zeros([6])}


def numbered_tile(height, width):
    """Every pixel knows its row and column."""
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows, columns, 0 * rows], -1).astype(np.uint8)
    labels = np.full((height, width, 2), 255, np.uint8)
    return {
        "image": tf.constant(image),
        "labels": tf.constant(labels),
        "style": tf.range(6.0),
    }


def crops(tile, seeds, zoom=1.0, size=SIZE):
    parts = [
        augment.crop(tile, tf.constant(s, tf.int64), size, zoom) for s in seeds
    ]
    return {k: tf.stack([p[k] for p in parts]) for k in parts[0]}


# Crops


def test_a_crop_without_zoom_copies_pixels():
    tile = numbered_tile(24, 20)
    batch = crops(tile, range(5))
    assert batch["image"].shape == (5, SIZE, SIZE, 3)
    assert batch["labels"].shape == (5, SIZE, SIZE, 2)
    assert batch["seed"].numpy().tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(batch["style"], [range(6)] * 5)
    for image in batch["image"].numpy():
        row, column = image[0, 0, :2].astype(int)
        wanted = tile["image"][row : row + SIZE, column : column + SIZE]
        np.testing.assert_array_equal(image, wanted)


def test_crops_reach_every_corner():
    batch = crops(numbered_tile(18, 17), range(80))
    starts = {tuple(c) for c in batch["image"].numpy()[:, 0, 0, :2]}
    assert starts == {(r, c) for r in (0, 1, 2) for c in (0, 1)}


def test_a_tile_of_the_crops_size_gives_itself():
    tile = numbered_tile(SIZE, SIZE)
    batch = crops(tile, [3])
    np.testing.assert_array_equal(batch["image"][0], tile["image"])


def test_zoom_keeps_to_its_limits_either_way():
    batch = crops(numbered_tile(64, 64), range(40), zoom=1.5)
    # Rows per pixel in the crop's middle; 1 without zoom.
    rows = batch["image"].numpy()[:, :, 8, 0]
    slopes = (rows[:, 12] - rows[:, 4]) / 8
    # Sides are whole pixels: 16 * 1.5 = 24 and 16 / 1.5 = 11.
    assert slopes.min() >= 11 / 16 - 1e-5
    assert slopes.max() <= 24 / 16 + 1e-5
    assert slopes.min() < 0.8 and slopes.max() > 1.3


def test_zoom_never_asks_for_more_than_the_tile_has():
    batch = crops(numbered_tile(18, 40), range(20), zoom=2.0)
    assert np.isfinite(batch["image"]).all()
    assert np.max(batch["image"][..., 0]) <= 17


# Geometry


@pytest.mark.parametrize(
    "settings",
    [
        STILL,
        AugmentConfig(True, 1.0, 0.0, 0.0),
        AugmentConfig(False, 1.4, 0.0, 0.0),
        AugmentConfig(False, 1.0, 0.1, 0.0),
        AugmentConfig(False, 1.0, 0.0, 0.0, 180.0),
        AugmentConfig(True, 1.4, 0.1, 0.0, 30.0),
    ],
    ids=["still", "flips", "scale", "warp", "rotation", "all"],
)
def test_image_and_labels_move_together(settings):
    batch = crops(painted_tile(), range(12), settings.scale)
    found = augment.augment(batch, settings)
    assert np.std(found["labels"]) > 0.3
    np.testing.assert_allclose(
        found["image"], found["labels"] * 2.0 - 1.0, atol=1e-4
    )
    np.testing.assert_allclose(np.sum(found["labels"], -1), 1, atol=1e-4)


def test_images_turn_about_their_middle_by_up_to_the_angle():
    settings = AugmentConfig(False, 1.0, 0.0, 0.0, 30.0)
    batch = crops(numbered_tile(SIZE, SIZE), range(200))
    image = (augment.augment(batch, settings)["image"].numpy() + 1) * 127.5
    middle = (SIZE - 1) / 2
    place = np.arange(SIZE) - middle
    # One pixel below the middle and one right of it: the angle, twice.
    down = image[:, 8, 7, :2] - image[:, 7, 7, :2]
    right = image[:, 7, 8, :2] - image[:, 7, 7, :2]
    angle = np.arctan2(down[:, 1], down[:, 0])
    np.testing.assert_allclose(
        np.arctan2(-right[:, 0], right[:, 1]), angle, atol=1e-4
    )
    assert np.degrees(angle).min() < -25 and np.degrees(angle).max() > 25
    assert np.abs(np.degrees(angle)).max() <= 30 + 1e-3
    # Each pixel's source, mirrored where it lies outside.
    sine, cosine = np.sin(angle)[:, None, None], np.cos(angle)[:, None, None]
    row = place[:, None] * cosine - place[None] * sine + middle
    column = place[:, None] * sine + place[None] * cosine + middle
    for found, wanted in ((image[..., 0], row), (image[..., 1], column)):
        wanted = np.where(wanted < -0.5, -1 - wanted, wanted)
        wanted = np.where(wanted > SIZE - 0.5, 2 * SIZE - 1 - wanted, wanted)
        wanted = np.clip(wanted, 0, SIZE - 1)
        np.testing.assert_allclose(found, wanted, atol=1e-2)


def test_amounts_of_zero_are_the_identity():
    batch = crops(painted_tile(), range(3))
    found = augment.augment(batch, STILL)
    np.testing.assert_array_equal(found["image"], batch["image"] / 127.5 - 1)
    np.testing.assert_array_equal(found["labels"], batch["labels"] / 255)
    np.testing.assert_array_equal(found["style"], batch["style"])
    np.testing.assert_array_equal(found["seed"], batch["seed"])


def test_the_eight_symmetries_are_equally_likely():
    tile = numbered_tile(SIZE, SIZE)
    count = 400
    one = {k: tf.repeat(v[None], count, 0) for k, v in tile.items()}
    one["image"] = tf.cast(one["image"], tf.float32)
    one["labels"] = tf.cast(one["labels"], tf.float32)
    one["seed"] = tf.range(count, dtype=tf.int64)
    found = augment.augment(one, AugmentConfig(True, 1.0, 0.0, 0.0))
    pixel = np.asarray(tile["image"], np.float32) / 127.5 - 1
    shapes = [np.rot90(f, k) for f in (pixel, pixel[::-1]) for k in range(4)]
    tally = [
        (np.abs(np.asarray(found["image"]) - s).max((1, 2, 3)) < 1e-5).sum()
        for s in shapes
    ]
    assert sum(tally) == count
    # 50 each expected, standard deviation 6.6.
    assert min(tally) > 20 and max(tally) < 80


def test_warp_is_smooth_and_of_the_announced_size():
    count, amount = 30, 0.05
    rows, columns = np.mgrid[:SIZE, :SIZE] * 1.0
    image = np.stack([rows, columns, rows], -1) * 127.5 / SIZE + 127.5
    batch = {
        "image": tf.constant(np.stack([image] * count), tf.float32),
        "labels": tf.ones([count, SIZE, SIZE, 1]) * 255,
        "style": tf.zeros([count, 6]),
        "seed": tf.range(count, dtype=tf.int64),
    }
    found = augment.augment(batch, AugmentConfig(False, 1.0, amount, 0.0))
    moved = (found["image"] * SIZE).numpy()[..., :2]
    shift = (moved - np.stack([rows, columns], -1))[:, 4:12, 4:12]
    # Away from the border, where the image ends. Knots have deviation
    # amount * size; between them bicubic means have less.
    assert 0.4 < shift.std() / (amount * SIZE) < 1.1
    assert np.abs(np.diff(shift, axis=1)).max() < 1.0


# Seeds


LOUD = AugmentConfig(True, 1.3, 0.05, 0.2)


def test_the_seed_decides_not_the_place_in_the_batch():
    tile = painted_tile()
    one = augment.augment(crops(tile, [5, 6, 7], 1.3), LOUD)
    other = augment.augment(crops(tile, [9, 7, 5], 1.3), LOUD)
    for key in ("image", "labels", "style"):
        np.testing.assert_allclose(one[key][0], other[key][2], atol=1e-5)
        np.testing.assert_allclose(one[key][2], other[key][1], atol=1e-5)
    assert np.abs(one["image"][0] - one["image"][1]).max() > 0.1


# Stain


def test_stain_changes_the_image_and_its_style_alike():
    rng = np.random.default_rng(2)
    image = np.float32(rng.normal([170, 110, 160], 8, (6, SIZE, SIZE, 3)))
    style = colour.style_of(tf.constant(image / 127.5 - 1))
    labels = np.float32(255 * rng.integers(0, 2, (6, SIZE, SIZE, 1)))
    batch = {
        "image": tf.constant(image),
        "labels": tf.constant(labels),
        "style": style,
        "seed": tf.range(6, dtype=tf.int64),
    }
    found = augment.augment(batch, AugmentConfig(False, 1.0, 0.0, 0.15))
    np.testing.assert_allclose(
        colour.style_of(found["image"]), found["style"], atol=0.03
    )
    np.testing.assert_array_equal(found["labels"], labels / 255)
    shift = np.asarray(found["style"] - style)[:, :3]
    # Uniform of deviation 0.15: never beyond 0.15 * sqrt(3).
    assert 0.05 < shift.std() < 0.25 and np.abs(shift).max() < 0.261
