"""PNG: lossless encoding, and decoding that refuses damaged files.

In: uint8 or uint16 arrays [H, W], RGB [H, W, 3]; palettes; PNG bytes. Out: PNG
bytes, the same for the same array; arrays. Decoding goes through imagecodecs,
which raises where cv2 prints to stderr, and can give a palette's indices,
which cv2 and TensorFlow always turn into colours.
"""

import struct
import zlib

import cv2
import imagecodecs
import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_PALETTE, _GREY = 3, 0


def encode(array: np.ndarray) -> bytes:
    """PNG bytes of uint8 or uint16 [H, W], or RGB [H, W, 3]."""
    if array.ndim == 3:
        array = cv2.cvtColor(array, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".png", array)
    assert done, (array.shape, array.dtype)
    return data.tobytes()


def encode_palette(indices: np.ndarray, colors: np.ndarray) -> bytes:
    """PNG bytes of palette indices, 8 bits each.

    Args:
      indices: uint8 [H, W], 0..N-1.
      colors: uint8 RGBA [N, 4], N <= 256.
    """
    height, width = indices.shape
    lines = np.zeros((height, width + 1), np.uint8)  # a filter type of 0 first
    lines[:, 1:] = indices
    header = struct.pack(">IIBBBBB", width, height, 8, _PALETTE, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", colors[:, :3].tobytes()),
        (b"tRNS", colors[:, 3].tobytes()),
        (b"IDAT", zlib.compress(lines.tobytes(), 6)),
        (b"IEND", b""),
    )
    return SIGNATURE + b"".join(_chunk(*chunk) for chunk in chunks)


def decode(data: bytes) -> np.ndarray:
    """Pixels [H, W] or [H, W, 2..4]; palettes are expanded to colours.

    Raises:
      ValueError: damaged or cut short.
    """
    if _chunks(data)[-1][0] != b"IEND":
        raise ValueError("cut short")
    try:
        return imagecodecs.png_decode(data)
    except imagecodecs.PngError as error:
        raise ValueError(str(error)) from error


def decode_indices(data: bytes) -> np.ndarray:
    """As `decode`, but a palette image gives its indices, uint8 [H, W]."""
    depth, kind = struct.unpack_from(">BB", data, 24)
    if kind != _PALETTE:
        return decode(data)
    # The same samples under a grey header: the decoder then leaves indices
    # alone, but stretches those of 1, 2 and 4 bits to 0..255.
    kept = [
        (
            name,
            body[:9] + bytes([_GREY]) + body[10:] if name == b"IHDR" else body,
        )
        for name, body in _chunks(data)
        if name in (b"IHDR", b"IDAT", b"IEND")
    ]
    grey = decode(SIGNATURE + b"".join(_chunk(*chunk) for chunk in kept))
    return grey // np.uint8(255 // (2**depth - 1))


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Name and body of each whole chunk.

    Raises:
      ValueError: a chunk is cut short or its checksum is wrong.
    """
    place, found = len(SIGNATURE), list[tuple[bytes, bytes]]()
    while not found or found[-1][0] != b"IEND":
        if place + 12 > len(data):
            raise ValueError("cut short")
        length, name = struct.unpack_from(">I4s", data, place)
        end = place + 12 + length
        if end > len(data):
            raise ValueError("cut short")
        body = data[place + 8 : end - 4]
        if data[end - 4 : end] != _checksum(name, body):
            raise ValueError(f"damaged: checksum of {name!r}")
        found.append((name, body))
        place = end
    return found


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + _checksum(name, body)


def _checksum(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(name + body))
