"""trainer.synthesize: masks in, tissue of any seed and style out."""

import functools
import json
import shutil

import numpy as np
import pytest
from programs import run_program

from histogan_tf import canvas, rescale, run_dir
from histogan_tf.data import images
from trainer import canvas_masks, synthesize_image


@pytest.fixture
def synthesize(random_run, capsys, monkeypatch):
    return functools.partial(
        run_program,
        "trainer.synthesize",
        capsys,
        monkeypatch,
        run_dir=random_run,
    )


@pytest.fixture
def traced(random_canvas, monkeypatch):
    """Spares the program the tracing of a graph that is traced already."""
    monkeypatch.setattr(canvas, "Canvas", lambda pyramid: random_canvas)
    synthesize_image._canvas.cache_clear()
    yield
    synthesize_image._canvas.cache_clear()


@pytest.fixture
def masks(phantom_files):
    return phantom_files / "masks" / "tile_[34].png"


def record(folder):
    return json.loads((folder / "synthesis.json").read_text())


def test_images_seeds_and_stages(synthesize, masks, random_canvas, tmp_path):
    out = tmp_path / "out"
    code, text, _ = synthesize(
        masks=masks, output=out, mpp=2.5, seed=5, samples=2, stages=True
    )
    assert code == 0 and "4 images of 2 masks" in text
    names = sorted(p.name for p in out.glob("*.png"))
    assert names == [f"tile_{i}_{s}.png" for i in (3, 4) for s in (5, 6)]
    assert images.read_image(out / "tile_3_5.png").shape == (40, 48, 3)
    coarse = images.read_image(out / "stages" / "0" / "tile_4_6.png")
    assert coarse.shape == (19, 23, 3)
    entries = record(out)["images"]
    assert [entry["file"] for entry in entries] == names
    assert entries[3]["coarser_stages"] == ["stages/0/tile_4_6.png"]
    assert record(out)["mpp"] == 5.0
    check_again(entries[0], masks, random_canvas, out)


def check_again(entry, masks, random_canvas, out):
    """What the record says is enough to make the image again."""
    mask = images.read_mask_raw(str(masks).replace("[34]", "3"))
    again = random_canvas.synthesise(
        rescale.mask_to(mask, 2.5, 5.0), entry["style"], entry["seed"]
    )
    made = images.read_image(out / entry["file"])
    np.testing.assert_array_equal(again[-1], made)
    assert entry["style_name"] in {f"train_{i}" for i in range(4)}


@pytest.mark.usefixtures("traced")
def test_the_same_seed_gives_the_same_bytes(synthesize, masks, tmp_path):
    found = []
    for name, pattern in (("one", masks), ("two", str(masks)[:-8] + "*.png")):
        # With more masks beside them the same files come out.
        code, *_ = synthesize(masks=pattern, output=tmp_path / name)
        assert code == 0
        found.append((tmp_path / name / "tile_3_0.png").read_bytes())
    assert found[0] == found[1]
    image = images.read_image(tmp_path / "one" / "tile_3_0.png")
    assert image.shape == (80, 96, 3)  # --mpp left out: the run's finest


@pytest.mark.usefixtures("traced")
def test_the_style_of_an_image_is_taken(
    synthesize, masks, phantom_files, phantom_records, random_run, tmp_path
):
    from histogan_tf.data import manifest
    from histogan_tf.evaluation import tiles

    source = phantom_files / "images" / "tile_1.png"
    given = {"masks": masks, "style_from": source, "output": tmp_path / "out"}
    code, _, err = synthesize(**given)
    assert code == 2 and "tile_1.png: no um/px" in err
    assert "--style_mpp" in err
    assert synthesize(**given, style_mpp=2.5)[0] == 0
    config = run_dir.open_run(random_run).config()
    loaded = tiles.load(manifest.load(phantom_records), "test", config)
    (expected,) = (t.style for t in loaded if t.name == "tile_1")
    for entry in record(tmp_path / "out")["images"]:
        np.testing.assert_allclose(entry["style"], expected, atol=1e-5)


