"""PNG: exact both ways, indices of palettes, every cut noticed."""

import struct
import zlib

import numpy as np
import pytest

from histogan_tf.data import png


def palette_png(indices, depth, colors):
    """Written by hand after the PNG specification, filter 0 throughout."""

    def chunk(name, body):
        check = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + check

    height, width = indices.shape
    bits = np.unpackbits(indices.astype(np.uint8)[..., None], axis=2)
    rows = np.packbits(bits[..., 8 - depth :].reshape(height, -1), axis=1)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, depth, 3, 0, 0, 0)
    return (
        png.SIGNATURE
        + chunk(b"IHDR", header)
        + chunk(b"PLTE", bytes(np.array(colors, np.uint8)))
        + chunk(b"tRNS", b"\0")
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_palette_gives_indices_or_colors(depth):
    count = min(2**depth, 7)
    indices = np.arange(15).reshape(3, 5) % count
    colors = [[i, 10 * i, 200 - i] for i in range(count)]
    data = palette_png(indices, depth, colors)
    out = png.decode_indices(data)
    assert out.dtype == np.uint8
    np.testing.assert_array_equal(out, indices)
    np.testing.assert_array_equal(
        png.decode(data)[..., :3], np.array(colors)[indices]
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_round_trip(dtype, shape):
    top = np.iinfo(dtype).max
    array = np.random.default_rng(0).integers(0, top, shape, dtype)
    data = png.encode(array)
    assert data == png.encode(array.copy())
    np.testing.assert_array_equal(png.decode(data), array)
    np.testing.assert_array_equal(png.decode_indices(data), array)


def test_every_cut_is_noticed():
    data = png.encode(np.arange(12, dtype=np.uint8).reshape(3, 4))
    for end in range(8, len(data)):
        with pytest.raises(ValueError, match="cut short"):
            png.decode(data[:end])
    png.decode(data + b"trailing")


def test_damage_is_noticed():
    data = bytearray(png.encode(np.arange(12, dtype=np.uint8).reshape(3, 4)))
    data[45] ^= 1
    with pytest.raises(ValueError, match="checksum"):
        png.decode(bytes(data))
