"""Reading of images and masks in every format, and of damaged files."""

import cv2
import numpy as np
import pytest
import tifffile

from histogan_tf.data import images, tiff
from histogan_tf.errors import InputError, UnreadableError

RGB = np.random.default_rng(0).integers(0, 256, (40, 52, 3), np.uint8)
GREY = RGB[..., 0]


def save(path, array, **kwargs):
    if path.suffix in (".tif", ".tiff"):
        kind = "rgb" if array.ndim == 3 else "minisblack"
        tifffile.imwrite(path, array, **({"photometric": kind} | kwargs))
        return
    order = list(range(array.shape[2])) if array.ndim == 3 else []
    order[:3] = order[:3][::-1]  # cv2 writes BGR(A)
    assert cv2.imwrite(str(path), array[..., order] if order else array)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.bmp", {}),
        ("a.tif", {}),
        ("a.tif", {"tile": (16, 16)}),
        ("a.tif", {"tile": (16, 16), "compression": "zlib"}),
        ("a.tif", {"compression": "lzw", "bigtiff": True}),
        ("a.tif", {"byteorder": ">"}),
    ],
)
@pytest.mark.parametrize("array", [RGB, GREY], ids=["rgb", "grey"])
def test_lossless_formats(tmp_path, name, options, array):
    save(tmp_path / name, array, **options)
    wanted = array if array.ndim == 3 else np.stack([array] * 3, 2)
    out = images.read_image(tmp_path / name)
    assert out.dtype == np.uint8
    np.testing.assert_array_equal(out, wanted)
    np.testing.assert_array_equal(images.read_mask_raw(tmp_path / name), array)


def test_planar_tiff(tmp_path):
    path = tmp_path / "a.tif"
    save(path, np.moveaxis(RGB, 2, 0), planarconfig="separate")
    np.testing.assert_array_equal(images.read_image(path), RGB)


def test_jpeg_is_close(tmp_path):
    smooth = cv2.GaussianBlur(RGB, (0, 0), 4)
    save(tmp_path / "a.jpg", smooth)
    out = images.read_image(tmp_path / "a.jpg").astype(int)
    assert np.abs(out - smooth).mean() < 3


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bits(tmp_path, name):
    # 257 x the 8-bit value, and one less than half a step above and below.
    path, wide = tmp_path / name, RGB.astype(np.uint16) * 257
    save(path, wide)
    np.testing.assert_array_equal(images.read_image(path), RGB)
    wide[0, 0] = [0, 128, 65535]
    wide[0, 1] = [129, 256, 385]
    save(path, wide)
    out = images.read_image(path)
    assert out[0, :2].tolist() == [[0, 0, 255], [1, 1, 1]]


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_transparency_is_laid_on_white(tmp_path, name, kind):
    # A fifth of 100 and four fifths of 255; black that is clear is white.
    row = [[100, 0, 255, 51], [0, 0, 0, 0], [7, 8, 9, 255]]
    pixels = np.array([row, row], kind)
    save(tmp_path / name, pixels * kind(np.iinfo(kind).max // 255))
    found = images.read_image(tmp_path / name)
    wanted = [[[224, 204, 255], [255, 255, 255], [7, 8, 9]]] * 2
    np.testing.assert_array_equal(found, wanted)


def test_grey_with_alpha():
    grey = np.array([[[100, 51], [0, 0]]], np.uint8)
    found = images.as_rgb(grey, "a.png")
    np.testing.assert_array_equal(found, [[[224] * 3, [255] * 3]])


def test_content_decides_not_the_name(tmp_path):
    save(tmp_path / "a.png", RGB)
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(images.read_image(tmp_path / "a.jpg"), RGB)


def test_instance_ids_above_255(tmp_path):
    ids = np.arange(40 * 52).reshape(40, 52)
    save(tmp_path / "a.png", ids.astype(np.uint16))
    np.testing.assert_array_equal(images.read_mask_raw(tmp_path / "a.png"), ids)
    save(tmp_path / "a.tif", ids.astype(np.int32))
    np.testing.assert_array_equal(images.read_mask_raw(tmp_path / "a.tif"), ids)


def test_tiff_palette_and_inverted_grey(tmp_path):
    path, indices = tmp_path / "a.tif", GREY % 4
    colormap = np.zeros((3, 256), np.uint16)
    colormap[0, :4] = [0, 256, 512, 65535]
    tifffile.imwrite(path, indices, photometric="palette", colormap=colormap)
    np.testing.assert_array_equal(images.read_mask_raw(path), indices)
    red = np.array([0, 1, 2, 255])[indices]
    assert (images.read_mask_raw(path, colors=True)[..., 0] == red).all()
    assert (images.read_image(path)[..., 0] == red).all()
    tifffile.imwrite(path, GREY, photometric="miniswhite")
    assert (images.read_image(path)[..., 0] == 255 - GREY).all()
    np.testing.assert_array_equal(images.read_mask_raw(path), GREY)


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.97])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.jpg", {}),
        ("a.bmp", {}),
        ("a.tif", {}),
        ("a.tif", {"tile": (16, 16)}),
        ("a.tif", {"tile": (16, 16), "compression": "lzw"}),
    ],
)
def test_cut_files_are_refused(tmp_path, name, options, fraction, capfd):
    path = tmp_path / name
    save(path, RGB, **options)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * fraction)])
    with pytest.raises(UnreadableError) as caught:
        images.read_image(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_jpeg_without_its_last_byte_is_refused(tmp_path):
    path = tmp_path / "a.jpg"
    save(path, RGB)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UnreadableError):
        images.read_image(path)


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"II*\0", b"BM", b"\xff\xd8\xff"]
)
def test_no_image_at_all(tmp_path, data):
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with pytest.raises(UnreadableError, match=r"a\.png"):
        images.read_image(path)


