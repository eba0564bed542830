"""What a pyramidal OME-TIFF says of its tiles: BigTIFF directories, OME-XML.

In: where the tiles of every level lie. Out: the bytes of the directories,
which follow the tiles, and of the header, which precedes them.

Lower levels stand both in the list of SubIFDs, where the OME-TIFF 6.0
specification wants them (tifffile, Bio-Formats, QuPath), and in the chain of
directories, marked as reduced images, where OpenSlide looks for them.

Offsets of BigTIFF have 8 bytes; canvases may exceed 4 GB. um/px stands in the
OME-XML and in the resolution tags.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from xml.sax.saxutils import quoteattr

import numpy as np

from histogan_tf.data.tile_pixels import (
    ASCII,
    LONG,
    LONG8,
    RATIONAL,
    SHORT,
    Tag,
    TilePixels,
)

HEADER_SIZE = 16
_FORMATS = {SHORT: "H", LONG: "I", RATIONAL: "I", LONG8: "Q"}
_CENTIMETRE = 3


@dataclass(frozen=True)
class Level:
    """One level: size in px, offset and bytes of each tile [rows, columns]."""

    height: int
    width: int
    offsets: np.ndarray
    sizes: np.ndarray


@dataclass(frozen=True)
class Facts:
    """What readers are told: a name, um/px of level 0, kind of pixels."""

    name: str
    mpp: float
    tile: int
    pixels: TilePixels


def header(first: int) -> bytes:
    """The file's first bytes; `first` is the place of level 0's directory."""
    return struct.pack("<2sHHHQ", b"II", 43, 8, 0, first)


def directories(
    levels: Sequence[Level], facts: Facts, place: int
) -> tuple[bytes, int]:
    """All directories with what they point at.

    Args:
      levels: finest first.
      facts: of the whole file.
      place: where in the file the bytes will stand.

    Returns:
      The bytes, and the place of level 0's directory.
    """
    out, later = b"", list[int]()
    # Coarsest first: each directory points at the next coarser one.
    for index in reversed(range(len(levels))):
        tags = _tags(levels[index], facts, index)
        if index == 0:
            tags.append((270, ASCII, _ome_xml(levels[0], facts)))
            if later:
                tags.append((330, LONG8, tuple(later)))
        start = place + len(out)
        out += _directory(sorted(tags), start, later[0] if later else 0)
        later.insert(0, start)
    return out, later[0]


def _tags(level: Level, facts: Facts, index: int) -> list[Tag]:
    samples = facts.pixels.samples
    density = _density(facts.mpp * 2**index)
    return [
        (254, LONG, (1 if index else 0,)),
        (256, LONG, (level.width,)),
        (257, LONG, (level.height,)),
        (258, SHORT, (8,) * samples),
        (277, SHORT, (samples,)),
        (282, RATIONAL, density),
        (283, RATIONAL, density),
        (284, SHORT, (1,)),
        (296, SHORT, (_CENTIMETRE,)),
        (305, ASCII, b"histogan_tf\0"),
        (322, LONG, (facts.tile,)),
        (323, LONG, (facts.tile,)),
        (324, LONG8, tuple(level.offsets.ravel().tolist())),
        (325, LONG8, tuple(level.sizes.ravel().tolist())),
        (339, SHORT, (1,) * samples),
        *facts.pixels.tags,
    ]


def _density(mpp: float) -> tuple[int, int]:
    """Pixels a centimetre, as a fraction of 32-bit integers."""
    exact = Fraction(10_000) / Fraction(mpp)
    limit = int((2**32 - 1) / max(1.0, float(exact)))
    found = exact.limit_denominator(limit)
    return found.numerator, found.denominator


def _directory(tags: Sequence[Tag], place: int, following: int) -> bytes:
    """One directory and, behind it, the values that do not fit into it."""
    head = 8 + 20 * len(tags) + 8
    out, rest = struct.pack("<Q", len(tags)), b""
    for number, kind, values in tags:
        data = _packed(kind, values)
        count = len(values) // (2 if kind == RATIONAL else 1)
        entry = struct.pack("<HHQ", number, kind, count)
        if len(data) <= 8:
            out += entry + data.ljust(8, b"\0")
        else:
            out += entry + struct.pack("<Q", place + head + len(rest))
            rest += data + bytes(-len(data) % 8)
    return out + struct.pack("<Q", following) + rest


def _packed(kind: int, values: tuple[int, ...] | bytes) -> bytes:
    if isinstance(values, bytes):
        return values
    return struct.pack(f"<{len(values)}{_FORMATS[kind]}", *values)


def _ome_xml(level: Level, facts: Facts) -> bytes:
    samples, mpp = facts.pixels.samples, f"{facts.mpp:.9g}"
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        ' xsi:schemaLocation="http://www.openmicroscopy.org/Schemas/OME/2016-06'
        ' http://www.openmicroscopy.org/Schemas/OME/2016-06/ome.xsd"'
        ' Creator="histogan_tf">'
        f'<Image ID="Image:0" Name={quoteattr(facts.name)}>'
        '<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8"'
        f' SizeX="{level.width}" SizeY="{level.height}" SizeC="{samples}"'
        ' SizeZ="1" SizeT="1" BigEndian="false" Interleaved="true"'
        f' PhysicalSizeX="{mpp}" PhysicalSizeXUnit="&#181;m"'
        f' PhysicalSizeY="{mpp}" PhysicalSizeYUnit="&#181;m">'
        f'<Channel ID="Channel:0:0" Name={quoteattr(facts.pixels.channel)}'
        f' SamplesPerPixel="{samples}"/>'
        '<TiffData IFD="0" PlaneCount="1"/>'
        "</Pixels></Image></OME>"
    )
    # TIFF's ASCII is 7 bits; XML can say the rest in references.
    return text.encode("ascii", "xmlcharrefreplace") + b"\0"
