"""Ingest of slides end to end: splits, resumption, bad input, real files."""

import collections
import dataclasses
import json
import resource

import numpy as np
import pytest
import slide_files
import tensorflow as tf
import tifffile

from histogan_tf.data import (
    images,
    manifest,
    parts,
    records,
    slide_ingest,
    slides,
)
from histogan_tf.data.slide_settings import SlideSettings
from histogan_tf.errors import InputError

CLASSES = {
    "classes": [
        {"id": 0, "name": "stroma", "color": [250, 200, 220]},
        {"id": 1, "name": "gland", "color": [100, 60, 150]},
    ]
}


def feature(name, *box):
    left, top, right, bottom = box
    ring = [[left, top], [right, top], [right, bottom], [left, bottom]]
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
        "properties": {"classification": {"name": name, "color": [1, 2, 3]}},
    }


def annotate(folder, name, *features):
    data = {"type": "FeatureCollection", "features": list(features)}
    (folder / "a" / f"{name}.geojson").write_text(json.dumps(data))


@pytest.fixture
def folder(tmp_path):
    """Slides p0_a, p0_b, p1_c of 96 x 160 px, annotated; p1_d, p2_e not."""
    for kind in "iau":
        (tmp_path / kind).mkdir()
    (tmp_path / "classes.json").write_text(json.dumps(CLASSES))
    for place, name in enumerate(("p0_a", "p0_b", "p1_c", "p1_d", "p2_e")):
        image = slide_files.painted(96, 160, place)
        kind = "i" if place < 3 else "u"
        path = tmp_path / kind / f"{name}.tif"
        slide_files.write_pages(path, [image], 4.0, compression="zlib")
    for name in ("p0_a", "p0_b", "p1_c"):
        annotate(
            tmp_path,
            name,
            feature("gland", 4, 4, 20, 12),
            feature("stroma", 40, 40, 70, 60),
        )
    return tmp_path


def settings(folder, **change):
    base = SlideSettings(
        images=str(folder / "i"),
        annotations=str(folder / "a"),
        classes=str(folder / "classes.json"),
        output=str(folder / "out"),
        unlabelled=str(folder / "u"),
        tile_px=32,
        tissue=0.0,
        group_by="(p[0-9])",
        validation=0.3,
        shard_mb=0.05,
    )
    return dataclasses.replace(base, **change)


def read(made, split, kind):
    paths = [str(path) for path in made.shard_paths(split, kind)]
    data = tf.data.TFRecordDataset(paths).map(records.decode)
    return list(data.as_numpy_iterator())


def contents(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


def refuse(folder, message, **change):
    with pytest.raises(InputError, match=message) as caught:
        slide_ingest.ingest_slides(settings(folder, **change))
    assert "\n" not in str(caught.value)
    assert not (folder / "out").exists()


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


@pytest.mark.parametrize("failing", [0, 1, 3])
def test_an_interrupted_run_goes_on(folder, monkeypatch, failing):
    monkeypatch.setattr(slide_ingest, "PART_PIXELS", 6 * 32 * 32)
    slide_ingest.ingest_slides(settings(folder, output=str(folder / "whole")))
    write, count = parts.write, 0

    def fails(path, tiles):
        nonlocal count
        count += 1
        if count == failing + 1:
            raise KeyboardInterrupt
        write(path, tiles)

    monkeypatch.setattr(parts, "write", fails)
    with pytest.raises(KeyboardInterrupt):
        slide_ingest.ingest_slides(settings(folder))
    assert not (folder / "out").exists()
    kept = sorted((folder / ".out.partial").glob("*.part"))
    times = [path.stat().st_mtime_ns for path in kept]
    assert len(kept) == failing
    count = -100
    again = []
    slide_ingest.ingest_slides(
        settings(folder, workers=3), lambda *call: again.append(call)
    )
    # Five slides of three parts; those kept were not written again.
    assert count + 100 == 15 - failing and len(times) == failing
    assert again[-1][0] == 75
    assert contents(folder / "out") == contents(folder / "whole")
    assert not (folder / ".out.partial").exists()


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


def test_mask_files_as_annotations(folder):
    for path in (folder / "a").iterdir():
        mask = np.full((96, 160), 9, np.uint8)
        mask[4:12, 4:20] = 1
        path.unlink()
        tifffile.imwrite(path.with_suffix(".tif"), mask, tile=(32, 32))
    table = CLASSES | {"ignore": [9]}
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


def test_bad_annotations(folder):
    annotate(folder, "p0_a", feature("Tumor", 0, 0, 9, 9))
    refuse(folder, r"p0_a\.geojson: .*'Tumor' \(1\); allowed: stroma, gland")
    annotate(folder, "p0_a", feature("gland", 200, 0, 209, 9))
    refuse(folder, r"p0_a\.geojson: all 1 annotations lie outside the slide")
    annotate(folder, "p0_a")
    refuse(folder, r"p0_a\.geojson: no annotation to use among 0")
    (folder / "a/p0_a.geojson").unlink()
    refuse(folder, r"p0_a\.tif")


def test_nothing_but_ignored_areas(folder):
    for name in ("p0_a", "p0_b", "p1_c"):
        annotate(folder, name, feature("Ignore*", 0, 0, 9, 9))
    refuse(folder, "no tile of train has an annotated pixel")


def test_bad_slides(folder, real_data):
    data = (real_data / "slides/broken.svs").read_bytes()
    (folder / "u/broken.svs").write_bytes(data)
    (folder / "u/p1_d.tif").write_bytes(b"II*\0")
    change = {"group_by": None}
    refuse(
        folder,
        r"cannot read 2 files \(--skip_bad goes on\): .*broken.*p1_d",
        **change,
    )
    made = slide_ingest.ingest_slides(
        settings(folder, skip_bad=True, **change)
    ).manifest
    assert len(made.skipped) == 2
    names = {i.name[:4] for i in made.split("train").unlabelled.images}
    assert "p2_e" in names and "p1_d" not in names


def test_a_tile_that_is_damaged(folder):
    path = folder / "u/p1_d.tif"
    with tifffile.TiffFile(path) as tif:
        start = tif.pages[0].dataoffsets[-1]
    data = bytearray(path.read_bytes())
    data[start : start + 60] = bytes(60)
    path.write_bytes(data)
    refuse(folder, r"cannot read 1 files .*p1_d\.tif: ", tissue=0.0)


def test_a_full_disk_keeps_the_parts(folder, monkeypatch):
    monkeypatch.setattr(slide_ingest, "PART_PIXELS", 6 * 32 * 32)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Enough for the parts of six tiles, too little for shards.
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            slide_ingest.ingest_slides(settings(folder, shard_mb=1.0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (folder / "out").exists() and not list(folder.glob(".out.*.tmp"))
    assert len(list((folder / ".out.partial").glob("*.part"))) == 15
    monkeypatch.setattr(parts, "write", None)  # none is written again
    slide_ingest.ingest_slides(settings(folder, shard_mb=1.0))
    assert (folder / "out").exists()


def test_output_that_exists(folder):
    (folder / "out").mkdir()
    (folder / "out/mine.txt").write_text("kept")
    with pytest.raises(InputError, match=r"out: exists already"):
        slide_ingest.ingest_slides(settings(folder))
    assert not (folder / ".out.partial").exists()


def test_a_file_given_twice(folder):
    refuse(folder, "given twice", unlabelled=str(folder / "i"))


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