def test_refused_kinds(tmp_path):
    with pytest.raises(InputError, match=r"no\.png: No such file"):
        images.read_image(tmp_path / "no.png")
    save(tmp_path / "m.jpg", RGB)
    with pytest.raises(InputError, match="JPEG smears"):
        images.read_mask_raw(tmp_path / "m.jpg")
    save(tmp_path / "j.tif", GREY, compression="jpeg")
    for colors in (False, True):
        with pytest.raises(UnreadableError, match="JPEG compression sm"):
            images.read_mask_raw(tmp_path / "j.tif", colors)
    save(tmp_path / "f.tif", GREY.astype(np.float32))
    for read in (images.read_image, images.read_mask_raw):
        with pytest.raises(InputError, match="samples are float32"):
            read(tmp_path / "f.tif")
    save(tmp_path / "s.tif", np.zeros((5, 9, 8), np.uint8), photometric=0)
    with pytest.raises(InputError, match="one flat image"):
        images.read_image(tmp_path / "s.tif")


@pytest.mark.parametrize(
    ("options", "mpp"),
    [
        ({}, None),
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, None),
        ({"resolution": (20000, 20000), "resolutionunit": "CENTIMETER"}, 0.5),
        ({"resolution": (50800, 50800), "resolutionunit": "INCH"}, 0.5),
        ({"description": "Aperio|MPP = 0.25|AppMag = 40"}, 0.25),
        (
            {
                "imagej": True,
                "resolution": (4, 4),
                "metadata": {"unit": "um"},
            },
            0.25,
        ),
        (
            {
                "ome": True,
                "metadata": {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5},
            },
            0.5,
        ),
        (
            {
                "ome": True,
                "metadata": {
                    "PhysicalSizeX": 620,
                    "PhysicalSizeXUnit": "nm",
                    "PhysicalSizeY": 620,
                    "PhysicalSizeYUnit": "nm",
                },
            },
            0.62,
        ),
    ],
)
def test_stated_mpp(tmp_path, options, mpp):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RGB, photometric="rgb", **options)
    assert images.read_mpp(path) == (mpp and pytest.approx(mpp, rel=1e-6))


def test_mpp_of_oblong_pixels_is_an_error(tmp_path):
    path = tmp_path / "a.tif"
    save(path, RGB, resolution=(20000, 10000), resolutionunit="CENTIMETER")
    with pytest.raises(InputError, match=r"0.5 um/px across but 1 down.*--mpp"):
        images.read_mpp(path)


def test_real_slide_and_broken_one(real_data):
    slide = real_data / "slides/CMU-1-Small-Region.svs"
    assert images.read_mpp(slide) == pytest.approx(0.499)
    assert tiff.read(slide).array.shape == (2967, 2220, 3)
    with pytest.raises(UnreadableError, match=r"broken\.svs"):
        images.read_image(real_data / "slides/broken.svs")


def test_write_png(tmp_path):
    images.write_png(tmp_path / "a.png", RGB)
    np.testing.assert_array_equal(images.read_image(tmp_path / "a.png"), RGB)
    assert images.read_mpp(tmp_path / "a.png") is None
