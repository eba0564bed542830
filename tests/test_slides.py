"""Slides of every format: scale, borders, and reads that tile seamlessly."""

import concurrent.futures

import numpy as np
import openslide
import pytest
import slide_files
import tifffile

from histogan_tf.data import images, slides
from histogan_tf.errors import InputError, UnreadableError

IMAGE = slide_files.painted(149, 203)
LEVELS = slide_files.pyramid(IMAGE, 3)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One image in every format; all lossless."""
    folder = tmp_path_factory.mktemp("slides")
    slide_files.write_ome(
        folder / "ome.ome.tif", LEVELS, 0.5, compression="zlib", predictor=True
    )
    slide_files.write_pages(folder / "pages.tif", LEVELS, 0.5)
    slide_files.write_pages(folder / "one.tif", LEVELS[:1], 0.5, tile=(64, 48))
    with tifffile.TiffWriter(folder / "strips.tif") as writer:
        writer.write(IMAGE, photometric="rgb", rowsperstrip=7)
    tifffile.imwrite(
        folder / "planes.tif",
        np.moveaxis(IMAGE, 2, 0),
        photometric="rgb",
        planarconfig="separate",
        tile=(64, 80),
    )
    tifffile.imwrite(
        folder / "channels.ome.tif",
        np.moveaxis(IMAGE, 2, 0),
        photometric="minisblack",
        tile=(64, 80),
        metadata={"axes": "CYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5},
    )
    images.write_png(folder / "plain.png", IMAGE)
    return folder


NAMES = (
    "ome.ome.tif",
    "pages.tif",
    "one.tif",
    "strips.tif",
    "planes.tif",
    "channels.ome.tif",
    "plain.png",
)


def averaged(image, ratio, height, width):
    """Area average over white, by cumulative sums in float64."""
    padded = np.full((height, width, 3), 255.0)
    rows = overlaps(image.shape[0], ratio, height)
    columns = overlaps(image.shape[1], ratio, width)
    mean = np.einsum("ih,hwc->iwc", rows, image.astype(float))
    mean = np.einsum("iwc,jw->ijc", mean, columns)
    inside = rows.sum(1)[:, None] * columns.sum(1)
    return mean + (1 - inside[..., None]) * padded


def overlaps(size, ratio, count):
    """Share [count, size] of source pixel h in output pixel i."""
    fine = np.arange(size)
    begin = np.arange(count)[:, None] * ratio
    both = np.minimum(begin + ratio, fine + 1) - np.maximum(begin, fine)
    return np.maximum(both, 0) / ratio


@pytest.mark.parametrize("name", NAMES)
def test_level_0_is_the_image(files, name):
    with slides.open_slide(files / name, 0.5) as slide:
        assert (slide.height, slide.width, slide.mpp) == (149, 203, 0.5)
        found = slide.read_region(0, 0, 149, 203, 0.5)
        np.testing.assert_array_equal(found, IMAGE)
        part = slide.read_region(43, 57, 70, 91, 0.5)
        np.testing.assert_array_equal(part, IMAGE[43:113, 57:148])


@pytest.mark.parametrize("name", ["one.tif", "strips.tif", "plain.png"])
@pytest.mark.parametrize("mpp", [0.5, 0.61, 1.0, 1.9, 4.0, 0.3])
def test_means_are_those_of_an_independent_formula(files, name, mpp):
    with slides.open_slide(files / name, 0.5) as slide:
        height, width = slide.size_at(mpp)
        assert (height, width) == (round(74.5 / mpp), round(101.5 / mpp))
        found = slide.read_region(0, 0, height + 2, width + 2, mpp)
    wanted = averaged(IMAGE, mpp / 0.5, height + 2, width + 2)
    assert np.abs(found - wanted).max() <= 0.51


@pytest.mark.parametrize(("mpp", "level"), [(1.0, 1), (1.7, 1), (2.6, 2)])
def test_the_nearest_finer_level_is_read(files, mpp, level):
    wanted = averaged(LEVELS[level], mpp / 0.5 / 2**level, 25, 30)
    for name in ("ome.ome.tif", "pages.tif"):
        with slides.open_slide(files / name) as slide:
            found = slide.read_region(0, 0, 25, 30, mpp)
        assert np.abs(found - wanted).max() <= 0.51


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mpp", [0.5, 0.7, 3.3])
def test_reads_tile_seamlessly(files, name, mpp):
    rng = np.random.default_rng(1)
    with slides.open_slide(files / name, 0.5) as slide:
        height, width = (n + 16 for n in slide.size_at(mpp))
        whole = slide.read_region(-9, -7, height, width, mpp)
        top = 0
        while top < height:
            tall = min(int(rng.integers(1, 70)), height - top)
            left = 0
            while left < width:
                wide = min(int(rng.integers(1, 90)), width - left)
                part = slide.read_region(top - 9, left - 7, tall, wide, mpp)
                place = np.s_[top : top + tall, left : left + wide]
                np.testing.assert_array_equal(part, whole[place])
                left += wide
            top += tall


def test_beyond_the_border_is_white(files):
    with slides.open_slide(files / "pages.tif") as slide:
        found = slide.read_region(-3, -4, 10, 12, 0.5)
        far = slide.read_region(9000, -9000, 4, 5, 1.3)
    assert (found[:3] == 255).all() and (found[:, :4] == 255).all()
    np.testing.assert_array_equal(found[3:, 4:], IMAGE[:7, :8])
    assert (far == 255).all() and far.shape == (4, 5, 3)


def test_a_level_that_was_rounded_down_repeats_its_edge(tmp_path):
    # 149 x 203 px; the half has 74 x 101, so row 74 exists on level 0 only.
    half = LEVELS[1][:74, :101]
    slide_files.write_pages(tmp_path / "a.tif", [IMAGE, half], 0.5)
    with slides.open_slide(tmp_path / "a.tif") as slide:
        whole = slide.read_region(0, 0, 76, 103, 1.0)
        row = slide.read_region(74, 0, 1, 103, 1.0)
        corner = slide.read_region(74, 101, 1, 1, 1.0)
    np.testing.assert_array_equal(whole[:74, :101], half)
    # Half of the pixel is the slide's, half is white.
    wanted = (half[73].astype(float) + 255) / 2
    assert np.abs(row[0, :101] - wanted).max() <= 0.5
    np.testing.assert_array_equal(row, whole[74:75])
    quarter = half[73, 100] / 4 + 255 * 0.75
    assert np.abs(corner[0, 0] - quarter).max() <= 0.5
    assert (whole[75] == 255).all() and (whole[:, 102] == 255).all()


def test_large_reads_are_split_without_a_trace(files, monkeypatch):
    with slides.open_slide(files / "pages.tif") as slide:
        whole = slide.read_region(0, 0, 100, 140, 0.7)
        monkeypatch.setattr(slides, "_AT_ONCE", 1000)
        split = slide.read_region(0, 0, 100, 140, 0.7)
    np.testing.assert_array_equal(split, whole)


def test_jpeg_tiles_equal_those_of_openslide(tmp_path):
    path = tmp_path / "jpeg.tif"
    slide_files.write_pages(path, LEVELS, 0.25, compression="jpeg")
    other = openslide.OpenSlide(path)
    with slides.open_slide(path) as slide:
        assert slide.mpp == pytest.approx(0.25)
        found = slide.read_region(0, 0, 149, 203, slide.mpp)
    wanted = np.asarray(other.read_region((0, 0), 0, (203, 149)))[..., :3]
    # Two decoders of one JPEG.
    assert np.abs(found.astype(int) - wanted).max() <= 3


def test_a_tile_that_is_left_out_is_white(tmp_path):
    path = tmp_path / "sparse.tif"
    tiles = iter([np.zeros((64, 64, 3), np.uint8), None] * 2)
    tifffile.imwrite(
        path,
        tiles,
        shape=(128, 128, 3),
        dtype=np.uint8,
        tile=(64, 64),
        photometric="rgb",
        compression="zlib",
    )
    with slides.open_slide(path, 1.0) as slide:
        found = slide.read_region(0, 0, 128, 128, 1.0)
    assert (found[:, :64] == 0).all() and (found[:, 64:] == 255).all()


def test_real_svs(real_data):
    path = real_data / "slides/CMU-1-Small-Region.svs"
    other = openslide.OpenSlide(path)
    with slides.open_slide(path) as slide:
        assert (slide.name, slide.mpp) == ("CMU-1-Small-Region", 0.499)
        assert (slide.height, slide.width) == (2967, 2220)
        found = slide.read_region(1000, 900, 300, 400, 0.499)
        wanted = np.asarray(other.read_region((900, 1000), 0, (400, 300)))
        np.testing.assert_array_equal(found, wanted[..., :3])
        # 4 x 4 means, by numpy.
        coarse = slide.read_region(250, 225, 75, 100, 4 * 0.499)
        blocks = wanted[..., :3].reshape(75, 4, 100, 4, 3).mean((1, 3))
        assert np.abs(coarse - blocks).max() <= 0.51
        parts = [slide.read_region(250, c, 75, 20, 1.996) for c in (225, 245)]
        np.testing.assert_array_equal(np.hstack(parts), coarse[:, :40])


def test_a_broken_slide_is_named(real_data):
    with pytest.raises(UnreadableError, match=r"broken\.svs: not a"):
        slides.open_slide(real_data / "slides/broken.svs")


def test_a_slide_cut_short(real_data, tmp_path):
    data = (real_data / "slides/CMU-1-Small-Region.svs").read_bytes()
    path = tmp_path / "short.svs"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UnreadableError, match=r"short\.svs: ") as caught:
        slides.open_slide(path)
    assert "\n" not in str(caught.value)


def test_a_tiff_cut_short(files, tmp_path):
    data = (files / "strips.tif").read_bytes()
    path = tmp_path / "short.tif"
    path.write_bytes(data[:-1000])
    with pytest.raises(UnreadableError, match=r"short\.tif: cut short"):
        slides.open_slide(path, 0.5)


def test_a_damaged_tile(files, tmp_path):
    path = tmp_path / "damaged.tif"
    slide_files.write_pages(path, LEVELS[:1], 0.5, compression="zlib")
    with tifffile.TiffFile(path) as tif:
        start = tif.pages[0].dataoffsets[0]
    data = bytearray(path.read_bytes())
    data[start : start + 40] = bytes(40)
    path.write_bytes(data)
    with slides.open_slide(path) as slide:
        with pytest.raises(UnreadableError, match=r"damaged\.tif: "):
            slide.read_region(0, 0, 10, 10, 0.5)
        right = slide.read_region(0, 64, 10, 10, 0.5)
    np.testing.assert_array_equal(right, IMAGE[:10, 64:74])


@pytest.mark.parametrize(
    ("name", "mpp", "message"),
    [
        ("plain.png", None, r"plain\.png: no um/px in the file.*--mpp"),
        ("strips.tif", None, r"strips\.tif: no um/px in the file.*--mpp"),
        ("plain.png", -1.0, r"--mpp -1: above 0"),
        ("plain.png", float("nan"), r"--mpp nan"),
        ("none.svs", None, r"none\.svs: no such file"),
    ],
)
def test_bad_input(files, name, mpp, message):
    with pytest.raises(InputError, match=message):
        slides.open_slide(files / name, mpp)


def test_pixels_that_are_not_square(tmp_path):
    path = tmp_path / "flat.tif"
    tifffile.imwrite(
        path,
        IMAGE,
        photometric="rgb",
        resolution=(20000, 10000),
        resolutionunit="CENTIMETER",
    )
    with pytest.raises(InputError, match=r"0\.5 um/px across but 1 down"):
        slides.open_slide(path)
    with slides.open_slide(path, 0.5) as slide:
        assert slide.mpp == 0.5


def test_a_stack_is_refused(tmp_path):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.zeros((9, 32, 32), np.uint8))
    with pytest.raises(UnreadableError, match="one flat image is needed"):
        slides.open_slide(path, 1.0)


@pytest.mark.parametrize("name", ["ome.ome.tif", "strips.tif"])
def test_threads_share_a_slide(files, name):
    boxes = [(r, c, 40, 50, 0.9) for r in range(0, 80, 9) for c in (0, 31, 60)]
    with slides.open_slide(files / name, 0.5) as slide:
        wanted = [slide.read_region(*box) for box in boxes]
    with (
        slides.open_slide(files / name, 0.5) as slide,
        concurrent.futures.ThreadPoolExecutor(4) as pool,
    ):
        found = list(pool.map(lambda box: slide.read_region(*box), boxes))
    np.testing.assert_array_equal(found, wanted)
