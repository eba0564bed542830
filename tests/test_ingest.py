"""Ingest end to end on small files, on real tissue, and on bad input."""

import dataclasses
import json
import resource
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tifffile

from histogan_tf.data import classes, images, ingest, manifest, records
from histogan_tf.errors import InputError

TABLES = classes.__file__.replace("classes.py", "class_tables/")


@pytest.fixture
def folder(tmp_path):
    """Six pairs of 8 x 10 px, two of each of three patients."""
    rng = np.random.default_rng(0)
    for place in range(6):
        name = f"p{place // 2}_{place}.png"
        for kind in "im":
            (tmp_path / kind).mkdir(exist_ok=True)
        image = rng.integers(0, 256, (8, 10, 3), np.uint8)
        images.write_png(tmp_path / "i" / name, image)
        mask = np.zeros((8, 10), np.uint8)
        mask[:, :place] = place
        images.write_png(tmp_path / "m" / name, mask)
    return tmp_path


def settings(folder, **more):
    base = ingest.IngestSettings(
        images=str(folder / "i"),
        masks=str(folder / "m"),
        classes=f"{TABLES}glas.json",
        output=str(folder / "out"),
        mpp=0.5,
        group_by="p([0-9])",
    )
    return dataclasses.replace(base, **more)


def read(made, split, kind):
    paths = [str(path) for path in made.shard_paths(split, kind)]
    data = tf.data.TFRecordDataset(paths).map(records.decode)
    return list(data.as_numpy_iterator())


def test_twelve_bits_in_sixteen_are_told(folder):
    dark = np.zeros((8, 10, 3), np.uint16)
    images.write_png(folder / "i" / "p1_3.png", dark)  # all black: no doubt
    dark[2, 3, 1] = 4095
    images.write_png(folder / "i" / "p0_0.png", dark)
    tifffile.imwrite(folder / "i" / "p0_1.tif", dark)
    (folder / "i" / "p0_1.png").unlink()
    dark[2, 3, 1] = 4096
    images.write_png(folder / "i" / "p1_2.png", dark)
    images.write_png(folder / "i" / "p2_4.png", dark.astype(np.uint8))
    notes = []
    ingest.ingest(settings(folder), tell=notes.append)
    assert sorted(note.rpartition("/i/")[2] for note in notes) == [
        f"{name}: 16 bits a sample, but none above 4095: nearly black; looks"
        " like 12 bits, scale them to all 16"
        for name in ("p0_0.png", "p0_1.tif")
    ]


def refuse(folder, message, **more):
    with pytest.raises(InputError, match=message) as caught:
        ingest.ingest(settings(folder, **more))
    assert "\n" not in str(caught.value)
    assert not (folder / "out").exists()
    assert not list(folder.glob(".out*"))


def test_everything_arrives(folder):
    calls = []
    made = ingest.ingest(settings(folder), lambda *call: calls.append(call))
    assert manifest.load(folder / "out") == made
    manifest.verify(made)
    assert [call[:2] for call in calls] == [(n, 6) for n in range(1, 7)]
    train = read(made, "train", "labelled")
    held = read(made, "validation", "labelled")
    assert len(train) == 4 and len(held) == 2
    assert len({tile["group"] for tile in held}) == 1
    assert not {t["group"] for t in held} & {t["group"] for t in train}
    for tile in train + held:
        name = tile["name"].decode()
        stored = images.read_image(folder / "i" / f"{name}.png")
        np.testing.assert_array_equal(tile["image"], stored)
        wanted = np.zeros((8, 10))
        wanted[:, : int(name[-1])] = 1
        np.testing.assert_array_equal(tile["mask"], wanted)
        assert tile["mpp"] == 0.5 and tile["group"].decode() == name[1]
    for split, tiles in (("train", train), ("validation", held)):
        kept = made.split(split).labelled.images
        assert [i.name for i in kept] == [t["name"].decode() for t in tiles]
        gland = sum(8 * int(i.name[-1]) for i in kept)
        assert made.class_pixels(split) == (80 * len(kept) - gland, gland)


