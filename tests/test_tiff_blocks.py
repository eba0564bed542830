"""Blocks of TIFFs are the file's own tiles and strips."""

import concurrent.futures
import time

import numpy as np
import pytest
import slide_files
import tifffile

from histogan_tf.data import images, tiff_blocks
from histogan_tf.data.blocks import Level
from histogan_tf.errors import InputError, UnreadableError

MASK = np.arange(50 * 70, dtype=np.uint16).reshape(50, 70)


def test_tiles(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", MASK, tile=(16, 32))
    backend = tiff_blocks.open_stored(tmp_path / "a.tif", False)
    assert backend.levels == (Level(50, 70, 16, 32),)
    block = backend.read_block(0, 3, 2)
    # Two rows and six columns of the last tile lie inside.
    np.testing.assert_array_equal(block[:2, :6], MASK[48:, 64:])
    backend.close()


def test_strips(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", MASK, rowsperstrip=8)
    backend = tiff_blocks.open_stored(tmp_path / "a.tif", False)
    assert backend.levels == (Level(50, 70, 8, 70),)
    np.testing.assert_array_equal(backend.read_block(0, 2, 0), MASK[16:24])
    np.testing.assert_array_equal(backend.read_block(0, 6, 0)[:2], MASK[48:])
    backend.close()


def test_a_palette_as_indices_and_as_colours(tmp_path):
    palette = np.zeros((3, 256), np.uint16)
    palette[:, 3] = (256, 512, 65280)
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.full((16, 16), 3, np.uint8),
        photometric="palette",
        colormap=palette,
    )
    for colors, wanted in ((False, 3), (True, [1, 2, 255])):
        backend = tiff_blocks.open_stored(tmp_path / "a.tif", colors)
        assert (backend.read_block(0, 0, 0) == wanted).all()
        backend.close()


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_grey_in_a_table_of_colours_is_what_is_seen(tmp_path, photometric):
    """The same by windows as in one piece."""
    bits = np.arange(32 * 32).reshape(32, 32) % 3 == 0
    for stored in (bits, bits.astype(np.uint8)):
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, stored, photometric=photometric, tile=(32, 32))
        backend = tiff_blocks.open_stored(path, True)
        whole = images.read_mask_raw(path, True)
        np.testing.assert_array_equal(backend.read_block(0, 0, 0), whole)
        backend.close()
    # Of the last, one is all but black, or all but white.
    assert whole.max() == (1 if photometric == "minisblack" else 255)


def test_a_mask_in_jpeg_is_refused(tmp_path):
    grey = np.full((64, 64), 7, np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", grey, tile=(32, 32), compression=7)
    tiff_blocks.open_rgb(tmp_path / "a.tif", 0.5).close()
    with pytest.raises(UnreadableError, match="JPEG compression smears"):
        tiff_blocks.open_stored(tmp_path / "a.tif", False)


def test_channels_as_pages_with_a_pyramid(tmp_path):
    levels = slide_files.pyramid(slide_files.painted(90, 70), 3)
    common = {"photometric": "minisblack", "tile": (32, 32)}
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as writer:
        for number, level in enumerate(levels):
            more = {"subifds": 2, "metadata": {"axes": "CYX"}}
            writer.write(
                np.moveaxis(level, 2, 0),
                compression="jpeg2000" if number == 1 else "zlib",
                **common,
                **(more if number == 0 else {"subfiletype": 1}),
            )
    backend = tiff_blocks.open_rgb(tmp_path / "a.ome.tif", 1.0)
    sizes = [(level.height, level.width) for level in backend.levels]
    assert sizes == [(90, 70), (45, 35), (23, 18)]
    for number, level in enumerate(levels):
        block = backend.read_block(number, 0, 0)
        tall, wide = (min(32, n) for n in level.shape[:2])
        np.testing.assert_array_equal(block[:tall, :wide], level[:tall, :wide])
    backend.close()


def shown(path):
    """The only block of a file, as colours."""
    backend = tiff_blocks.open_rgb(path, 1.0)
    block = backend.read_block(0, 0, 0)
    backend.close()
    return block


def test_16_bits_and_inverted_grey_as_colours(tmp_path):
    grey = np.arange(250, dtype=np.uint8).reshape(10, 25)
    wanted = np.repeat(grey[..., None], 3, axis=2)
    deep = wanted.astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "16.tif", deep, photometric="rgb")
    np.testing.assert_array_equal(shown(tmp_path / "16.tif"), wanted)
    tifffile.imwrite(tmp_path / "w.tif", 255 - grey, photometric="miniswhite")
    np.testing.assert_array_equal(shown(tmp_path / "w.tif"), wanted)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        # 100 at alpha 51 (a fifth): 20 of its own and 204 of white.
        ("unassalpha", [224, 212, 204]),
        # 50 and 51 of 51 are what they weigh; 40 + 204.
        ("assocalpha", [254, 244, 204]),
        ("unspecified", [100, 40, 0]),
    ],
)
def test_alpha_is_laid_on_white(tmp_path, kind, planar, wanted):
    pixels = np.full((4, 6, 4), (100, 40, 0, 51), np.uint8)
    if kind == "assocalpha":
        pixels[..., 0] = 50
    pixels = np.moveaxis(pixels, 2, 0) if planar == "separate" else pixels
    tifffile.imwrite(
        tmp_path / "a.tif",
        pixels,
        photometric="rgb",
        planarconfig=planar,
        extrasamples=[kind],
    )
    assert (shown(tmp_path / "a.tif") == wanted).all()
    assert (images.read_image(tmp_path / "a.tif") == wanted).all()


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((9, 8, 4), {"photometric": "separated"}, "CMYK .*SEPARATED"),
        ((4, 9, 8), {"photometric": "minisblack"}, "4 greyscale channels"),
        (
            (4, 9, 8),
            {"photometric": "minisblack", "planarconfig": "separate"},
            "4 greyscale channels",
        ),
    ],
)
def test_channels_that_are_no_colours(tmp_path, shape, options, message):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros(shape, np.uint8), **options)
    for read in (images.read_image, lambda p: tiff_blocks.open_rgb(p, 1.0)):
        with pytest.raises(UnreadableError, match=rf"a\.tif: {message}"):
            read(path)


