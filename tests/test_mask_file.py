"""Masks of a slide, read by window at any um/px."""

import numpy as np
import pytest
import tifffile

from histogan_tf import overlays
from histogan_tf.data import images, mask_file, slides
from histogan_tf.data.class_info import ClassInfo
from histogan_tf.data.classes import ClassTable
from histogan_tf.errors import InputError, UnreadableError

TABLE = ClassTable(
    (
        ClassInfo(0, "stroma", (0, 0, 0), values=((0, 0),)),
        ClassInfo(1, "gland", (9, 9, 9), values=((1, 9),)),
    ),
    ignore=(99,),
)
RAW = np.random.default_rng(0).choice(
    np.array([0, 1, 5, 9, 99], np.uint8), (60, 90)
)
IDS = np.where(RAW == 99, 255, RAW > 0)


@pytest.fixture
def slide(tmp_path):
    images.write_png(tmp_path / "slide.png", np.zeros((60, 90, 3), np.uint8))
    with slides.open_slide(tmp_path / "slide.png", 0.5) as opened:
        yield opened


def png(path):
    images.write_png(path, RAW)


def tiled(path):
    tifffile.imwrite(path, RAW.astype(np.uint16), tile=(16, 32))


def strips(path):
    tifffile.imwrite(path, RAW, rowsperstrip=7, compression="zlib")


@pytest.mark.parametrize("write", [png, tiled, strips])
def test_the_mask_at_its_own_scale(tmp_path, slide, write):
    write(tmp_path / "mask")
    mask = mask_file.open_mask(tmp_path / "mask", TABLE, slide)
    found = mask.read(-2, -3, 65, 99, 0.5)
    np.testing.assert_array_equal(found[2:62, 3:93], IDS)
    found[2:62, 3:93] = 255
    assert (found == 255).all()
    assert (mask.read(900, 0, 2, 2, 0.5) == 255).all()
    mask.close()


@pytest.mark.parametrize(("mpp", "step"), [(1.5, 3.0), (0.25, 0.5), (0.8, 1.6)])
def test_the_pixel_at_the_centre_decides(tmp_path, slide, mpp, step):
    tiled(tmp_path / "mask")
    mask = mask_file.open_mask(tmp_path / "mask", TABLE, slide)
    found = mask.read(1, 2, 10, 12, mpp)
    rows = [int((i + 0.5) * step) for i in range(1, 11)]
    columns = [int((j + 0.5) * step) for j in range(2, 14)]
    np.testing.assert_array_equal(found, IDS[np.ix_(rows, columns)])
    part = mask.read(4, 5, 3, 4, mpp)
    np.testing.assert_array_equal(part, found[3:6, 3:7])


def test_a_mask_of_a_coarser_level(tmp_path, slide):
    images.write_png(tmp_path / "mask.png", RAW[:15, :23])
    mask = mask_file.open_mask(tmp_path / "mask.png", TABLE, slide)
    found = mask.read(0, 0, 15, 22, 2.0)
    np.testing.assert_array_equal(found, IDS[:15, :22])


@pytest.mark.parametrize("columns", [92, 93])
def test_no_drift_where_a_whole_reduction_was_rounded(tmp_path, columns):
    # 2967 px at 1/32 are 92.7: either way the edge at pixel 88 is at 2816.
    path = tmp_path / "slide.png"
    images.write_png(path, np.zeros((64, 2967, 3), np.uint8))
    raw = np.zeros((2, columns), np.uint8)
    raw[:, 88:] = 1
    images.write_png(tmp_path / "mask.png", raw)
    with slides.open_slide(path, 0.5) as slide:
        mask = mask_file.open_mask(tmp_path / "mask.png", TABLE, slide)
        found = mask.read(0, 2810, 1, 12, 0.5)
    np.testing.assert_array_equal(found, [[0] * 6 + [1] * 6])