def test_same_seed_same_bytes(folder):
    outs = [folder / name for name in ("one", "two", "three")]
    for out, seed, workers in zip(outs, (3, 3, 4), (1, 4, 2), strict=True):
        ingest.ingest(
            settings(
                folder,
                output=str(out),
                seed=seed,
                workers=workers,
                shard_mb=0.0003,
                max_labelled=2,
            )
        )
    one, two, three = (
        {path.name: path.read_bytes() for path in out.iterdir()} for out in outs
    )
    assert one == two and one != three
    assert "train-labelled-00001-of-00002.tfrecord" in one


def test_max_labelled_and_unlabelled(folder):
    (folder / "u").mkdir()
    for patient in range(3):
        name = f"p{patient}_0.png"
        shutil.copy(folder / "i/p0_0.png", folder / "u" / name)
    made = ingest.ingest(
        settings(folder, max_labelled=1, unlabelled=str(folder / "u"))
    )
    held = made.groups("validation")
    assert len(held) == 1 and not set(held) & set(made.groups("train"))
    assert len(read(made, "train", "labelled")) == 1
    train = read(made, "train", "unlabelled")
    # Three whose masks went unused, two that never had any.
    assert len(train) == 5
    assert all((tile["mask"] == 255).all() for tile in train)
    assert len(made.split("validation").unlabelled.images) == 1
    assert made.split("train").unlabelled.images[0].class_pixels is None


def test_test_split_and_split_flag(folder):
    shutil.copytree(folder / "i", folder / "ti")
    shutil.copytree(folder / "m", folder / "tm")
    test = {"test_images": str(folder / "ti"), "test_masks": str(folder / "tm")}
    made = ingest.ingest(settings(folder, validation=0.0, **test))
    assert set(made.splits) == {"train", "test"}
    assert len(made.split("test").labelled.images) == 6
    only = ingest.ingest(settings(folder, split="test", output=f"{folder}/o2"))
    assert set(only.splits) == {"test"}


def test_boundary_from_instances(folder):
    made = ingest.ingest(
        settings(
            folder,
            classes=f"{TABLES}glas_boundary.json",
            instances=str(folder / "m"),
            boundary_um=1.0,
            validation=0.0,
        )
    )
    tile = next(
        t for t in read(made, "train", "labelled") if t["name"] == b"p2_5"
    )
    # 1 um at 0.5 um/px: the two columns of the gland next to background.
    np.testing.assert_array_equal(
        tile["mask"], [[1, 1, 1, 2, 2, 0, 0, 0, 0, 0]] * 8
    )


def test_mpp_from_the_file(folder):
    for path in sorted((folder / "i").iterdir()):
        image = images.read_image(path)
        path.unlink()
        tifffile.imwrite(
            path.with_suffix(".tif"),
            image,
            photometric="rgb",
            resolution=(40000, 40000),
            resolutionunit="CENTIMETER",
        )
    made = ingest.ingest(settings(folder, mpp=None))
    for info in made.split("train").labelled.images:
        assert info.mpp == pytest.approx(0.25)


def test_missing_mpp(folder):
    refuse(folder, r"p\d_\d\.png: no um/px in the file.*--mpp", mpp=None)


def test_sizes_that_differ(folder):
    images.write_png(folder / "m/p1_2.png", np.zeros((8, 9), np.uint8))
    refuse(folder, r"m/p1_2\.png: 9 x 8 px.*i/p1_2\.png has 10 x 8")


def test_instance_sizes_that_differ(folder):
    shutil.copytree(folder / "m", folder / "n")
    images.write_png(folder / "n/p1_2.png", np.zeros((8, 9), np.uint8))
    refuse(
        folder,
        r"n/p1_2\.png: 9 x 8 px",
        instances=str(folder / "n"),
        boundary_um=1.0,
        classes=f"{TABLES}glas_boundary.json",
    )


def test_unmapped_value(folder):
    refuse(
        folder,
        r"p2_5\.png: mask value 5 in 40 pixels",
        classes=f"{TABLES}gleason.json",
    )


def spoil(folder):
    (folder / "i/p0_0.png").write_bytes(b"no image")
    data = (folder / "m/p1_3.png").read_bytes()
    (folder / "m/p1_3.png").write_bytes(data[:-20])


def test_bad_files_are_listed_together(folder):
    spoil(folder)
    refuse(
        folder, r"cannot read 2 files.*--skip_bad.*p0_0.*not a PNG.*p1_3.*cut"
    )


