"""trainer.segment: images in; masks, overlays, outlines and areas out."""

import csv
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from programs import run_program
from shapely import geometry

from histogan_tf import run_dir
from histogan_tf.canvas import Reader
from histogan_tf.data import images
from histogan_tf.errors import InputError
from trainer import segment_networks

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture
def segment(random_run, capsys, monkeypatch):
    def run(**given):
        given = {"run_dir": random_run} | given
        return run_program("trainer.segment", capsys, monkeypatch, **given)

    return run


@pytest.fixture
def pictures(phantom_files):
    return phantom_files / "images" / "tile_[34].png"


def test_everything_that_can_be_asked_for(segment, pictures, tmp_path):
    out = tmp_path / "out"
    code, text, _ = segment(
        images=pictures, output=out, mpp=2.5, probabilities=True, geojson=True
    )
    assert code == 0 and "2 images" in text
    image = images.read_image(str(pictures).replace("[34]", "4"))
    mask = images.read_mask_raw(out / "masks" / "tile_4.png")
    assert mask.shape == image.shape[:2] == (75, 91)
    assert set(np.unique(mask)) <= {0, 1, 2}
    overlay = images.read_image(out / "overlays" / "tile_4.png")
    assert overlay.shape == image.shape
    shares = tifffile.imread(out / "probabilities" / "tile_4.tif")
    assert shares.shape == (3, 75, 91) and shares.dtype == np.float32
    np.testing.assert_allclose(shares.sum(axis=0), 1, atol=1e-4)
    np.testing.assert_array_equal(shares.argmax(axis=0), mask)
    check_outlines(out / "outlines" / "tile_4.geojson", mask)
    check_areas(out / "areas.csv", mask)


def check_outlines(path, mask):
    collection = json.loads(path.read_text())
    assert collection["type"] == "FeatureCollection"
    areas = {"epithelium": 0.0, "lumen": 0.0}
    for feature in collection["features"]:
        assert feature["type"] == "Feature"
        properties = feature["properties"]
        assert properties["objectType"] == "annotation"
        shape = geometry.shape(feature["geometry"])
        assert shape.is_valid and shape.area > 0
        assert shape.bounds[2] <= 91 and shape.bounds[3] <= 75
        areas[properties["classification"]["name"]] += shape.area
        assert len(properties["classification"]["color"]) == 3
    for identity, name in ((1, "epithelium"), (2, "lumen")):
        pixels = (mask == identity).sum()
        assert abs(areas[name] - pixels) <= 0.1 * pixels + 5


