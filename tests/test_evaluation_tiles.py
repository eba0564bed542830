"""Tiles of a split, at the scales of a run."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf import run_dir
from histogan_tf.canvas import unit_to_uint8
from histogan_tf.data import images, manifest
from histogan_tf.errors import InputError
from histogan_tf.evaluation import tiles
from histogan_tf.metrics.segmentation import confusion_matrix


@pytest.fixture(scope="module")
def config(random_run):
    return run_dir.open_run(random_run).config()


@pytest.fixture(scope="module")
def loaded(phantom_records, config):
    return tiles.load(manifest.load(phantom_records), "test", config)


def test_tiles_are_averaged_to_the_finest_scale(loaded, phantom_files):
    assert sorted(t.name for t in loaded) == [f"tile_{i}" for i in range(5)]
    for tile in loaded:
        source = images.read_image(phantom_files / f"images/{tile.name}.png")
        height, width = (round(n / 2) for n in source.shape[:2])
        assert tile.image.shape == (height, width, 3)
        assert tile.mask.shape == (height, width)
        assert tile.style.shape == (6,)
        if source.shape == (80, 96, 3):
            blocks = source.reshape(40, 2, 48, 2, 3).mean((1, 3))
            assert np.abs(tile.image - blocks).max() <= 0.51


def test_tiles_that_only_tensorflow_reaches(loaded, phantom_records, config):
    url = "ram://tiles"
    for path in phantom_records.iterdir():
        tf.io.gfile.copy(str(path), f"{url}/{path.name}")
    found = tiles.load(manifest.load(url), "test", config)
    for one, two in zip(found, loaded, strict=True):
        assert one.name == two.name
        np.testing.assert_array_equal(one.image, two.image)


@pytest.mark.parametrize(
    "most, places", [(None, range(5)), (5, range(5)), (4, (0, 2, 4)), (1, (0,))]
)
def test_of_more_images_every_nth(
    loaded, phantom_records, config, most, places
):
    found = tiles.load(manifest.load(phantom_records), "test", config, most)
    assert [t.name for t in found] == [loaded[p].name for p in places]
    for tile, place in zip(found, places, strict=True):
        np.testing.assert_array_equal(tile.mask, loaded[place].mask)


def test_masks_keep_their_class_shares(loaded, phantom_files):
    for tile in loaded:
        fine = images.read_mask_raw(phantom_files / f"masks/{tile.name}.png")
        for identity in range(3):
            found = (tile.mask == identity).mean()
            assert abs(found - (fine == identity).mean()) < 0.05


def test_a_split_without_images_names_those_with_some(phantom_records, config):
    data = manifest.load(phantom_records)
    with pytest.raises(InputError, match=r"'train' has no .* some: test"):
        tiles.load(data, "train", config)


def test_other_classes_are_refused(random_run):
    table = run_dir.open_run(random_run).classes()
    tiles.check_classes(table, table, "D")
    renamed = dataclasses.replace(table.classes[1], name="tumour")
    other = dataclasses.replace(
        table, classes=(table.classes[0], renamed, table.classes[2])
    )
    with pytest.raises(InputError, match="D: its classes are stroma, tumour"):
        tiles.check_classes(table, other, "D")


def test_hard_mask_takes_the_largest_share_or_ignores():
    shares = np.array([[[0.2, 0.5, 0.3], [0.2, 0.2, 0.0], [0.3, 0.1, 0.1]]])
    assert tiles.hard_mask(shares).tolist() == [[1, 255, 0]]


def test_shrinking_fits_what_the_canvas_gives():
    image = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    small = tiles.shrink_image(image, 2)
    assert small.shape == (3, 4, 3)
    assert small[0, 0, 0] == round((0 + 3 + 21 + 24) / 4)
    # The last block is the image's corner, mirrored.
    assert small[2, 3].tolist() == image[4, 6].tolist()
    assert unit_to_uint8(small / 127.5 - 1).tolist() == small.tolist()


def test_shrinking_a_mask_counts_pixels():
    mask = np.array([[1, 1, 255, 255], [1, 2, 255, 2]], np.uint8)
    assert tiles.shrink_mask(mask, 2, 3).tolist() == [[1, 255]]
    assert tiles.shrink_mask(mask, 1, 3) is mask
    confusion_matrix(tiles.shrink_mask(mask, 2, 3), np.ones((1, 2), int), 3)
