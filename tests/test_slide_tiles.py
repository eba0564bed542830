"""Tiles of one slide: which are stored, and what they hold."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest
import slide_files

from histogan_tf.data import images, slide_tiles
from histogan_tf.data.class_info import ClassInfo
from histogan_tf.data.classes import ClassTable
from histogan_tf.data.pairs import ImageFiles
from histogan_tf.data.slide_settings import SlideSettings
from histogan_tf.errors import InputError

TABLE = ClassTable(
    (ClassInfo(0, "stroma", (0, 0, 0)), ClassInfo(1, "gland", (9, 9, 9)))
)
SETTINGS = SlideSettings(
    images="", annotations="", classes="", output="", tile_px=100
)


@pytest.fixture
def slide(tmp_path):
    """300 x 400 px at 4 um/px: tissue left of column 200, glass right of it.

    Annotated are rows 50 to 150 of columns 150 to 250.
    """
    image = np.full((300, 400, 3), 244, np.uint8)
    image[:, :200] = (220, 140, 180)
    image[::2, ::3] -= np.uint8(3)
    slide_files.write_pages(
        tmp_path / "a.tif", slide_files.pyramid(image, 2), 4.0
    )
    ring = [[150, 50], [250, 50], [250, 150], [150, 150], [150, 50]]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    properties = {"classification": {"name": "gland", "color": [1, 2, 3]}}
    (tmp_path / "a.geojson").write_text(
        json.dumps(
            [
                {
                    "type": "Feature",
                    "geometry": geometry,
                    "properties": properties,
                }
            ]
        )
    )
    source = ImageFiles(tmp_path / "a.tif", "patient", tmp_path / "a.geojson")
    return source, image


def opened(source, **change):
    return slide_tiles.open_tiles(
        source, TABLE, dataclasses.replace(SETTINGS, **change)
    )


def places(tiles):
    return [(box.row, box.column) for box in tiles.boxes()]


def test_tissue_and_annotations_decide(slide):
    with opened(slide[0]) as tiles:
        # Column 200 is glass, stored where it is annotated.
        assert places(tiles) == [
            (0, 0), (0, 100), (0, 200),
            (100, 0), (100, 100), (100, 200),
            (200, 0), (200, 100),
        ]  # fmt: skip
    with opened(dataclasses.replace(slide[0], mask=None)) as tiles:
        assert [c for _, c in places(tiles)] == [0, 100] * 3
    with opened(slide[0], tissue=0.0) as tiles:
        assert len(places(tiles)) == 12


def test_a_labelled_tile(slide):
    source, image = slide
    with opened(source) as tiles:
        box = tiles.boxes()[1]
        tile = tiles.read(box)
    np.testing.assert_array_equal(tile.image, image[:100, 100:200])
    wanted = np.full((100, 100), 255)
    wanted[50:, 50:] = 1
    np.testing.assert_array_equal(tile.mask, wanted)
    assert (tile.name, tile.mpp, tile.group) == ("a_y0_x100", 4.0, "patient")


def test_a_tile_without_annotation_has_no_mask(slide):
    with opened(slide[0]) as tiles:
        assert tiles.read(tiles.boxes()[0]).mask is None


def test_tiles_of_a_coarser_scale(slide):
    source, image = slide
    with opened(source, tile_mpp=8.0, tile_px=64) as tiles:
        boxes = tiles.boxes()
        assert [(b.height, b.width) for b in boxes[:1]] == [(75, 66)]
        tile = tiles.read(boxes[1])
    halves = slide_files.halved(image)
    np.testing.assert_array_equal(tile.image, halves[:75, 66:133])
    rows, columns = np.mgrid[:75, 66:133]
    inside = (rows >= 25) & (columns >= 75) & (columns < 125)
    np.testing.assert_array_equal(tile.mask, np.where(inside, 1, 255))
    assert tile.mpp == 8.0


@pytest.mark.parametrize("wanted", [3.89, 3.96, 4.03, 4.11])
def test_nearly_equal_scales_are_not_resampled(slide, wanted):
    with opened(slide[0], tile_mpp=wanted) as tiles:
        assert tiles.mpp == 4.0


def test_a_slide_coarser_than_the_tiles(slide):
    for wanted in (2.0, 3.88):
        message = rf"a\.tif: 4 um/px is coarser than --tile_mpp {wanted:g}"
        with pytest.raises(InputError, match=message):
            opened(slide[0], tile_mpp=wanted)


def test_a_slide_without_scale(tmp_path):
    images.write_png(tmp_path / "b.png", np.zeros((40, 40, 3), np.uint8))
    source = ImageFiles(pathlib.Path(tmp_path / "b.png"), "")
    with pytest.raises(InputError, match=r"b\.png: no um/px .* --mpp"):
        opened(source)
    with opened(source, mpp=2.0) as tiles:
        assert tiles.mpp == 2.0