def test_colours(tmp_path, slide):
    table = ClassTable(
        (
            ClassInfo(0, "stroma", (0, 0, 0), colors=((255, 0, 0),)),
            ClassInfo(1, "gland", (9, 9, 9), colors=((0, 0, 255),)),
        )
    )
    palette = np.zeros((3, 256), np.uint16)
    palette[:, 7], palette[:, 8] = (65280, 0, 0), (0, 0, 65280)
    ids = (RAW > 4).astype(np.uint8)
    tifffile.imwrite(
        tmp_path / "mask.tif",
        ids + np.uint8(7),
        photometric="palette",
        colormap=palette,
        tile=(16, 16),
    )
    mask = mask_file.open_mask(tmp_path / "mask.tif", table, slide)
    np.testing.assert_array_equal(mask.read(0, 0, 60, 90, 0.5), ids)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((59, 90), None),
        ((60, 45), "45 x 60 px; its slide"),
        ((120, 180), "180 x 120 px; its slide"),
        ((20, 20), "20 x 20 px; its slide"),
    ],
)
def test_extents(tmp_path, slide, shape, said):
    images.write_png(tmp_path / "mask.png", np.zeros(shape, np.uint8))
    if said is None:
        # A row lost to rounding is no other extent.
        mask_file.open_mask(tmp_path / "mask.png", TABLE, slide)
        return
    with pytest.raises(InputError, match=said) as caught:
        mask_file.open_mask(tmp_path / "mask.png", TABLE, slide)
    assert "slide.png has 90 x 60" in str(caught.value)
    assert "cover the whole, not QuPath's crop" in str(caught.value)


def test_extents_in_um(tmp_path, slide):
    path = tmp_path / "mask.tif"
    um = {"resolution": (10000, 10000), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, RAW[:40, :60], **um)
    with pytest.raises(InputError, match=r"60 um wide .* is 45 um wide"):
        mask_file.open_mask(path, TABLE, slide)
    # A pixel of the slide's each: what the mask states is a mistake.
    tifffile.imwrite(path, RAW, **um)
    mask = mask_file.open_mask(path, TABLE, slide)
    assert mask.mpp == (0.5, 0.5)
    np.testing.assert_array_equal(mask.read(0, 0, 60, 90, 0.5), IDS)
    found = overlays.open_overlay(path, TABLE, slide, 0.5)
    assert found.mpp == 0.5 and found.source.width == 90
    found.close()
    mask.close()


@pytest.mark.parametrize("mask", [(4006, 4004), (4004, 4006), (3996, 4005)])
def test_a_finer_mask_of_a_canvas_that_was_rounded(tmp_path, mask):
    """A mask at 0.5 um/px, painted at 5, laid over the canvas."""
    height, width = (round(n / 10) for n in mask)
    canvas = np.zeros((height, width, 3), np.uint8)
    images.write_png(tmp_path / "canvas.png", canvas)
    images.write_png(tmp_path / "mask.png", np.full(mask, 9, np.uint8))
    with slides.open_slide(tmp_path / "canvas.png", 5.0) as slide:
        found = overlays.open_overlay(tmp_path / "mask.png", TABLE, slide, 5.0)
        assert found.mpp == pytest.approx(0.5, rel=0.002)
        found.close()
        wrong = np.full((mask[0] - 60, mask[1]), 9, np.uint8)
        images.write_png(tmp_path / "mask.png", wrong)
        with pytest.raises(InputError, match="cover the same area"):
            overlays.open_overlay(tmp_path / "mask.png", TABLE, slide, 5.0)


def test_values_in_no_class(tmp_path, slide):
    images.write_png(tmp_path / "mask.png", RAW + np.uint8(3))
    mask = mask_file.open_mask(tmp_path / "mask.png", TABLE, slide)
    with pytest.raises(InputError, match=r"mask\.png: mask value"):
        mask.read(0, 0, 60, 90, 0.5)


def test_floats_and_broken_files(tmp_path, slide):
    tifffile.imwrite(tmp_path / "f.tif", RAW.astype(np.float32))
    mask = mask_file.open_mask(tmp_path / "f.tif", TABLE, slide)
    with pytest.raises(InputError, match=r"f\.tif: samples are float32"):
        mask.read(0, 0, 1, 1, 0.5)
    (tmp_path / "b.png").write_bytes(b"nothing")
    with pytest.raises(UnreadableError, match=r"b\.png: not a"):
        mask_file.open_mask(tmp_path / "b.png", TABLE, slide)
