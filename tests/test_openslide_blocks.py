"""Openslide's blocks: whole tiles, levels, transparency, scale."""

import numpy as np
import pytest
import slide_files
from PIL import Image

from histogan_tf.data import openslide_blocks, slides
from histogan_tf.data.blocks import Level
from histogan_tf.errors import InputError


@pytest.fixture
def pages(tmp_path):
    """A generic TIFF, which openslide can read too: 149 x 203 px, 3 levels.

    Its downsamples, 1.99 and 3.9, are no whole numbers.
    """
    levels = slide_files.pyramid(slide_files.painted(149, 203), 3)
    slide_files.write_pages(tmp_path / "a.tif", levels, 0.5)
    return tmp_path / "a.tif", levels


def test_generic_tiffs_are_left_to_tifffile(pages, real_data):
    assert openslide_blocks.vendor(pages[0]) is None
    real = real_data / "slides/CMU-1-Small-Region.svs"
    assert openslide_blocks.vendor(real) == "aperio"
    assert openslide_blocks.vendor(real_data / "slides/broken.svs") is None


def test_blocks_are_whole_tiles(real_data):
    backend = openslide_blocks.open_rgb(
        real_data / "slides/CMU-1-Small-Region.svs", None
    )
    # Its tiles are 240 x 240.
    assert backend.levels == (Level(2967, 2220, 480, 480),)
    assert backend.mpp == 0.499
    assert backend.read_block(0, 0, 0).shape == (480, 480, 3)
    assert backend.read_block(0, 6, 4).shape == (2967 - 2880, 300, 3)
    backend.close()


def test_levels_are_the_files(pages):
    path, levels = pages
    backend = openslide_blocks.open_rgb(path, 1.0)
    for number, level in enumerate(levels):
        found = backend.read_block(number, 0, 0)[: level.shape[0]]
        np.testing.assert_array_equal(found[:, : level.shape[1]], level)
    backend.close()


@pytest.mark.parametrize("mpp", [0.5, 1.0, 1.7, 2.0])
def test_reads_tile_seamlessly(pages, mpp):
    backend = openslide_blocks.open_rgb(pages[0], 0.5)
    with slides.Slide(pages[0], backend, 0.5) as slide:
        height, width = slide.size_at(mpp)
        whole = slide.read_region(0, 0, height, width, mpp)
        for top in range(0, height, 31):
            part = slide.read_region(top, 5, 31, width - 5, mpp)
            tall = min(31, height - top)
            np.testing.assert_array_equal(
                part[:tall], whole[top : top + tall, 5:]
            )


class Double:
    """A slide of one level, half of it not scanned."""

    level_count, level_dimensions, level_downsamples = 1, ((4, 2),), (1.0,)
    properties = {  # noqa: RUF012
        "openslide.mpp-x": "0.25",
        "openslide.mpp-y": "0.5",
    }

    def __init__(self, path):
        self.path = path

    def read_region(self, corner, level, size):
        pixels = np.zeros((*size[::-1], 4), np.uint8)
        pixels[:, :2] = (100, 0, 200, 255)
        pixels[:, 3] = (100, 0, 200, 51)
        return Image.fromarray(pixels, "RGBA")

    def close(self):
        pass


def test_what_was_not_scanned_is_white(monkeypatch):
    monkeypatch.setattr(openslide_blocks.openslide, "OpenSlide", Double)
    backend = openslide_blocks.open_rgb("a.mrxs", 0.25)
    found = backend.read_block(0, 0, 0)[0]
    # A fifth of the colour, four fifths of white.
    wanted = [[100, 0, 200]] * 2 + [[255] * 3, [224, 204, 244]]
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("stated", [None, "nan", "0"])
def test_no_scale(monkeypatch, stated):
    properties = {"openslide.mpp-x": stated, "openslide.mpp-y": "0.5"}
    monkeypatch.setattr(Double, "properties", properties)
    monkeypatch.setattr(openslide_blocks.openslide, "OpenSlide", Double)
    assert openslide_blocks.open_rgb("a.mrxs", None).mpp is None


def test_the_origin_is_where_the_scan_begins(monkeypatch):
    bounds = {"openslide.bounds-x": "700", "openslide.bounds-y": "30"}
    monkeypatch.setattr(Double, "properties", bounds)
    monkeypatch.setattr(openslide_blocks.openslide, "OpenSlide", Double)
    assert openslide_blocks.open_rgb("a.mrxs", 1.0).origin == (30, 700)
    monkeypatch.setattr(Double, "properties", {})
    assert openslide_blocks.open_rgb("a.mrxs", 1.0).origin == (0, 0)


def test_pixels_that_are_not_square(monkeypatch):
    monkeypatch.setattr(openslide_blocks.openslide, "OpenSlide", Double)
    with pytest.raises(InputError, match=r"a\.mrxs: 0\.25 um/px across but"):
        openslide_blocks.open_rgb("a.mrxs", None)