@pytest.mark.usefixtures("traced")
def test_class_ids_are_taken_as_they_are(synthesize, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    mask = np.array([[0, 1, 2, 255]] * 4, np.uint8)
    images.write_png(folder / "a.png", mask)
    given = {"masks": folder, "output": tmp_path / "out"}
    code, _, err = synthesize(**given)
    assert code == 2 and "mask value 255 in 4 pixels is in no class" in err
    assert synthesize(**given, class_ids=True)[0] == 0
    images.write_png(folder / "a.png", mask + np.uint8(5))
    code, _, err = synthesize(
        masks=folder, output=tmp_path / "other", class_ids=True
    )
    assert code == 2 and "a.png: value 5 in 4 pixels" in err
    images.write_png(folder / "a.png", np.zeros((4, 4, 3), np.uint8))
    code, _, err = synthesize(
        masks=folder, output=tmp_path / "other", class_ids=True
    )
    assert code == 2 and "a.png: colours" in err


def test_unreadable_masks_are_listed_together(synthesize, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.png").write_text("no image")
    code, _, err = synthesize(masks=folder, output=tmp_path / "out")
    assert code == 2 and "cannot read 2 files: " in err
    assert "a.png" in err and "b.png" in err
    assert not (tmp_path / "out").exists()


def test_a_run_without_styles_asks_for_one(
    synthesize, masks, random_run, tmp_path
):
    import shutil

    run = tmp_path / "run"
    shutil.copytree(random_run, run)
    (run / "data.json").write_text('{"hash": ""}')
    code, _, err = synthesize(masks=masks, output=tmp_path / "out", run_dir=run)
    assert code == 2 and "no training styles; state --style_from" in err


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"samples": 0}, "samples"),
        ({"seed": -1}, "seed"),
        ({"style_mpp": "nan"}, "--style_mpp nan"),
        ({"masks": "/nowhere/*.png"}, "/nowhere/*.png: no file there"),
        ({"style_from": "/nowhere.png"}, "/nowhere.png: No such file"),
    ],
)
def test_bad_flags(synthesize, masks, tmp_path, values, message):
    given = {"masks": masks, "output": tmp_path / "out"} | values
    code, _, err = synthesize(**given)
    assert code == 2 and message in err and err.startswith("error: ")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def interrupt(synthesize, monkeypatch):
    """Runs until the nth PNG is to be written."""
    whole = images.write_png

    def run(number, **given):
        calls = []

        def failing(path, image):
            calls.append(path.name)
            if len(calls) == number:
                raise KeyboardInterrupt
            whole(path, image)

        with monkeypatch.context() as patch:
            patch.setattr(images, "write_png", failing)
            code, _, err = synthesize(**given)
            assert code == 130, err

    return run


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*.png")
    }


@pytest.mark.usefixtures("traced")
# Each image is two files: in the midst of the second, and after it.
@pytest.mark.parametrize(("number", "left"), [(4, 3), (5, 2)])
def test_an_interrupted_command_goes_on(
    synthesize,
    masks,
    interrupt,
    random_canvas,
    tmp_path,
    monkeypatch,
    number,
    left,
):
    out = tmp_path / "out"
    given = {"masks": masks, "mpp": 2.5, "samples": 2, "stages": True}
    interrupt(number, output=out, **given)
    assert not out.exists()
    code, _, err = synthesize(output=out, **given | {"stages": False})
    assert code == 2 and "work of another stages: 1 there, 0 now" in err
    code, _, err = synthesize(output=out, **given, class_ids=True)
    assert code == 2 and "work of another class_ids: False there" in err
    painted, whole = [], random_canvas.synthesise
    monkeypatch.setattr(
        random_canvas,
        "synthesise",
        lambda *values: painted.append(values) or whole(*values),
    )
    code, text, _ = synthesize(output=out, **given)
    assert code == 0 and "4 images of 2 masks" in text
    assert len(painted) == left
    fresh = tmp_path / "fresh"
    assert synthesize(output=fresh, **given)[0] == 0
    assert contents(out) == contents(fresh) and len(contents(out)) == 8
    assert record(out)["images"] == record(fresh)["images"]
    assert not [path for path in tmp_path.iterdir() if path.name[0] == "."]


@pytest.mark.usefixtures("traced")
def test_of_a_mask_that_is_gone_nothing_is_published(
    synthesize, masks, interrupt, tmp_path
):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "b", "c"):
        source = str(masks).replace("[34]", "3")
        shutil.copyfile(source, folder / f"{name}.png")
    given = {"masks": folder, "output": tmp_path / "out", "stages": True}
    interrupt(5, **given)
    (folder / "a.png").unlink()
    assert synthesize(**given)[0] == 0
    made = {f"{place}{n}_0.png" for n in "bc" for place in ("", "stages/0/")}
    assert set(contents(tmp_path / "out")) == made


@pytest.mark.usefixtures("traced")
def test_a_mask_is_read_once_for_all_seeds(
    synthesize, masks, tmp_path, monkeypatch
):
    read, whole = [], canvas_masks.MaskReader.whole
    monkeypatch.setattr(
        canvas_masks.MaskReader,
        "whole",
        lambda self, path: read.append(path) or whole(self, path),
    )
    given = {"masks": str(masks).replace("[34]", "3"), "samples": 3}
    assert synthesize(**given, output=tmp_path / "out", mpp=2.5)[0] == 0
    assert len(read) == 2  # when it is checked, and to paint
