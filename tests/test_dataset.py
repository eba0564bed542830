"""Pipeline: labels by hand, epochs, composition, and resuming bit for bit."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf.config import AugmentConfig
from histogan_tf.data import colour, dataset, epochs, records
from histogan_tf.data.dataset import CropSettings, Scale, Tiles
from histogan_tf.data.records import Tile

STILL = AugmentConfig(flips=False, scale=1.0, warp=0.0, stain=0.0)
LOUD = AugmentConfig(flips=True, scale=1.2, warp=0.05, stain=0.1)
SCALE = Scale(5.0, 10.0, 3)


def write(folder, name, tiles):
    path = folder / f"{name}.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for tile in tiles:
            writer.write(records.encode(tile))
    return path


def noisy_tile(index, labelled=True):
    rng = np.random.default_rng(index)
    image = rng.integers(60, 220, (40, 36, 3)).astype(np.uint8)
    mask = rng.integers(0, 3, (40, 36)).astype(np.uint8)
    return Tile(f"tile_{index}", image, mask if labelled else None, 2.5)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    return {
        "labelled": write(folder, "labelled", map(noisy_tile, range(3))),
        "unlabelled": write(
            folder, "unlabelled", [noisy_tile(i, False) for i in (7, 8)]
        ),
    }


def tiles_of(shards, kind, count, cache=True):
    return dataset.load_tiles([shards[kind]], count, SCALE, cache)


def pipeline(shards, settings, start=0, cache=True, rows=None):
    labelled = tiles_of(shards, "labelled", 3, cache)
    rest = settings.batch - settings.labelled
    unlabelled = tiles_of(shards, "unlabelled", 2, cache) if rest else None
    return dataset.training_batches(labelled, unlabelled, settings, start, rows)


def take(batches, count):
    return list(batches.take(count).as_numpy_iterator())


def test_every_other_tile_from_the_second_on(shards):
    files = [shards["labelled"], shards["unlabelled"]]
    whole = [
        tile["image"]
        for path, count in zip(files, (3, 2), strict=True)
        for tile in take(
            dataset.load_tiles([path], count, SCALE, True).dataset, count
        )
    ]
    found = take(dataset.every_nth(files, SCALE, 2, 1), 5)
    assert len(found) == 2
    for tile, wanted in zip(found, whole[1::2], strict=True):
        np.testing.assert_array_equal(tile["image"], wanted)


def test_decoding_is_traced_once_a_scale(shards, monkeypatch):
    traced, at_scale = [], dataset.at_scale

    def counted(tile, scale):
        traced.append(scale)
        return at_scale(tile, scale)

    monkeypatch.setattr(dataset, "at_scale", counted)
    one, other = (Scale(mpp, 11.0, 3) for mpp in (5.0, 10.0))
    files = [shards["labelled"]]
    read = {}
    for scale in (one, other, Scale(5.0, 11.0, 3)):
        read[scale] = take(dataset.every_nth(files, scale, 1), 3)
    assert traced == [one, other]
    assert [read[s][0]["image"].shape for s in (one, other)] == [
        (20, 18, 3),
        (10, 9, 3),
    ]


# One tile


def test_labels_are_soft_at_the_coarse_scale():
    mask = [[0, 1, 2, 2], [1, 255, 2, 2], [255, 255, 0, 0], [255, 255, 1, 1]]
    tile = {
        "image": tf.zeros([4, 4, 3], tf.uint8),
        "mask": tf.constant(mask, tf.uint8),
        "mpp": tf.constant(2.5),
    }
    found = dataset.at_scale(tile, SCALE)["labels"]
    assert found.dtype == tf.uint8
    # A quarter of 255 is 63.75, a half 127.5 (rounded to even); the ignored
    # quarter of the first pixel belongs to nobody, the third is ignored.
    assert found.numpy().tolist() == [
        [[64, 128, 0], [0, 0, 255]],
        [[0, 0, 0], [128, 128, 0]],
    ]


def test_images_are_area_averages():
    image = np.random.default_rng(0).integers(0, 256, (8, 12, 3))
    tile = {
        "image": tf.constant(image, tf.uint8),
        "mask": tf.zeros([8, 12], tf.uint8),
        "mpp": tf.constant(2.5),
    }
    found = dataset.at_scale(tile, SCALE)
    wanted = image.reshape(4, 2, 6, 2, 3).mean((1, 3))
    np.testing.assert_array_equal(found["image"], np.round(wanted))
    # Style is measured at the coarsest scale, 10 um/px.
    coarse = image.reshape(2, 4, 3, 4, 3).mean((1, 3)) / 127.5 - 1
    wanted = colour.style_of(tf.constant(coarse, tf.float32))
    np.testing.assert_allclose(found["style"], wanted, atol=1e-3)


@pytest.mark.parametrize(
    "mpp, target, size",
    [(0.5, 2.0, (2, 3)), (0.62, 4.96, (1, 2)), (2.0, 2.0, (10, 12))],
)
def test_resample_sizes(mpp, target, size):
    image = tf.fill([10, 12, 3], 7.0)
    found = dataset.resample(image, tf.constant(mpp), target)
    assert found.shape == (*size, 3)
    np.testing.assert_allclose(found, np.full((*size, 3), 7.0), rtol=1e-6)


@pytest.mark.parametrize(
    "side, mpp, target",
    # Halves of the first two are rounded down by float32 alone.
    [(153, 0.25, 0.3), (300, 0.24, 9.6), (129, 0.5, 1.0), (3, 1.0, 100.0)],
)
def test_a_tiles_size_is_known_before_it_is_resampled(side, mpp, target):
    image = tf.zeros([side, side, 1])
    found = dataset.resample(image, tf.constant(mpp), target)
    assert found.shape[0] == dataset.resampled_side(side, mpp, target)


def test_resample_never_vanishes():
    found = dataset.resample(tf.ones([3, 3, 1]), tf.constant(1.0), 100.0)
    assert found.shape == (1, 1, 1)


def test_to_uint8_rounds_and_clips():
    found = dataset.to_uint8(tf.constant([-3.0, 0.4, 0.6, 254.7, 300.0]))
    assert found.numpy().tolist() == [0, 0, 1, 255, 255]


def test_styles_by_name(shards):
    found = dataset.styles([shards["labelled"], shards["unlabelled"]], 10.0)
    names = ["tile_0", "tile_1", "tile_2", "tile_7", "tile_8"]
    assert [name for name, *_ in found] == names
    loaded = tiles_of(shards, "labelled", 3).dataset.as_numpy_iterator()
    for (_, style, share), tile in zip(found, loaded, strict=False):
        np.testing.assert_allclose(style, tile["style"], atol=1e-6)
        assert share > 0.9


# Batches


@pytest.mark.parametrize(
    "batch, share, wanted",
    [(16, 0.5, 8), (16, 1.0, 16), (4, 0.01, 1), (2, 0.9, 1), (10, 0.33, 3)],
)
def test_labelled_count(batch, share, wanted):
    assert dataset.labelled_count(batch, share) == wanted


@pytest.fixture(scope="module")
def still_batches(shards):
    return take(pipeline(shards, CropSettings(12, 6, 4, 3, STILL)), 6)


def test_composition_of_a_batch(still_batches):
    batch = still_batches[0]
    assert {k: (v.shape, v.dtype.name) for k, v in batch.items()} == {
        "image": ((6, 12, 12, 3), "float32"),
        "labels": ((6, 12, 12, 3), "float32"),
        "style": ((6, 6), "float32"),
        "seed": ((6,), "int64"),
    }
    assert np.abs(batch["image"]).max() <= 1.0001
    # Labelled images first; the others' labels are zero throughout.
    np.testing.assert_allclose(batch["labels"][:4].sum(-1), 1, atol=0.02)
    assert not batch["labels"][4:].any()


def test_no_two_crops_share_a_seed(shards, still_batches):
    seeds = np.concatenate([b["seed"] for b in still_batches])
    assert len(set(seeds.tolist())) == 36
    other = take(pipeline(shards, CropSettings(12, 6, 4, 4, STILL)), 6)
    assert not set(seeds) & set(np.concatenate([b["seed"] for b in other]))


def test_unlabelled_crops_need_unlabelled_tiles(shards):
    labelled = tiles_of(shards, "labelled", 3)
    with pytest.raises(ValueError, match="unlabelled"):
        dataset.training_batches(
            labelled, None, CropSettings(12, 6, 4, 3, STILL)
        )


@pytest.mark.parametrize(
    "labelled, cache, start", [(4, True, 1), (4, False, 4), (7, True, 5)]
)
def test_starting_at_a_step_gives_what_an_uninterrupted_run_gives(
    shards, labelled, cache, start
):
    # Batches of 4 or 7 from 3 tiles: steps begin inside epochs.
    settings = CropSettings(12, 7, labelled, 11, LOUD)
    whole = take(pipeline(shards, settings, 0, cache), start + 2)
    part = take(pipeline(shards, settings, start, cache), 2)
    for one, two in zip(whole[start:], part, strict=True):
        for key, value in one.items():
            np.testing.assert_array_equal(value, two[key], key)


@pytest.mark.parametrize("cache", [True, False])
def test_rows_of_several_machines_are_the_batch_of_one(shards, cache):
    # Of 8 crops 5 are labelled: one of four machines has both kinds.
    settings = CropSettings(12, 8, 5, 11, LOUD)
    whole = take(pipeline(shards, settings, 3, cache), 2)
    for first in (2, 4):
        rows = range(first, first + 2)
        part = pipeline(shards, settings, 3, cache, rows)
        assert part.cardinality() == tf.data.INFINITE_CARDINALITY
        for one, two in zip(whole, take(part, 2), strict=True):
            for key, value in one.items():
                cut = value[first : first + 2]
                np.testing.assert_allclose(cut, two[key], atol=1e-5)


def test_seeds_as_large_as_a_config_allows(shards):
    # Seeds of a config end at 2**31 - 1; phases multiply them by 64.
    settings = CropSettings(12, 3, 3, 2**31 * 64 - 1, STILL)
    batches = take(pipeline(shards, settings), 2)
    assert len({int(s) for b in batches for s in b["seed"]}) == 6


def flat_tiles(folder, count, kept, files=1):
    """Tile i has 10 * i in every pixel."""
    mask = np.zeros((8, 8), np.uint8)
    made = [
        Tile(f"{i}", np.full((8, 8, 3), 10 * i, np.uint8), mask, 5.0)
        for i in range(count)
    ]
    paths = [write(folder, f"{k}", made[k::files]) for k in range(files)]
    return dataset.load_tiles(paths, count, Scale(5.0, 5.0, 1), kept)


def order_of_tiles(tiles, batch, steps, seed=0, start=0):
    """Which of the flat tiles each crop of the stream came from."""
    settings = CropSettings(8, batch, batch, seed, STILL)
    batches = take(
        dataset.training_batches(tiles, None, settings, start), steps
    )
    pixels = np.concatenate([b["image"][:, 0, 0, 0] for b in batches])
    return np.round((pixels + 1) * 12.75).astype(int).tolist()


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize(
    "count, batch, files", [(5, 2, 1), (3, 4, 2), (1, 3, 1), (23, 4, 11)]
)
def test_each_epoch_shows_each_tile_once(count, batch, files, kept, tmp_path):
    tiles = flat_tiles(tmp_path, count, kept, files)
    order = order_of_tiles(tiles, batch, -(-4 * count // batch))
    shown = [order[i * count : (i + 1) * count] for i in range(4)]
    for epoch in shown:
        assert sorted(epoch) == list(range(count))
    if count >= 5:
        assert any(a != b for a, b in itertools.pairwise(shown))


def test_more_records_than_a_window_are_all_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(epochs, "_WINDOW", 4)
    tiles = flat_tiles(tmp_path, 10, False, 3)
    order = order_of_tiles(tiles, 5, 4)
    assert sorted(order[:10]) == sorted(order[10:]) == list(range(10))
    assert order[:10] != order[10:]


@pytest.mark.parametrize("kept", [False, True])
def test_orders_differ_by_seed_and_resume_inside_an_epoch(kept, tmp_path):
    tiles = flat_tiles(tmp_path, 7, kept)
    whole = order_of_tiles(tiles, 3, 10)
    assert order_of_tiles(tiles, 3, 10, seed=1) != whole
    assert order_of_tiles(tiles, 3, 6, start=4) == whole[12:]


def test_tiles_without_a_way_to_draw_them_are_refused(shards):
    bare = Tiles(tiles_of(shards, "labelled", 3).dataset, 3)
    with pytest.raises(ValueError, match="way to draw"):
        dataset.training_batches(bare, None, CropSettings(8, 2, 2, 0, STILL))
