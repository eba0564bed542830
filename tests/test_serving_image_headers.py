"""serving.image_headers: pixels of encoded images, from headers alone."""

import struct

import cv2
import numpy as np
import pytest
import tensorflow as tf

from serving.image_headers import begins_image, decoded_pixels, may_hold_image

PIXELS = np.random.default_rng(1).integers(0, 256, (37, 53, 3), np.uint8)


def encoded(ending):
    return cv2.imencode(ending, PIXELS)[1].tobytes()


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".webp"])
def test_files_of_an_independent_encoder(ending):
    assert decoded_pixels(encoded(ending)) == 37 * 53


@pytest.mark.parametrize("quality", [101, 80])  # lossless, lossy
def test_both_kinds_of_webp(quality):
    setting = [cv2.IMWRITE_WEBP_QUALITY, quality]
    data = cv2.imencode(".webp", PIXELS, setting)[1].tobytes()
    assert data[12:16] in (b"VP8L", b"VP8 ")
    assert decoded_pixels(data) == 37 * 53


def test_progressive_jpeg():
    setting = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    data = cv2.imencode(".jpg", PIXELS, setting)[1].tobytes()
    assert decoded_pixels(data) == 37 * 53


def gif(width, height, frames):
    """A GIF of frames of one colour."""
    lzw = bytes([2, 2, 0x44, 0x01, 0])  # code size, one block, the end
    frame = b"!\xf9\x04\0\0\0\0\0" + b","
    frame += struct.pack("<HHHHB", 0, 0, width, height, 0) + lzw
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0)
    return head + bytes(6) + frame * frames + b";"


def test_every_frame_of_a_gif_counts():
    data = gif(1, 1, 3)
    assert tf.io.decode_gif(data).shape == (3, 1, 1, 3)
    assert decoded_pixels(data) == 3
    assert decoded_pixels(gif(60_000, 50_000, 2)) == 2 * 60_000 * 50_000


def test_frames_larger_than_the_screen():
    data = bytearray(gif(4, 5, 1))
    data[6:10] = struct.pack("<HH", 1, 1)
    assert decoded_pixels(bytes(data)) == 20


def test_animated_webp():
    head = bytes(4) + (99).to_bytes(3, "little") + (49).to_bytes(3, "little")
    chunks = b"VP8X" + struct.pack("<I", 10) + head
    chunks += (b"ANMF" + struct.pack("<I", 3) + b"abc\0") * 4
    data = b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks
    assert decoded_pixels(data) == 4 * 100 * 50


def test_a_bomb_costs_no_memory_to_see():
    data = bytearray(encoded(".png"))
    data[16:24] = struct.pack(">II", 30_000, 25_000)
    assert decoded_pixels(bytes(data)) == 750_000_000


def test_rows_from_the_top():
    data = bytearray(encoded(".bmp"))
    data[22:26] = struct.pack("<i", -37)
    assert decoded_pixels(bytes(data)) == 37 * 53


@pytest.mark.parametrize("data", [b"", b"II*\0abcd", b"text", b"\x0a\x03abc"])
def test_other_bytes_are_no_image(data):
    assert decoded_pixels(data) is None


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".webp", ".gif"])
def test_cut_files_end_well(ending):
    data = gif(3, 3, 2) if ending == ".gif" else encoded(ending)
    for end in range(min(len(data), 800)):
        assert decoded_pixels(data[:end]) in (None, 37 * 53, 9, 18)


def test_where_an_image_may_lie_inside():
    for ending in (".png", ".jpg"):
        data = b"..." + encoded(ending)
        assert may_hold_image(data, 0, len(data))
        assert may_hold_image(data, 3, len(data))
        assert not may_hold_image(data, 4, len(data))
        assert not may_hold_image(data, 0, 5)
        assert begins_image(data, 3, len(data))
        assert not begins_image(data, 2, len(data))
        assert not begins_image(data, 3, 5)
    assert not may_hold_image(b"plain text", 0, 10)