def check_areas(path, mask):
    rows = list(csv.DictReader(path.open()))
    mine = [row for row in rows if row["image"] == "tile_4"]
    assert [row["class"] for row in mine] == ["stroma", "epithelium", "lumen"]
    for identity, row in enumerate(mine):
        pixels = int((mask == identity).sum())
        assert int(row["pixels"]) == pixels
        expected = pixels * 2.5e-3**2
        assert float(row["mm2"]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("canvas", [False, True])
def test_a_boundary_class_makes_a_table_of_objects(
    segment, random_run, pictures, tmp_path, canvas
):
    from histogan_tf import instances

    run = tmp_path / "run"
    shutil.copytree(random_run, run)
    table = json.loads((run / "classes.json").read_text())
    table["classes"][1] |= {"values": [], "boundary": True}
    (run / "classes.json").write_text(json.dumps(table))
    out = tmp_path / "out"
    given = {"images": pictures, "mpp": 5.0, "output": out, "canvas": canvas}
    code, _, err = segment(**given, run_dir=run, tissue=False)
    assert code == 0, err
    with open(out / "instances" / "tile_3.csv") as file:
        rows = list(csv.DictReader(file))
    ending = "ome.tif" if canvas else "png"
    mask = images.read_mask_raw(out / "masks" / f"tile_3.{ending}", False)
    wanted = list(
        instances.instances(mask, run_dir.open_run(run).classes(), [2], 5.0)
    )
    assert len(rows) == len(wanted) > 0
    # The class that is neither the first nor the boundary: 25 um2 a pixel.
    total = sum(float(row["area_um2"]) for row in rows)
    assert total == pytest.approx(25 * (mask == 2).sum(), rel=1e-5)
    largest = max(float(row["area_um2"]) for row in rows)
    for least, left in ((largest, 1), (largest + 1, 0)):
        out = tmp_path / str(left)
        more = {"output": out, "geojson": True, "min_object_um2": least}
        code, _, err = segment(**given | more, run_dir=run, tissue=False)
        assert code == 0, err
        table = (out / "instances" / "tile_3.csv").read_text()
        drawn = json.loads((out / "outlines" / "tile_3.geojson").read_text())
        assert table.count("\n") - 1 == len(drawn["features"]) == left


def test_at_the_runs_own_scale_the_network_alone_decides(
    segment, pictures, random_run, tmp_path
):
    code, *_ = segment(images=pictures, output=tmp_path / "out", mpp=5.0)
    assert code == 0
    image = images.read_image(str(pictures).replace("[34]", "3"))
    read = Reader(run_dir.load_segmenter(run_dir.open_run(random_run)))
    np.testing.assert_array_equal(
        images.read_mask_raw(tmp_path / "out" / "masks" / "tile_3.png"),
        read(image).argmax(-1),
    )


def test_all_ways_round_the_mean_decides(
    segment, pictures, random_run, tmp_path
):
    out = tmp_path / "out"
    code, *_ = segment(
        images=pictures, output=out, mpp=5.0, views=8, probabilities=True
    )
    assert code == 0
    image = images.read_image(str(pictures).replace("[34]", "3"))
    read = Reader(run_dir.load_segmenter(run_dir.open_run(random_run)))
    # Transposed or not, rows and columns either way.
    found = tifffile.imread(out / "probabilities" / "tile_3.tif")
    wanted = np.zeros_like(found)
    for rows, columns in itertools.product((1, -1), repeat=2):
        view = image[::rows, ::columns]
        shares = read(np.ascontiguousarray(view))
        wanted += np.moveaxis(shares[::rows, ::columns], -1, 0) / 8
        shares = read(np.ascontiguousarray(np.swapaxes(view, 0, 1)))
        back = np.swapaxes(shares, 0, 1)[::rows, ::columns]
        wanted += np.moveaxis(back, -1, 0) / 8
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    alone = np.moveaxis(read(image), -1, 0)
    assert np.abs(found - alone).max() > 1e-3


def test_a_network_that_knows_one_way_is_shown_that_alone(random_run):
    run = run_dir.open_run(random_run)
    upright = replace(run.config().segmenter.augment, flips=False)
    segmenter = replace(run.config().segmenter, augment=upright)
    config = replace(run.config(), segmenter=segmenter)
    stubborn = SimpleNamespace(config=lambda: config, config_path="c.json")
    segment_networks.check_views(stubborn, "segmenter", 1)
    segment_networks.check_views(run, "segmenter", 8)
    with pytest.raises(InputError, match=r"--views 2: c.json says .*flips"):
        segment_networks.check_views(stubborn, "segmenter", 2)


def test_the_same_images_give_the_same_bytes(segment, pictures, tmp_path):
    found = []
    for name in ("one", "two"):
        segment(
            images=pictures,
            output=tmp_path / name,
            mpp=2.5,
            probabilities=True,
            geojson=True,
        )
        paths = sorted((tmp_path / name).rglob("*_*.*"))
        found.append([(p.name, p.read_bytes()) for p in paths])
    assert found[0] == found[1] and len(found[0]) == 8


def test_a_tiff_states_its_own_scale(segment, pictures, tmp_path):
    image = images.read_image(str(pictures).replace("[34]", "3"))
    tifffile.imwrite(
        tmp_path / "a.tif",
        image,
        photometric="rgb",
        resolution=(4000, 4000),  # pixels per cm: 2.5 um/px
        resolutionunit="CENTIMETER",
    )
    code, *_ = segment(images=tmp_path / "a.tif", output=tmp_path / "out")
    assert code == 0
    record = json.loads((tmp_path / "out" / "segmentation.json").read_text())
    assert record["images"][0]["mpp"] == pytest.approx(2.5)
    code, _, err = segment(
        images=tmp_path / "a.tif", output=tmp_path / "other", mpp=2.4
    )
    assert code == 0
    assert "a.tif: states 2.5 um/px, --mpp 2.4 is used\n" in err
    code, _, err = segment(
        images=tmp_path / "a.tif", output=tmp_path / "coarse", mpp=9
    )
    assert code == 0 and "9 um/px is coarser than the 5 um/px" in err


def test_missing_scale_names_file_and_flag(segment, pictures, tmp_path):
    code, _, err = segment(images=pictures, output=tmp_path / "out")
    assert code == 2
    assert "tile_3.png: no um/px in the file; state it with --mpp" in err
    assert not (tmp_path / "out").exists()


@pytest.fixture
def with_bad(pictures, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    good = pathlib.Path(str(pictures).replace("[34]", "3")).read_bytes()
    (folder / "good.png").write_bytes(good)
    (folder / "cut.png").write_bytes(good[:500])
    (folder / "text.png").write_text("no image")
    return folder


def test_bad_images_are_listed_together(segment, with_bad, tmp_path):
    code, _, err = segment(images=with_bad, output=tmp_path / "out", mpp=5)
    assert code == 2 and "cannot read 2 files (--skip_bad goes on)" in err
    assert "cut.png: cut short" in err and "text.png: not a PNG" in err
    assert not (tmp_path / "out").exists()


def test_bad_images_can_be_skipped(segment, with_bad, tmp_path):
    out = tmp_path / "out"
    code, text, _ = segment(images=with_bad, output=out, mpp=5, skip_bad=True)
    assert code == 0 and "skipped" in text
    record = json.loads((out / "segmentation.json").read_text())
    assert [image["name"] for image in record["images"]] == ["good"]
    assert [pathlib.Path(s["file"]).name for s in record["skipped"]] == [
        "cut.png",
        "text.png",
    ]
    (with_bad / "good.png").unlink()
    again = tmp_path / "again"
    code, _, err = segment(images=with_bad, output=again, mpp=5, skip_bad=True)
    assert code == 2 and "all 2 files are unreadable" in err


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"images": "/nowhere"}, "/nowhere: no file there ends in one of"),
        ({"run_dir": "/nowhere"}, "/nowhere/config.json"),
        ({"object_classes": "nerve"}, "'nerve': allowed are stroma, epith"),
        ({"mpp": 0}, "mpp=0"),
        ({"mpp": "nan"}, "--mpp nan: um/px"),
        ({"views": 9}, "views"),
        ({"min_object_um2": -1}, "min_object_um2"),
        ({"min_object_um2": "nan"}, "--min_object_um2 nan: 0 um2 or more is"),
        ({"views": 2, "network": "pyramid"}, "--views 2: the pyramid reads"),
    ],
)
def test_bad_flags(segment, pictures, tmp_path, values, message):
    given = {"images": pictures, "output": tmp_path / "out", "mpp": 5} | values
    code, _, err = segment(**given)
    assert code == 2 and message in err and err.startswith("error: ")
    assert not (tmp_path / "out").exists()


def test_output_and_names_must_be_free(segment, pictures, with_bad, tmp_path):
    code, _, err = segment(images=pictures, output=with_bad, mpp=5)
    assert code == 2 and "exists already" in err
    (with_bad / "good.bmp").write_bytes(b"")
    code, _, err = segment(images=with_bad, output=tmp_path / "out", mpp=5)
    assert code == 2 and "a second file named 'good'" in err


@pytest.mark.parametrize("name", ["evaluate", "synthesize", "segment"])
def test_help_loads_no_tensorflow(name):
    script = (
        "import sys, runpy\n"
        f"sys.argv = ['trainer.{name}', '--help']\n"
        "try:\n"
        f"    runpy.run_module('trainer.{name}', run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    print('code', end.code, 'tensorflow' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ,
        timeout=60,
    )
    assert done.stdout.endswith("code 0 False\n"), done.stderr
    assert "--run_dir" in done.stdout
