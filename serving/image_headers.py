"""How many pixels an encoded image decodes to, read from its headers alone.

In: the bytes of a PNG, JPEG, GIF, BMP or WebP file: the formats that
TensorFlow's decoders tell apart by their first bytes. Out: the pixels of all
frames together, or None for anything else. Nothing is decoded and nothing is
allocated, so a 10 kB file that claims 2 GB costs microseconds. Damaged and
cut files give what their header claims, or None; the graph rejects them.
"""

import struct
from collections.abc import Iterator

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_GIF = b"GIF8"
_BMP = b"BM"

# Markers that start a frame (SOF0 to SOF15); C4, C8 and CC mean other things.
_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Markers without a length: TEM, restarts, start of image.
_BARE = frozenset([0x01, *range(0xD0, 0xD9)])
_SCAN, _END = 0xDA, 0xD9


def decoded_pixels(data: bytes) -> int | None:
    """Pixels that a decoder would make of a file; None: not an image.

    Args:
      data: a whole file, or anything else.
    """
    try:
        if data.startswith(_PNG):
            return _area(*struct.unpack_from(">II", data, 16))
        if data.startswith(_JPEG):
            return _jpeg(data)
        if data.startswith(_GIF):
            return _gif(data)
        if data.startswith(_BMP):
            return _area(*struct.unpack_from("<ii", data, 18))
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp(data)
    except (struct.error, IndexError):  # the file ends inside its header
        pass
    return None


def begins_image(data: bytes, start: int, end: int) -> bool:
    """Whether data[start:end] begins as an image; cheap, not exact."""
    return data.startswith((_PNG, _JPEG, _GIF, _BMP, b"RIFF"), start, end)


def may_hold_image(data: bytes, start: int, end: int) -> bool:
    """Whether an image may lie in data[start:end]; cheap, not exact.

    BMP is left out: its two letters are everywhere, and a decoder refuses one
    with fewer bytes than it has pixels.
    """
    marks = (_PNG, _JPEG, _GIF, b"WEBP")
    return any(data.find(mark, start, end) >= 0 for mark in marks)


def _area(width: int, height: int) -> int:
    # BMP writes rows from the top down as a negative height.
    return abs(width) * abs(height)


def _jpeg(data: bytes) -> int | None:
    at = 2
    while True:
        at = data.find(b"\xff", at)  # decoders pass over bytes in between
        if at < 0:
            return None
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        at += 1
        if marker in _FRAME:
            height, width = struct.unpack_from(">HH", data, at + 3)
            return _area(width, height)
        if marker in (_SCAN, _END):
            return None
        if marker and marker not in _BARE:
            at += struct.unpack_from(">H", data, at)[0]


def _gif(data: bytes) -> int | None:
    # TensorFlow allocates every frame at the size of the largest.
    width, height = struct.unpack_from("<HH", data, 6)
    frames = 0
    for frame_width, frame_height in _gif_frames(data):
        width, height = max(width, frame_width), max(height, frame_height)
        frames += 1
    return max(frames, 1) * _area(width, height)


def _gif_frames(data: bytes) -> Iterator[tuple[int, int]]:
    at = 13 + _gif_colors(data[10])
    while at < len(data):
        kind = data[at]
        if kind == 0x2C:  # an image: place, size, flags, colours, code size
            if at + 10 > len(data):
                return
            yield struct.unpack_from("<HH", data, at + 5)
            at += 11 + _gif_colors(data[at + 9])
        elif kind == 0x21:  # an extension
            at += 2
        else:
            return
        while at < len(data) and data[at]:  # its blocks, up to an empty one
            at += data[at] + 1
        at += 1


def _gif_colors(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _webp(data: bytes) -> int | None:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return _area(width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return _area((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8X":
        if len(data) < 30:
            return None
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
        return max(1, _webp_frames(data)) * _area(width, height)
    return None


def _webp_frames(data: bytes) -> int:
    at, frames = 12, 0
    while at + 8 <= len(data):
        frames += data[at : at + 4] == b"ANMF"
        size = struct.unpack_from("<I", data, at + 4)[0]
        at += 8 + size + size % 2
    return frames
