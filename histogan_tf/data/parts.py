"""Parts of a long job that survive its interruption.

In: serialised tiles with what the manifest says of them. Out: one file a part,
which appears when it is whole; its index; single tiles from it.

A file is the length of the index (8 bytes, little-endian), the index (JSON),
then the tiles one after the other.
"""

import dataclasses
import json
import os
import pathlib
import struct
from collections.abc import Sequence

from histogan_tf.data.manifest import ImageInfo
from histogan_tf.files import atomic_write

_HEAD = struct.Struct("<Q")


@dataclasses.dataclass(frozen=True)
class Entry:
    """One stored tile: what it is, and where its bytes are."""

    info: ImageInfo
    path: pathlib.Path
    offset: int
    length: int

    @property
    def kind(self) -> str:
        """labelled or unlabelled."""
        labelled = self.info.class_pixels is not None
        return "labelled" if labelled else "unlabelled"

    def read(self) -> bytes:
        """The serialised tile."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.length)


def write(
    path: str | os.PathLike, tiles: Sequence[tuple[bytes, ImageInfo]]
) -> None:
    """Writes a part, whole or not at all.

    Raises:
      OSError: the disk is full.
    """
    index = [
        {"length": len(data), "info": dataclasses.asdict(info)}
        for data, info in tiles
    ]
    head = json.dumps(index, ensure_ascii=False).encode()
    data = b"".join([_HEAD.pack(len(head)), head, *(d for d, _ in tiles)])
    atomic_write(path, data)


def entries(path: str | os.PathLike) -> list[Entry]:
    """The tiles of a part, in the order in which they were written."""
    path = pathlib.Path(path)
    with path.open("rb") as file:
        (size,) = _HEAD.unpack(file.read(_HEAD.size))
        index = json.loads(file.read(size))
    offset, found = _HEAD.size + size, []
    for item in index:
        pixels = item["info"]["class_pixels"]
        if pixels is not None:
            item["info"]["class_pixels"] = tuple(pixels)
        info = ImageInfo(**item["info"])
        found.append(Entry(info, path, offset, item["length"]))
        offset += item["length"]
    return found
