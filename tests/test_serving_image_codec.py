"""Bytes in a graph: the library's pixels, and refusals before decoding."""

import struct
import zlib

import cv2
import numpy as np
import pytest
import tensorflow as tf

from histogan_tf.data import images, png
from serving import image_codec

LIMIT = 5000
STRING = tf.TensorSpec([], tf.string)
decode_image = tf.function(
    lambda data: image_codec.decode_image(data, LIMIT), input_signature=[STRING]
)
decode_mask = tf.function(
    lambda data: image_codec.decode_mask(data, 3, LIMIT),
    input_signature=[STRING],
)


def noise(*shape, kind=np.uint8):
    draws = np.random.default_rng(0).integers(0, np.iinfo(kind).max, shape)
    return draws.astype(kind)


def encoded(array, extension=".png", *options):
    return cv2.imencode(extension, array, options)[1].tobytes()


def chunk(name, body):
    checksum = zlib.crc32(name + body)
    return struct.pack(">I", len(body)) + name + body + checksum.to_bytes(4)


def raw_png(width, height, depth, kind, rows=b"", extra=b""):
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return (
        png.SIGNATURE
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


PALETTE = raw_png(
    2, 1, 8, 3, b"\0\0\1", chunk(b"PLTE", bytes([9, 8, 7, 50, 60, 70]))
)
CLEAR_PALETTE = raw_png(
    2,
    1,
    1,
    3,
    b"\0\x40",
    chunk(b"PLTE", bytes([9, 8, 7, 50, 60, 70])) + chunk(b"tRNS", bytes([51])),
)
FILES = {
    "colour": encoded(noise(30, 41, 3)),
    "grey": encoded(noise(30, 41)),
    "alpha": encoded(noise(30, 41, 4)),
    "deep": encoded(noise(30, 41, 3, kind=np.uint16)),
    "deep alpha": encoded(noise(30, 41, 4, kind=np.uint16)),
    "deep grey": encoded(noise(30, 41, kind=np.uint16)),
    "bilevel": encoded(
        noise(9, 11) // 128 * 255, ".png", cv2.IMWRITE_PNG_BILEVEL, 1
    ),
    "palette": PALETTE,
    "clear palette": CLEAR_PALETTE,
    "jpeg": encoded(cv2.GaussianBlur(noise(33, 41, 3), (5, 5), 2), ".jpg"),
    "grey jpeg": encoded(noise(33, 41), ".jpg"),
}


@pytest.mark.parametrize("name", FILES)
def test_the_librarys_pixels(name, tmp_path):
    (tmp_path / "file").write_bytes(FILES[name])
    wanted = images.read_image(tmp_path / "file")
    found = decode_image(FILES[name]).numpy()
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, wanted)


def test_transparency_is_laid_on_white():
    # cv2 writes blue first. A fifth of 100 and four fifths of 255.
    data = encoded(np.array([[[255, 0, 100, 51], [0, 0, 0, 0]]], np.uint8))
    found = decode_image(data).numpy()
    np.testing.assert_array_equal(found, [[[224, 204, 255], [255] * 3]])


JPEG = FILES["jpeg"]
SOF = JPEG.index(b"\xff\xc0") + 5  # height and width stand there
BAD = {
    "100 x 51 pixels": encoded(noise(100, 51)),
    "30000 x 60000 pixels": raw_png(60000, 30000, 8, 2, b"\0"),
    "2147483648 x 4294967295": raw_png(2**32 - 1, 2**31, 8, 2, b"\0"),
    "0 x 5 pixels": raw_png(5, 0, 8, 2),
    "60000 x 50000": JPEG[:SOF]
    + struct.pack(">HH", 60000, 50000)
    + JPEG[SOF + 4 :],
    "neither PNG nor JPEG": b"GIF89a" + bytes(50),
    "neither PNG nor JPEG; send": b"",
    "0 x 0 pixels": png.SIGNATURE,
    "PNG": FILES["colour"][:400],
    "JPEG": JPEG[: len(JPEG) // 2],
}


@pytest.mark.parametrize("text", BAD)
def test_bad_images(text):
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        decode_image(BAD[text])


def test_the_largest_image_is_allowed():
    assert decode_image(encoded(noise(100, 50, 3))).shape == (100, 50, 3)


def test_masks_of_class_ids():
    mask = noise(20, 30) % 3
    mask[:2] = 255
    np.testing.assert_array_equal(decode_mask(png.encode(mask)), mask)


BAD_MASKS = {
    "not a PNG": JPEG,
    "bit depth 8 and colour type 3": PALETTE,
    "bit depth 16 and colour type 0": FILES["deep grey"],
    "bit depth 8 and colour type 2": FILES["colour"],
    "mask: 7 is no class id; 0 to 2 and 255": png.encode(
        np.array([[0, 3, 7, 255]], np.uint8)
    ),
    "1 to 5000 pixels": png.encode(noise(100, 51) % 3),
}


@pytest.mark.parametrize("text", BAD_MASKS)
def test_bad_masks(text):
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        decode_mask(BAD_MASKS[text])


@pytest.mark.parametrize("channels", [1, 3])
def test_encoding_loses_nothing(channels):
    pixels = noise(12, 17, channels)
    data = image_codec.encode(tf.constant(pixels)).numpy()
    np.testing.assert_array_equal(png.decode(data), pixels.squeeze())
