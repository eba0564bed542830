"""trainer.synthesize by windows: the same tissue, resumable, checked first."""

import functools
import json

import numpy as np
import pytest
import tifffile
from programs import run_program

from histogan_tf import canvas, paint_canvas, window_paint
from histogan_tf.data import images
from trainer import canvas_masks


@pytest.fixture
def synthesize(random_run, capsys, monkeypatch):
    return functools.partial(
        run_program,
        "trainer.synthesize",
        capsys,
        monkeypatch,
        run_dir=random_run,
    )


@pytest.fixture(autouse=True)
def traced(random_canvas, random_painter, monkeypatch):
    """Spares the programs the tracing of graphs that are traced already."""
    monkeypatch.setattr(canvas, "Canvas", lambda pyramid: random_canvas)
    monkeypatch.setattr(
        window_paint, "WindowPainter", lambda pyramid: random_painter
    )


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "in"
    made.mkdir()
    for name in ("a", "b"):
        ids = np.random.default_rng(ord(name)).integers(0, 3, (7, 9), np.uint8)
        mask = np.kron(ids, np.ones((8, 8), np.uint8))
        tifffile.imwrite(
            made / f"{name}.tif", mask, tile=(16, 16), compression="zlib"
        )
    return made


def interrupted(monkeypatch, at):
    """Names of the canvases that are begun; Ctrl-C comes when `at` are."""
    whole, calls = paint_canvas.paint_canvas, []

    def failing(painter, source, target, *values):
        calls.append(target.name)
        if len(calls) == at:
            raise KeyboardInterrupt
        return whole(painter, source, target, *values)

    monkeypatch.setattr(paint_canvas, "paint_canvas", failing)
    return calls


def test_canvases_are_what_the_program_paints_at_once(
    synthesize, folder, tmp_path
):
    given = {"masks": folder, "class_ids": True, "seed": 7}
    code, text, err = synthesize(output=tmp_path / "c", canvas=True, **given)
    assert code == 0, err
    assert f"{tmp_path / 'c'}: 2 canvases of 2 masks" in text
    assert synthesize(output=tmp_path / "p", **given)[0] == 0
    record = json.loads((tmp_path / "c" / "synthesis.json").read_text())
    plain = json.loads((tmp_path / "p" / "synthesis.json").read_text())
    for entry, same in zip(record["images"], plain["images"], strict=True):
        assert entry["file"].replace(".ome.tif", ".png") == same["file"]
        assert entry["style"] == same["style"]
        painted = tifffile.imread(tmp_path / "c" / entry["file"]).astype(int)
        image = images.read_image(tmp_path / "p" / same["file"])
        assert painted.shape == (56, 72, 3)
        assert np.abs(painted - image).max() <= 1
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == [
        "a_7.ome.tif",
        "b_7.ome.tif",
        "synthesis.json",
    ]


def test_an_interrupted_command_goes_on(
    synthesize, folder, tmp_path, monkeypatch
):
    calls = interrupted(monkeypatch, 2)
    given = {"masks": folder, "class_ids": True, "canvas": True}
    out = tmp_path / "out"
    code, _, err = synthesize(output=out, **given)
    assert code == 130 and "interrupted" in err and not out.exists()
    code, _, err = synthesize(output=out, seed=1, **given)
    assert code == 2 and "unfinished work of another first: 0 there" in err
    assert synthesize(output=out, **given)[0] == 0
    # What was finished is not painted again.
    assert calls == ["a_0.ome.tif", "b_0.ome.tif", "b_0.ome.tif"]
    assert len(list(out.glob("*.ome.tif"))) == 2


def test_masks_that_change_meanwhile_are_painted_anew(
    synthesize, folder, tmp_path, monkeypatch
):
    calls = interrupted(monkeypatch, 3)
    given = {"masks": folder, "class_ids": True, "canvas": True}
    # Two of three are finished; then one changes, one goes, one is new.
    tifffile.imwrite(folder / "c.tif", tifffile.imread(folder / "a.tif"))
    assert synthesize(output=tmp_path / "out", **given)[0] == 130
    changed = tifffile.imread(folder / "a.tif")[::-1]
    tifffile.imwrite(folder / "a.tif", changed)
    (folder / "c.tif").rename(folder / "d.tif")
    del calls[:]
    calls.append("")
    assert synthesize(output=tmp_path / "out", **given)[0] == 130
    assert calls == ["", "a_0.ome.tif", "d_0.ome.tif"]
    assert synthesize(output=tmp_path / "out", **given)[0] == 0
    assert calls[3:] == ["d_0.ome.tif"]
    fresh = tmp_path / "fresh"
    assert synthesize(output=fresh, **given)[0] == 0
    names = {f"{name}_0.ome.tif" for name in "abd"} | {"synthesis.json"}
    for place in (tmp_path / "out", fresh):
        assert {path.name for path in place.iterdir()} == names
    for name in names - {"synthesis.json"}:
        one, two = (p / name for p in (tmp_path / "out", fresh))
        assert one.read_bytes() == two.read_bytes()


def test_large_masks_become_canvases_by_themselves(
    synthesize, folder, tmp_path, monkeypatch
):
    from trainer import large_images

    monkeypatch.setattr(large_images, "LARGE", 56 * 72 - 1)
    given = {"masks": folder / "a.tif", "class_ids": True}
    _, text, _ = synthesize(output=tmp_path / "a", **given)
    assert "1 canvases of 1 masks" in text
    _, text, _ = synthesize(output=tmp_path / "b", canvas=False, **given)
    assert "1 images of 1 masks" in text


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"window": 700}, "--window 700: a multiple of 512"),
        ({"stages": True}, "--stages: canvases have"),
        ({"masks": "/nowhere"}, "/nowhere: no file there ends in"),
        ({"jpeg_quality": 101}, "jpeg_quality=101"),
    ],
)
def test_bad_flags(synthesize, folder, tmp_path, values, message):
    given = {"masks": folder, "output": tmp_path / "out", "canvas": True}
    code, _, err = synthesize(**(given | {"class_ids": True} | values))
    assert code == 2 and message in err and err.startswith("error: ")
    assert not (tmp_path / "out").exists()


def test_masks_are_checked_before_any_is_painted(synthesize, folder, tmp_path):
    mask = tifffile.imread(folder / "b.tif")
    mask[5, 5] = 9
    tifffile.imwrite(folder / "b.tif", mask)
    code, _, err = synthesize(
        masks=folder, output=tmp_path / "out", canvas=True, class_ids=True
    )
    assert code == 2 and "b.tif: value 9 in 1 pixels" in err
    assert not list(tmp_path.glob(".out*"))


def test_a_mask_is_opened_once_for_all_seeds(
    synthesize, folder, tmp_path, monkeypatch
):
    opened, whole = [], canvas_masks.MaskReader.open
    monkeypatch.setattr(
        canvas_masks.MaskReader,
        "open",
        lambda self, path: opened.append(path.name) or whole(self, path),
    )
    given = {"masks": folder, "class_ids": True, "canvas": True, "samples": 3}
    code, _, err = synthesize(output=tmp_path / "out", **given)
    assert code == 0, err
    assert opened == ["a.tif", "b.tif"]
