"""The ingest program: slides, and flags that do not go together."""

import json

import numpy as np
import pytest
import slide_files
from programs import run_program

from histogan_tf.data import images, manifest


@pytest.fixture
def folder(tmp_path):
    table = [{"id": 0, "name": "gland", "color": [1, 2, 3]}]
    (tmp_path / "classes.json").write_text(json.dumps({"classes": table}))
    slide_files.write_pages(
        tmp_path / "a.tif", [slide_files.painted(70, 90)], 4.0
    )
    ring = [[-5, 10], [40, 10], [40, 30], [-5, 30], [-5, 10]]
    properties = {"classification": {"name": "gland", "color": [1, 2, 3]}}
    (tmp_path / "a.geojson").write_text(
        json.dumps(
            [
                {
                    "type": "Feature",
                    "geometry": {"type": "Polygon", "coordinates": [ring]},
                    "properties": properties,
                }
            ]
        )
    )
    return tmp_path


def run(folder, capsys, monkeypatch, **more):
    values = {
        "images": folder / "a.tif",
        "annotations": folder / "a.geojson",
        "classes": folder / "classes.json",
        "output": folder / "out",
        "validation": 0,
        "tile_px": 32,
        "tissue": 0,
    }
    values = {k: v for k, v in (values | more).items() if v is not None}
    return run_program("trainer.ingest", capsys, monkeypatch, **values)


def test_slides(folder, capsys, monkeypatch):
    code, out, err = run(folder, capsys, monkeypatch)
    assert code == 0, err
    assert "train: 1 labelled, 3 unlabelled images" in out
    assert "gland 100.0 %" in out
    assert "a.geojson: 1 cut at the slide's border" in out
    made = manifest.load(folder / "out")
    assert made.class_pixels("train") == (40 * 20,)
    assert "--tile_px=32" in made.command
    sizes = {(i.height, i.width) for i in made.split("train").labelled.images}
    assert sizes == {(35, 45)}


def test_another_scale_than_the_files_is_noted(folder, capsys, monkeypatch):
    line = "a.tif: states 4 um/px, --mpp 3 is used\n"
    _, out, _ = run(folder, capsys, monkeypatch, mpp=3)
    assert out.count(line) == 1
    images.write_png(folder / "a.png", np.zeros((70, 90), np.uint8))
    plain = {"masks": folder / "a.png", "annotations": None}
    plain |= {"tile_px": None, "tissue": None, "output": folder / "two"}
    code, out, err = run(folder, capsys, monkeypatch, mpp=3, **plain)
    assert code == 0, err
    assert out.count(line) == 1 and "no training pixel" not in out
    plain["output"] = folder / "three"
    # 2 % are within what objectives are true to.
    _, out, _ = run(folder, capsys, monkeypatch, mpp=3.93, **plain)
    assert "states" not in out


def test_a_class_without_a_training_pixel(folder, capsys, monkeypatch):
    table = [
        {"id": n, "name": name, "color": [n, n, n]}
        for n, name in enumerate(("stroma", "gland"))
    ]
    (folder / "classes.json").write_text(json.dumps({"classes": table}))
    images.write_png(folder / "a.png", np.zeros((70, 90), np.uint8))
    plain = {"masks": folder / "a.png", "annotations": None}
    plain |= {"tile_px": None, "tissue": None}
    code, out, _ = run(folder, capsys, monkeypatch, **plain)
    assert code == 0
    said = "class gland has no training pixel: it cannot be learnt\n"
    assert said in out and "class stroma has no" not in out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"masks": "m"}, "--masks (of images) or --annotations"),
        ({"annotations": None}, "--masks (of images) or --annotations"),
        ({"max_labelled": 3}, "--max_labelled: not with --annotations"),
        ({"annotations": None, "masks": "m"}, ": not with --masks"),
        ({"tile_mpp": 1.0}, "4 um/px is coarser than --tile_mpp 1"),
        ({"mpp": -1}, "--mpp -1: 0.01..100 is allowed"),
    ],
)
def test_bad_flags(folder, capsys, monkeypatch, more, message):
    code, _, err = run(folder, capsys, monkeypatch, **more)
    assert code == 2 and message in err
    assert err.startswith("error: ") and err.count("\n") == 1
    assert not (folder / "out").exists()


def test_an_unlabelled_png_needs_a_scale(folder, capsys, monkeypatch):
    images.write_png(folder / "b.png", np.zeros((40, 40, 3), np.uint8))
    code, _, err = run(folder, capsys, monkeypatch, unlabelled=folder / "b.png")
    assert code == 2 and "b.png: no um/px in the file; state it" in err