def test_skip_bad_goes_on_and_keeps_the_list(folder):
    spoil(folder)
    made = ingest.ingest(settings(folder, skip_bad=True))
    skipped = json.loads((folder / "out/manifest.json").read_text())["skipped"]
    assert sorted(item["file"] for item in skipped) == [
        str(folder / "i/p0_0.png"),
        str(folder / "m/p1_3.png"),
    ]
    stored = [s.labelled.images for s in made.splits.values()]
    assert sum(map(len, stored)) == 4


def test_nothing_left_after_skipping(folder):
    for path in (folder / "i").iterdir():
        path.write_bytes(b"x")
    refuse(
        folder, "all 4 labelled images for train were skipped", skip_bad=True
    )


def test_output_that_exists(folder):
    (folder / "out").mkdir()
    (folder / "out/mine.txt").write_text("kept")
    with pytest.raises(InputError, match=r"out: exists already"):
        ingest.ingest(settings(folder))
    assert [path.name for path in (folder / "out").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("limit", [200, 1500])
def test_full_disk_leaves_nothing(folder, limit):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            ingest.ingest(settings(folder))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(path.name for path in folder.iterdir()) == ["i", "m"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mpp": 0.0}, "--mpp 0: 0.01..100"),
        ({"validation": 1.0}, "--validation 1"),
        ({"workers": 0}, "--workers 0"),
        ({"seed": -1}, "--seed -1"),
        ({"split": "tset"}, "--split 'tset'; allowed: train"),
        ({"split": "test", "max_labelled": 1}, "--max_labelled"),
        ({"max_labelled": 5}, r"--max_labelled 5: 1..4"),
        ({"test_images": "x"}, "--test_images and --test_masks"),
        ({"instances": "x"}, "--instances and --boundary_um"),
        ({"groups": "x", "group_column": "y"}, "--group_by and --groups"),
        ({"group_by": "q([0-9])"}, "does not match 'p0_0'"),
        ({"instances": "x", "boundary_um": 2.0}, '"boundary": true'),
        ({"classes": f"{TABLES}glas_boundary.json"}, "state --instances"),
        ({"test_instances": "x"}, "--test_instances needs"),
        ({"classes": "none.json"}, "none.json: No such file"),
    ],
)
def test_bad_settings(folder, change, message):
    refuse(folder, message, **change)


def test_two_glas_images(folder, real_data):
    made = ingest.ingest(
        settings(
            folder,
            images=str(real_data / "glas/images/train_[12].png"),
            masks=str(real_data / "glas/labels/train_[12]_anno.png"),
            mask_suffix="_anno",
            group_by=None,
            validation=0.0,
            mpp=0.62,
        )
    )
    tiles = read(made, "train", "labelled")
    assert sorted(tile["name"] for tile in tiles) == [b"train_1", b"train_2"]
    for tile in tiles:
        assert tile["image"].shape == (522, 775, 3)
        name = f"{tile['name'].decode()}_anno.png"
        raw = images.read_mask_raw(real_data / "glas/labels" / name)
        np.testing.assert_array_equal(tile["mask"], raw > 0)
    pixels = made.class_pixels("train")
    assert sum(pixels) == 2 * 522 * 775 and min(pixels) > 0


def test_gleason_zero_is_a_class(folder, real_data):
    made = ingest.ingest(
        settings(
            folder,
            images=str(real_data / "gleason/images/test10.jpg"),
            masks=str(real_data / "gleason/masks/test10.png"),
            classes=f"{TABLES}gleason.json",
            group_by=None,
            split="test",
        )
    )
    (tile,) = read(made, "test", "labelled")
    raw = images.read_mask_raw(real_data / "gleason/masks/test10.png")
    np.testing.assert_array_equal(tile["mask"], raw)
    info = made.split("test").labelled.images[0]
    assert info.class_pixels[0] == (raw == 0).sum()
    assert info.ignored_pixels == 0 and made.classes.count == 5


def test_program(folder):
    wanted = settings(folder)
    command = [sys.executable, "-m", "trainer.ingest", "--mpp=0.5"]
    for flag in ("images", "masks", "classes", "output", "group_by"):
        command += [f"--{flag}", getattr(wanted, flag)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "validation: 2 labelled, 0 unlabelled images" in done.stdout
    assert "groups:" in done.stdout
    assert "--mpp=0.5" in manifest.load(folder / "out").command
