"""Masks by windows: sizes from headers, values checked, classes mapped."""

import cv2
import numpy as np
import pytest
import tifffile

from histogan_tf.data import classes, images, phantom
from histogan_tf.errors import InputError
from trainer import canvas_masks, large_images
from trainer.canvas_masks import MaskReader
from trainer.drawn_masks import DrawnMasks

TABLE = classes.load(phantom.CLASSES_FILE)
RAW = np.random.default_rng(0).integers(0, 3, (30, 40), np.uint8)


def reader(mpp=5.0):
    drawn = DrawnMasks(TABLE, None, None, None)
    return MaskReader(TABLE.map_mask, False, mpp, 5.0, drawn)


def test_headers_state_the_size(tmp_path):
    images.write_png(tmp_path / "a.png", RAW)
    cv2.imwrite(str(tmp_path / "b.bmp"), RAW)
    tifffile.imwrite(tmp_path / "c.tif", RAW)
    (tmp_path / "d.tif").write_text("no image")
    cv2.imwrite(str(tmp_path / "e.jpg"), np.kron(RAW, np.ones((4, 5), "u1")))
    (tmp_path / "f.jpg").write_bytes(b"\xff\xd8cut short")
    found = [large_images.pixels(p) for p in sorted(tmp_path.iterdir())]
    assert found == [1200, 1200, 1200, 0, 120 * 200, 0]


def test_the_masks_scale_is_stated_or_its_files_or_the_runs(tmp_path):
    plain, scaled = tmp_path / "plain.tif", tmp_path / "scaled.tif"
    tifffile.imwrite(plain, RAW)
    tifffile.imwrite(
        scaled, RAW, resolution=(1000, 1000), resolutionunit="CENTIMETER"
    )
    assert [reader(None).scale(p) for p in (plain, scaled)] == [5.0, 10.0]
    assert [reader(2.0).scale(p) for p in (plain, scaled)] == [2.0, 2.0]
    (note,) = reader(None).scale_notes([scaled, plain, plain])
    assert note.startswith(f"{plain}: no um/px in the file, nor in 1 more;")
    assert "taken as 5, the run's finest" in note
    assert reader(None).scale_notes([scaled]) == []
    assert reader(2.0).scale_notes([plain, scaled]) == [
        f"{scaled}: states 10 um/px, --mpp 2 is used"
    ]
    source = reader(None).open(scaled)
    assert (source.height, source.width) == (60, 80)
    assert reader(None).whole(scaled).shape == (60, 80)
    assert reader(None).describe(scaled) == {"mask_mpp": 10.0}


def test_large_is_what_the_run_sees(tmp_path, monkeypatch):
    monkeypatch.setattr(large_images, "LARGE", 1200)
    path = tmp_path / "a.png"
    images.write_png(path, RAW)
    assert not reader().large(path)
    assert reader(5.1).large(path) and not reader(2.5).large(path)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_windows_hold_class_ids_at_the_runs_scale(name, tmp_path):
    path = tmp_path / name
    cv2.imwrite(str(path), RAW)
    source = reader(10.0).open(path)
    assert (source.height, source.width) == (60, 80)
    ids = np.kron(TABLE.map_mask(RAW, path), np.ones((2, 2), np.uint8))
    np.testing.assert_array_equal(source.read(7, 9, 30, 41), ids[7:37, 9:50])


def test_unknown_values_are_found_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(canvas_masks, "_CHECKED", 16)
    bad = RAW.copy()
    bad[29, 39] = 77
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, bad, compression="zlib", tile=(16, 16))
    with pytest.raises(InputError, match=r"a\.tif: mask value 77 in 1 pixel"):
        reader().check(path)
    tifffile.imwrite(path, RAW)
    reader().check(path)
