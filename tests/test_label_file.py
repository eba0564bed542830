"""Label TIFFs by windows: the pixels that tifffile gives of the whole."""

import numpy as np
import pytest
import tifffile

from histogan_tf.data import label_file
from histogan_tf.data.images import UnreadableError
from histogan_tf.errors import InputError

VALUES = np.random.default_rng(0).integers(0, 9, (75, 91), np.uint8)
KINDS = {
    "memory-mapped": {},
    "strips": {"compression": "zlib", "rowsperstrip": 16},
    "tiles": {"compression": "lzw", "tile": (32, 16)},
    "predictor": {"compression": "zlib", "predictor": True, "tile": (16, 64)},
    "bigtiff": {"compression": "zlib", "tile": (32, 32), "bigtiff": True},
}


@pytest.mark.parametrize("kind", KINDS)
def test_windows_of_every_layout(kind, tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, VALUES, photometric="minisblack", **KINDS[kind])
    source = label_file.source(path)
    assert (source.height, source.width) == (75, 91)
    for row, column, height, width in [
        (0, 0, 75, 91),
        (31, 15, 2, 2),
        (17, 40, 58, 51),
        (74, 90, 1, 1),
    ]:
        found = source.read(row, column, height, width)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(
            found, VALUES[row : row + height, column : column + width]
        )


def test_wide_values_and_empty_tiles(tmp_path):
    path = tmp_path / "a.tif"
    wide = np.zeros((64, 64), np.uint16)
    wide[40:, 3] = 65535
    tifffile.imwrite(path, wide, tile=(32, 32), compression="zlib")
    found = label_file.source(path).read(30, 0, 34, 20)
    np.testing.assert_array_equal(found, wide[30:, :20])


def test_what_is_no_label_file(tmp_path):
    path = tmp_path / "a.tif"
    with pytest.raises(InputError, match="No such file"):
        label_file.source(path)
    path.write_text("no image")
    with pytest.raises(UnreadableError, match="not a TIFF"):
        label_file.source(path)
    tifffile.imwrite(path, np.zeros((8, 8), np.float32))
    with pytest.raises(InputError, match="float32; integers needed"):
        label_file.source(path)
    tifffile.imwrite(path, np.zeros((8, 8, 3), np.uint8), photometric="rgb")
    with pytest.raises(InputError, match="one value a pixel is needed"):
        label_file.source(path)


def test_a_damaged_tile_is_an_error_when_it_is_read(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, VALUES, tile=(32, 32), compression="zlib")
    with tifffile.TiffFile(path) as tif:
        place = tif.pages.first.dataoffsets[0]
    data = bytearray(path.read_bytes())
    data[place : place + 20] = bytes(20)
    path.write_bytes(data)
    source = label_file.source(path)
    source.read(40, 40, 8, 8)
    with pytest.raises(UnreadableError, match=r"a\.tif"):
        source.read(0, 0, 8, 8)
