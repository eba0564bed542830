"""serving.client as a program, against a model in numpy."""

import csv
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import serving_fake
import serving_fake_model
import tifffile
from programs import run_program
from serving_fake_model import CARD, CLASSES, Model, classes_of, tissue

from histogan_tf import rescale
from histogan_tf.data import images

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture
def client(capsys, monkeypatch, tmp_path):
    """Runs a command against a model; output is tmp_path / "out"."""

    def run(command, model, **values):
        given = {"model": "m", "attempts": 1}
        if command in ("segment", "generate"):
            given |= {"output": tmp_path / "out", "input": tmp_path / "in"}
        fake = model if isinstance(model, serving_fake.Fake) else model.fake()
        with serving_fake.serve(fake) as address:
            return run_program(
                "serving.client",
                capsys,
                monkeypatch,
                command=command,
                **({"server": address} | given | values),
            )

    return run


@pytest.fixture
def pictures(tmp_path):
    """Two images of odd sizes; arrays by name."""
    rng = np.random.default_rng(3)
    found = {
        "a": rng.integers(0, 256, (50, 43, 3), np.uint8),
        "b": rng.integers(0, 256, (20, 70, 3), np.uint8),
    }
    (tmp_path / "in").mkdir()
    for name, image in found.items():
        images.write_png(tmp_path / "in" / f"{name}.png", image)
    return found


@pytest.fixture
def masks(tmp_path):
    """A mask of class ids, and its path."""
    mask = np.random.default_rng(4).integers(0, 3, (37, 45), np.uint8)
    (tmp_path / "in").mkdir()
    images.write_png(tmp_path / "in" / "a.png", mask)
    return mask


def read_mask(tmp_path, name="a"):
    return images.read_mask_raw(tmp_path / "out" / "masks" / f"{name}.png")


def test_segment(client, pictures, tmp_path):
    code, out, _ = client("segment", Model(), mpp=2)
    assert code == 0 and out == f"{tmp_path}/out: 2 images\n"
    rows = list(csv.DictReader((tmp_path / "out" / "areas.csv").open()))
    assert [row["class"] for row in rows] == [*CLASSES, *CLASSES]
    for name, image in pictures.items():
        mask = classes_of(image)
        np.testing.assert_array_equal(read_mask(tmp_path, name), mask)
        for identity, row in enumerate(r for r in rows if r["image"] == name):
            pixels = int((mask == identity).sum())
            assert int(row["pixels"]) == pixels
            assert float(row["share"]) == pytest.approx(pixels / mask.size)
            assert float(row["mm2"]) == pytest.approx(pixels * 4e-6)
    record = json.loads((tmp_path / "out" / "segmentation.json").read_text())
    assert record["model_mpp"] == 2 and record["classes"] == list(CLASSES)
    assert [image["version"] for image in record["images"]] == [4, 4]


@pytest.mark.parametrize("stated", ["flag", "card", "server"])
def test_large_images_go_in_windows(client, pictures, tmp_path, stated):
    limit = 20 * 20
    model = Model(limit) if stated == "server" else Model()
    if stated == "card":
        model.card = CARD | {"limits": {"max_pixels": limit}}
    values = {"tile_pixels": limit} if stated == "flag" else {}
    assert client("segment", model, mpp=2, **values)[0] == 0
    for name, image in pictures.items():
        mask = read_mask(tmp_path, name)
        np.testing.assert_array_equal(mask, classes_of(image))
    # One image too large if the server had to tell, and no more.
    large = [size for size in model.sizes if np.prod(size) > limit]
    assert large == ([(50, 43)] if stated == "server" else [])
    assert len(model.sizes) == len(large) + 5 * 4 + 2 * 6


def test_images_of_another_scale(client, pictures, tmp_path):
    assert client("segment", Model(), mpp=1)[0] == 0
    small = rescale.image_to(pictures["a"], 1.0, 2.0)
    assert small.shape == (25, 22, 3)
    mask = read_mask(tmp_path)
    assert mask.shape == (50, 43)
    # Whole rows fit the model's twice over, columns nearly so.
    np.testing.assert_array_equal(mask[::2, 0], classes_of(small)[:, 0])
    np.testing.assert_array_equal(mask[::2], mask[1::2])


def test_a_tiff_states_its_scale_and_a_png_cannot(client, pictures, tmp_path):
    code, _, err = client("segment", Model())
    assert code == 2 and "a.png: no um/px in the file; state it" in err
    assert not (tmp_path / "out").exists()
    tifffile.imwrite(
        tmp_path / "a.tif",
        pictures["a"],
        photometric="rgb",
        resolution=(5000, 5000),  # pixels per cm: 2 um/px
        resolutionunit="CENTIMETER",
    )
    assert client("segment", Model(), input=tmp_path / "a.tif")[0] == 0
    np.testing.assert_array_equal(
        read_mask(tmp_path), classes_of(pictures["a"])
    )


