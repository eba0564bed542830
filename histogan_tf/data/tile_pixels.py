"""How the pixels of a tiled TIFF are packed, unpacked and halved.

In: tiles uint8 [T, T, S]. Out: their bytes and back, the tags that say so to
readers of the TIFF, and the next coarser level's tiles. Same tile, same bytes.

Compression: zlib ("Adobe deflate", TIFF technical note 2 of 2002) with
horizontal differences for colours, or JPEG streams that are whole each.
"""

from collections.abc import Callable
from dataclasses import dataclass

import imagecodecs
import numpy as np

ASCII, SHORT, LONG, RATIONAL, LONG8 = 2, 3, 4, 5, 16

# Tag, type, values; see `tiff_layout`.
Tag = tuple[int, int, tuple[int, ...] | bytes]

_PHOTOMETRIC, _COMPRESSION, _PREDICTOR = 262, 259, 317
_DEFLATE, _JPEG = 8, 7
_GREY, _RGB, _PALETTE, _YCBCR = 1, 2, 3, 6


@dataclass(frozen=True)
class TilePixels:
    """A kind of pixels.

    `name` tells kinds apart; `samples` S a pixel; `channel` names them in
    OME-XML; `tags` of the TIFF; `encode` and `decode` map uint8 [T, T, S] to
    bytes and back; `halve` uint8 [2h, 2w, S] to [h, w, S].
    """

    name: str
    samples: int
    channel: str
    tags: tuple[Tag, ...]
    encode: Callable[[np.ndarray], bytes]
    decode: Callable[[bytes], np.ndarray]
    halve: Callable[[np.ndarray], np.ndarray]


def lossless_rgb(tile: int) -> TilePixels:
    """Colours as they are; `tile` is the side of a tile."""

    def encode(pixels: np.ndarray) -> bytes:
        differences = pixels.copy()
        differences[:, 1:] -= pixels[:, :-1]
        return _deflate(differences)

    def decode(data: bytes) -> np.ndarray:
        differences = _inflate(data, tile, 3)
        return np.cumsum(differences, axis=1, dtype=np.uint8)

    tags = _tags(_DEFLATE, _RGB, (_PREDICTOR, SHORT, (2,)))
    return TilePixels("rgb", 3, "RGB", tags, encode, decode, averaged)


def jpeg_rgb(quality: int) -> TilePixels:
    """Colours in JPEG, full chroma; lower levels come from decoded tiles."""

    def encode(pixels: np.ndarray) -> bytes:
        data = imagecodecs.jpeg8_encode(
            pixels,
            level=quality,
            colorspace="RGB",
            outcolorspace="YCBCR",
            subsampling="444",
        )
        return bytes(data)

    tags = _tags(_JPEG, _YCBCR, (530, SHORT, (1, 1)))
    name = f"jpeg {quality}"
    decode = imagecodecs.jpeg8_decode
    return TilePixels(name, 3, "RGB", tags, encode, decode, averaged)


def labels(tile: int, palette: np.ndarray) -> TilePixels:
    """Class ids, shown in the classes' colours; ids without one are white.

    Args:
      tile: side of a tile.
      palette: uint8 [N, 3].
    """
    colours = np.full((256, 3), 255, np.uint16)
    colours[: len(palette)] = palette
    colormap = tuple(int(v) for v in (colours.T * 257).ravel())
    tags = _tags(_DEFLATE, _PALETTE, (320, SHORT, colormap))
    return _plain("labels", "class", tags, tile, commonest)


def shares(tile: int, channel: str) -> TilePixels:
    """One class's probability, 0..255 for 0..1."""
    tags = _tags(_DEFLATE, _GREY)
    return _plain("shares", channel, tags, tile, averaged)


def averaged(pixels: np.ndarray) -> np.ndarray:
    """2x2 averages of uint8 [2h, 2w, S], rounded half up."""
    wide = pixels.astype(np.uint16)
    rows = wide[0::2] + wide[1::2]
    return ((rows[:, 0::2] + rows[:, 1::2] + 2) >> 2).astype(np.uint8)


def commonest(pixels: np.ndarray) -> np.ndarray:
    """The commonest of each 2x2 values; of a tie the first by rows."""
    a, b = pixels[0::2, 0::2], pixels[0::2, 1::2]
    c, d = pixels[1::2, 0::2], pixels[1::2, 1::2]
    late = np.where(c == d, c, a)
    middle = np.where((b == c) | (b == d), b, late)
    return np.where((a == b) | (a == c) | (a == d), a, middle)


def _plain(
    name: str,
    channel: str,
    tags: tuple[Tag, ...],
    tile: int,
    halve: Callable[[np.ndarray], np.ndarray],
) -> TilePixels:
    def decode(data: bytes) -> np.ndarray:
        return _inflate(data, tile, 1)

    return TilePixels(name, 1, channel, tags, _deflate, decode, halve)


def _tags(compression: int, photometric: int, *more: Tag) -> tuple[Tag, ...]:
    return (
        (_COMPRESSION, SHORT, (compression,)),
        (_PHOTOMETRIC, SHORT, (photometric,)),
        *more,
    )


def _deflate(pixels: np.ndarray) -> bytes:
    return bytes(imagecodecs.deflate_encode(pixels.tobytes(), level=6))


def _inflate(data: bytes, tile: int, samples: int) -> np.ndarray:
    size = tile * tile * samples
    flat = np.frombuffer(imagecodecs.deflate_decode(data, out=size), np.uint8)
    return flat.reshape(tile, tile, samples)
