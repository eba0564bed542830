"""Deep Zoom tiles: every level whole, one reading, the layout of browsers."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from histogan_tf.data import deep_zoom, images, png
from histogan_tf.data.deep_zoom import DeepZoom, TileKind

EXACT = TileKind("png", png.encode, deep_zoom.jpeg(90).halve)


def source(pixels, reads=None):
    def read(row, column, height, width):
        if reads is not None:
            reads.append((row, column, height, width))
        return pixels[row : row + height, column : column + width]

    return read


def joined(folder, zoom, level, name="a"):
    rows, columns = zoom.grid(level)
    parts = [
        [
            images.read_image(
                folder / f"{name}_files/{level}/{x}_{y}.{zoom.kind.ending}"
            )
            for x in range(columns)
        ]
        for y in range(rows)
    ]
    return np.concatenate([np.concatenate(row, 1) for row in parts])


@pytest.mark.parametrize(
    "size", [(1, 1), (16, 16), (17, 40), (33, 65), (5, 100)]
)
def test_levels_are_the_whole_image(size, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    reads, steps = [], []
    zoom = DeepZoom(*size, source(pixels, reads), EXACT, tile=16)
    zoom.write(tmp_path, "a", lambda *values: steps.append(values))
    np.testing.assert_array_equal(joined(tmp_path, zoom, zoom.last), pixels)
    assert zoom.size(0) == (1, 1) and zoom.size(zoom.last) == size
    wanted = pixels
    for level in range(zoom.last - 1, -1, -1):
        odd = [(0, n % 2) for n in wanted.shape[:2]]
        wanted = EXACT.halve(np.pad(wanted, [*odd, (0, 0)], mode="edge"))
        assert wanted.shape[:2] == zoom.size(level)
        np.testing.assert_array_equal(joined(tmp_path, zoom, level), wanted)
    rows, columns = zoom.grid(zoom.last)
    assert len(reads) == len(set(reads)) == rows * columns
    assert steps[-1] == (rows * columns, rows * columns)


def test_the_description(tmp_path):
    zoom = DeepZoom(30, 50, source(np.zeros((30, 50, 3), np.uint8)), EXACT, 16)
    zoom.write(tmp_path, "a")
    image = ET.parse(tmp_path / "a.dzi").getroot()
    assert image.attrib == {"Format": "png", "Overlap": "0", "TileSize": "16"}
    assert image[0].attrib == {"Width": "50", "Height": "30"}


def test_classes_keep_their_colours_and_255_is_clear(tmp_path):
    colors = np.array([[10, 20, 30, 255], [40, 50, 60, 0]], np.uint8)
    ids = np.array([[0, 1], [255, 0]], np.uint8)
    DeepZoom(2, 2, source(ids), deep_zoom.classes(colors)).write(tmp_path, "a")
    data = (tmp_path / "a_files" / "1" / "0_0.png").read_bytes()
    found = png.decode(data)
    assert found[0, 0].tolist() == [10, 20, 30, 255]
    assert found[0, 1, 3] == 0 and found[1, 0, 3] == 0
    np.testing.assert_array_equal(png.decode_indices(data), [[0, 1], [2, 0]])


def test_jpeg_is_near(tmp_path):
    rows, columns = np.mgrid[:40, :60]
    pixels = np.stack([4 * rows, 3 * columns, rows + columns], -1).astype("u1")
    zoom = DeepZoom(40, 60, source(pixels), deep_zoom.jpeg(95), 32)
    zoom.write(tmp_path, "a")
    found = joined(tmp_path, zoom, zoom.last).astype(int)
    assert np.abs(found - pixels).max() < 12


def test_few_tiles_are_held_whatever_the_size(tmp_path):
    """Reading goes in quarters, so no level waits for a whole row."""
    alive, most = [0], [0]

    class Counted(np.ndarray):
        def __array_finalize__(self, _):
            alive[0] += 1
            most[0] = max(most[0], alive[0])

        def __del__(self):
            alive[0] -= 1

    def read(_row, _column, height, width):
        return np.zeros((height, width, 3), np.uint8).view(Counted)

    zoom = DeepZoom(16 * 32, 16 * 32, read, EXACT, 16)
    zoom.write(tmp_path, "a")
    # Four of the level below, and what numpy makes on the way.
    assert most[0] < 8 * (zoom.last + 1)