def test_bits_are_masks_of_0_and_1(tmp_path):
    bits = MASK % 3 == 0
    tifffile.imwrite(tmp_path / "a.tif", bits)
    backend = tiff_blocks.open_stored(tmp_path / "a.tif", False)
    np.testing.assert_array_equal(backend.read_block(0, 0, 0), bits)
    backend.close()


def test_a_scale_is_what_the_file_states(tmp_path):
    def write(across, down):
        tifffile.imwrite(
            tmp_path / "a.tif",
            np.zeros((9, 9), np.uint8),
            resolution=(across, down),
            resolutionunit="CENTIMETER",
        )

    write(20000, 20000)
    for given in (None, 0.3):
        backend = tiff_blocks.open_rgb(tmp_path / "a.tif", given)
        assert backend.mpp == pytest.approx(0.5)
        backend.close()
    write(20000, 10000)
    with pytest.raises(InputError, match="square pixels are needed"):
        tiff_blocks.open_rgb(tmp_path / "a.tif", None)
    backend = tiff_blocks.open_rgb(tmp_path / "a.tif", 0.3)
    assert backend.mpp is None
    backend.close()


def test_threads_leave_each_other_their_place(tmp_path, monkeypatch):
    seek = tifffile.FileHandle.seek

    def slowly(self, *place):
        found = seek(self, *place)
        time.sleep(0.003)
        return found

    tifffile.imwrite(tmp_path / "a.tif", MASK, tile=(16, 16))
    backend = tiff_blocks.open_stored(tmp_path / "a.tif", False)
    monkeypatch.setattr(tifffile.FileHandle, "seek", slowly)
    places = [(0, i, j) for i in range(4) for j in range(5)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        blocks = list(
            pool.map(lambda place: backend.read_block(*place), places)
        )
    backend.close()
    for (_, i, j), block in zip(places, blocks, strict=True):
        wanted = MASK[16 * i : 16 * i + 16, 16 * j : 16 * j + 16]
        found = block[: wanted.shape[0], : wanted.shape[1]]
        np.testing.assert_array_equal(found, wanted)


def test_bad_files(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"II*\0\x08\0\0\0\0\0\0\0\0\0")
    with pytest.raises(UnreadableError, match=r"a\.tif: cut short"):
        tiff_blocks.open_rgb(tmp_path / "a.tif", 1.0)
    (tmp_path / "b.tif").write_bytes(b"II*\0\0\0\0\0")
    with pytest.raises(UnreadableError, match=r"b\.tif: "):
        tiff_blocks.open_rgb(tmp_path / "b.tif", 1.0)
    tifffile.imwrite(tmp_path / "f.tif", MASK.astype(np.float32))
    backend = tiff_blocks.open_rgb(tmp_path / "f.tif", 1.0)
    with pytest.raises(InputError, match=r"f\.tif: samples are float32"):
        backend.read_block(0, 0, 0)
    backend.close()


def test_is_tiff(tmp_path):
    tifffile.imwrite(tmp_path / "b.dat", MASK, bigtiff=True)
    (tmp_path / "c.tif").write_bytes(b"\x89PNG")
    assert tiff_blocks.is_tiff(tmp_path / "b.dat")
    assert not tiff_blocks.is_tiff(tmp_path / "c.tif")