def test_a_model_without_a_card_gets_images_as_they_are(
    client, pictures, tmp_path
):
    assert client("segment", Model(card=None))[0] == 0
    np.testing.assert_array_equal(
        read_mask(tmp_path), classes_of(pictures["a"])
    )
    (row, *_) = csv.DictReader((tmp_path / "out" / "areas.csv").open())
    assert row["class"] == "" and row["mm2"] == ""
    out = tmp_path / "other"
    code, _, err = client(
        "segment", Model(card=None), tile_pixels=100, output=out
    )
    assert code == 2 and "50 x 43 pixels: more than 100, and the model" in err
    assert not out.exists()


def test_generate(client, masks, tmp_path):
    code, out, _ = client("generate", Model(), seed=5, samples=2)
    assert code == 0 and out == f"{tmp_path}/out: 2 images of 1 masks\n"
    record = json.loads((tmp_path / "out" / "synthesis.json").read_text())
    styles = {s["name"]: s["style"] for s in CARD["styles"]}
    for seed, entry in zip((5, 6), record["images"], strict=True):
        assert entry["seed"] == seed and entry["file"] == f"a_{seed}.png"
        assert entry["style"] == styles[entry["style_name"]]
        np.testing.assert_array_equal(
            images.read_image(tmp_path / "out" / f"a_{seed}.png"),
            tissue(masks, 0, 0, seed, entry["style"]),
        )


def test_um_px_of_masks(client, masks, tmp_path):
    code, _, err = client("generate", Model())
    assert code == 0
    assert "a.png: no um/px in the file; taken as 2, the model's" in err
    fine = np.kron(masks, np.ones((4, 4), np.uint8))
    stated = {"resolution": (20000, 20000), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(tmp_path / "a.tif", fine, **stated)  # 0.5 um/px
    for given in ({}, {"mpp": 0.5}):
        out = tmp_path / f"{len(given)}"
        values = {"input": tmp_path / "a.tif", "output": out} | given
        code, _, err = client("generate", Model(), **values)
        assert code == 0 and "no um/px" not in err
        (entry,) = json.loads((out / "synthesis.json").read_text())["images"]
        assert entry["mask_mpp"] == 0.5
        np.testing.assert_array_equal(
            images.read_image(out / "a_0.png"),
            images.read_image(tmp_path / "out" / "a_0.png"),
        )


def test_an_image_coarser_than_the_model_is_noted(client, pictures):
    code, _, err = client("segment", Model(), mpp=2.1)
    assert code == 0 and err.count("is coarser than the 2 um/px") == 2


def test_an_output_that_exists_is_refused_first(client, pictures, tmp_path):
    model = Model()
    given = {"mpp": 2, "output": tmp_path / "in"}
    code, _, err = client("segment", model, **given)
    assert code == 2 and f"{tmp_path}/in: exists already" in err
    assert "check" not in err and model.sizes == []


@pytest.mark.parametrize("tile_pixels", [20**2, 17**2, 33**2])
def test_large_masks_go_in_exact_windows(client, masks, tmp_path, tile_pixels):
    model = Model()
    code, *_ = client("generate", model, seed=9, tile_pixels=tile_pixels)
    assert code == 0 and len(model.sizes) > 1
    assert all(h * w <= tile_pixels for h, w in model.sizes)
    record = json.loads((tmp_path / "out" / "synthesis.json").read_text())
    np.testing.assert_array_equal(
        images.read_image(tmp_path / "out" / "a_9.png"),
        tissue(masks, 0, 0, 9, record["images"][0]["style"]),
    )


def test_style_from_an_image(client, masks, tmp_path):
    tile = np.random.default_rng(5).integers(0, 256, (64, 64, 3), np.uint8)
    images.write_png(tmp_path / "stain.png", tile)
    given = {"style_from": tmp_path / "stain.png"}
    code, _, err = client("generate", Model(), **given)
    assert code == 2 and "stain.png: no um/px in the file; state" in err
    assert client("generate", Model(), style_mpp=1, **given)[0] == 0
    record = json.loads((tmp_path / "out" / "synthesis.json").read_text())
    np.testing.assert_allclose(
        record["images"][0]["style"], rescale.style_of(tile, 1.0, 8.0)
    )
    # Without a card the server itself measures it.
    out = tmp_path / "two"
    code, *_ = client("generate", Model(card=None), output=out, **given)
    assert code == 0
    np.testing.assert_array_equal(
        images.read_image(out / "a_0.png"), tissue(masks, 0, 0, 0, tile[0, 0])
    )
    code, _, err = client("generate", Model(card=None), output=tmp_path / "3")
    assert code == 2 and "no training styles; state --style_from" in err


def test_bad_files_are_listed_together(client, pictures, tmp_path):
    good = (tmp_path / "in" / "a.png").read_bytes()
    (tmp_path / "in" / "cut.png").write_bytes(good[:500])
    (tmp_path / "in" / "text.png").write_text("no image")
    model = Model()
    code, _, err = client("segment", model, mpp=2)
    assert code == 2 and "cannot read 2 files: " in err
    assert "cut.png: cut short" in err and "text.png: not a PNG" in err
    assert model.sizes == [] and not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["a.svs", "a.NDPI"])
