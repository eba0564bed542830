"""Ingest of slides end to end: splits, tiles, real files."""

import collections
import json

import numpy as np
import pytest
import slide_files
import slide_folder
import tensorflow as tf
import tifffile
from slide_folder import annotate, feature, settings

from histogan_tf import presets
from histogan_tf.data import (
    dataset,
    images,
    manifest,
    records,
    slide_ingest,
    slides,
)
from trainer import training_data


@pytest.fixture
def folder(tmp_path):
    return slide_folder.make(tmp_path)


def read(made, split, kind):
    paths = [str(path) for path in made.shard_paths(split, kind)]
    data = tf.data.TFRecordDataset(paths).map(records.decode)
    return list(data.as_numpy_iterator())


def contents(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


def test_everything_arrives_once(folder):
    calls = []
    found = slide_ingest.ingest_slides(
        settings(folder), lambda *call: calls.append(call)
    )
    made = found.manifest
    assert manifest.load(folder / "out") == made
    manifest.verify(made)
    assert found.notes == ()
    assert sorted(path.name for path in folder.iterdir()) == [
        "a", "classes.json", "i", "out", "u",
    ]  # fmt: skip
    held = made.groups("validation")
    assert len(held) == 1 and not set(held) & set(made.groups("train"))
    seen = collections.Counter()
    for split in ("train", "validation"):
        for kind in manifest.KINDS:
            tiles = read(made, split, kind)
            infos = getattr(made.split(split), kind).images
            names = [tile["name"].decode() for tile in tiles]
            assert names == [info.name for info in infos]
            for tile in tiles:
                check_tile(folder, tile, kind)
            seen.update(names)
    # 96 x 160 px are 3 x 5 tiles; of 5 slides.
    assert len(seen) == 75 and set(seen.values()) == {1}
    assert calls[0][:2] == (1, 5) and calls[-1][:2] == (75, 75)


def check_tile(folder, tile, kind):
    name, row, column = tile["name"].decode().rsplit("_", 2)
    top, left = int(row[1:]), int(column[1:])
    file = next(folder.glob(f"[iu]/{name}.tif"))
    stored = images.read_image(file)[top : top + 32, left : left + 32]
    np.testing.assert_array_equal(tile["image"], stored)
    wanted = np.full((96, 160), 255)
    if file.parent.name == "i":
        wanted[4:12, 4:20] = 1
        wanted[40:60, 40:70] = 0
    wanted = wanted[top : top + 32, left : left + 32]
    np.testing.assert_array_equal(tile["mask"], wanted)
    assert (kind == "labelled") == bool((wanted < 255).any())
    assert tile["mpp"] == 4.0 and tile["group"].decode() == name[:2]


def test_class_pixels_are_counted(folder):
    made = slide_ingest.ingest_slides(
        settings(folder, validation=0.0, unlabelled=None)
    ).manifest
    assert made.class_pixels("train") == (3 * 30 * 20, 3 * 16 * 8)


def test_another_seed_another_order(folder):
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        slide_ingest.ingest_slides(
            settings(
                folder, output=str(folder / name), seed=seed, validation=0.0
            )
        )
    one, two, three = (contents(folder / n) for n in ("one", "two", "three"))
    assert one == two and one.keys() == three.keys() and one != three
    assert len([name for name in one if name.startswith("train-")]) > 3


def test_tiles_feed_every_stage(folder):
    made = slide_ingest.ingest_slides(settings(folder)).manifest
    config = presets.tiny()
    training_data.check_data(config, made)
    stored = made.split("train").labelled.images
    scale = dataset.Scale(config.stage_mpp(0), config.stage_mpp(0), 2)
    assert scale.mpp == 10.0
    loaded = dataset.load_tiles(
        made.shard_paths("train", "labelled"), len(stored), scale, cache=False
    )
    tiles = list(loaded.dataset.as_numpy_iterator())
    # 32 px at 4 um/px are 12.8 px at 10; a crop of stage 0 has 8.
    assert {tile["image"].shape for tile in tiles} == {(13, 13, 3)}
    full = (
        sum((tile["labels"] / 255.0).sum() for tile in tiles) * (32 / 13) ** 2
    )
    assert full == pytest.approx(sum(made.class_pixels("train")), rel=0.03)


def test_mask_files_as_annotations(folder):
    for path in (folder / "a").iterdir():
        mask = np.full((96, 160), 9, np.uint8)
        mask[4:12, 4:20] = 1
        path.unlink()
        tifffile.imwrite(path.with_suffix(".tif"), mask, tile=(32, 32))
    table = slide_folder.CLASSES | {"ignore": [9]}
    (folder / "classes.json").write_text(json.dumps(table))
    made = slide_ingest.ingest_slides(
        settings(folder, validation=0.0, unlabelled=None)
    ).manifest
    train = made.split("train")
    assert [i.class_pixels for i in train.labelled.images] == [(0, 128)] * 3
    assert len(train.unlabelled.images) == 3 * 14


def test_notes_tell_what_was_mended(folder):
    annotate(
        folder,
        "p0_a",
        feature("gland", -10, 4, 20, 12),
        feature("gland", 0, 0, 0, 0),
    )
    found = slide_ingest.ingest_slides(settings(folder))
    assert [note.split("geojson: ")[1] for note in found.notes] == [
        "1 without area (points, lines, dots) left out",
        "1 cut at the slide's border",
    ]


def test_glass_alone_is_noted(folder):
    glass = np.full((96, 160, 3), 245, np.uint8)
    slide_files.write_pages(folder / "u" / "p2_e.tif", [glass], 4.0)
    found = slide_ingest.ingest_slides(settings(folder, tissue=0.1))
    assert len(found.notes) == 1
    assert found.notes[0].endswith("p2_e.tif: no tissue found")


def test_a_real_slide(folder, real_data):
    (folder / "a/CMU-1-Small-Region.geojson").write_text(
        json.dumps([feature("gland", 1000, 500, 1500, 900)])
    )
    path = real_data / "slides/CMU-1-Small-Region.svs"
    made = slide_ingest.ingest_slides(
        settings(
            folder,
            images=str(path),
            annotations=str(folder / "a/CMU*"),
            unlabelled=None,
            group_by=None,
            validation=0.0,
            tile_px=256,
            tile_mpp=1.0,
            tissue=0.3,
        )
    ).manifest
    train = made.split("train")
    stored = train.labelled.images + train.unlabelled.images
    # 1481 x 1108 px at 1 um/px: 5 x 4 tiles, some of them glass.
    assert len(train.labelled.images) >= 1 and 3 < len(stored) < 20
    assert all(256 <= i.height < 300 and 256 <= i.width < 300 for i in stored)
    gland = 500 * 400 * 0.499**2
    assert made.class_pixels("train")[1] == pytest.approx(gland, rel=0.01)
    tile = read(made, "train", "labelled")[0]
    _, row, column = tile["name"].decode().rsplit("_", 2)
    with slides.open_slide(path) as slide:
        again = slide.read_region(
            int(row[1:]), int(column[1:]), *tile["mask"].shape, 1.0
        )
    np.testing.assert_array_equal(tile["image"], again)