def test_slides_are_refused_unread(client, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"would be said to be no image")
    for command in ("segment", "generate"):
        code, _, err = client(command, Model(), input=path, mpp=2)
        assert code == 2 and err.count("\n") == 1
        assert err.startswith(f"error: {path}: a slide; trainer.segment reads")
        assert "here .png, .bmp, " in err


def test_masks_with_other_values_are_listed(client, masks, tmp_path):
    images.write_png(tmp_path / "in" / "b.png", masks + np.uint8(9))
    images.write_png(tmp_path / "in" / "c.png", np.zeros((4, 4, 3), np.uint8))
    raw = np.where(masks > 0, np.uint8(255), np.uint8(0))
    images.write_png(tmp_path / "in" / "d.png", raw)
    code, _, err = client("generate", Model())
    assert code == 2 and "cannot read 3 files: " in err
    assert "class ids 0..2 and 255 allowed" in err and "c.png: colours" in err
    assert "d.png: nothing but 0 and 255; class ids are wanted" in err


def test_names_of_outputs_are_the_trainers(client, masks, tmp_path):
    tifffile.imwrite(tmp_path / "in" / "b.ome.tif", masks)
    assert client("generate", Model())[0] == 0
    found = sorted(p.name for p in (tmp_path / "out").glob("*.png"))
    assert found == ["a_0.png", "b_0.png"]
    tifffile.imwrite(tmp_path / "in" / "b.tif", masks)
    code, _, err = client("generate", Model(), output=tmp_path / "again")
    assert code == 2 and "b.tif: a second file named 'b'" in err


def test_a_failure_midway_leaves_no_folder(client, pictures, tmp_path):
    model = Model(limit=3)  # no window is that small
    code, _, err = client("segment", model, mpp=2)
    assert code == 2 and "\nerror: windows of 3 pixels: with a" in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in"]


def test_wait_status_and_metadata(client):
    code, out, _ = client("wait", Model(), timeout=5)
    assert code == 0 and out.endswith(": m is available\n")
    code, out, _ = client("status", Model())
    assert json.loads(out) == [
        {"version": 4, "state": "AVAILABLE", "error": ""}
    ]
    code, out, _ = client("metadata", Model())
    found = json.loads(out)
    assert found["model_card"] == serving_fake_model.CARD
    assert found["signatures"]["about"]["inputs"]["question"]["name"]
    broken = Model().fake()
    broken.states = [[(4, "END", 5, "no saved_model.pb")]]
    code, _, err = client("wait", broken)
    assert code == 2 and "version 4: no saved_model.pb" in err


@pytest.mark.parametrize(
    ("command", "values", "message"),
    [
        ("segment", {"input": "/nowhere"}, "/nowhere: no file there ends in"),
        ("segment", {"output": ""}, "--output: segment needs it"),
        ("segment", {"mpp": "nan"}, "--mpp nan: um/px"),
        ("status", {"server": "here"}, "--server 'here': HOST:PORT"),
        ("paint", {}, "--command=paint: value should be one of <segment|gen"),
        ("status", {"ca": "/no.pem"}, "--ca /no.pem: No such file"),
        ("status", {"version": 1, "label": "a"}, "--version and --label"),
    ],
)
def test_bad_flags(client, command, values, message):
    code, _, err = client(command, Model(), **values)
    assert code == 2 and message in err and err.startswith("error: ")


def test_the_command_is_the_first_word():
    """As typed; --help needs no TensorFlow, and neither does a typing error."""
    script = (
        "import sys, runpy\n"
        "try:\n"
        "    runpy.run_module('serving.client', run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    print('code', end.code, 'tensorflow' in sys.modules)\n"
    )
    for words, code in ((["segment", "--help"], 0), (["segmnt"], 2)):
        done = subprocess.run(
            [sys.executable, "-c", script, *words],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=os.environ,
            timeout=60,
        )
        assert done.stdout.endswith(f"code {code} False\n"), done.stderr
    assert "--command=segmnt: value should be one of" in done.stderr
