"""One image file and its masks become one stored tile.

In: ImageFiles and the class table. Out: a Tile (uint8 RGB, class ids,
um/px), checked and with the boundary class painted where it is wanted.
"""

import dataclasses
import pathlib

import numpy as np

from histogan_tf.data import images
from histogan_tf.data.classes import (
    IGNORE,
    ClassTable,
    boundary_from_instances,
)
from histogan_tf.data.manifest import ImageInfo
from histogan_tf.data.pairs import ImageFiles
from histogan_tf.data.records import Tile
from histogan_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class TileReader:
    """Reads sources: `mpp` in um/px overrides the files, None asks them."""

    table: ClassTable
    mpp: float | None
    boundary_um: float | None

    def read(self, source: ImageFiles) -> Tile:
        """Reads and checks all files of one source.

        Raises:
          UnreadableError: a file is no whole image.
          InputError: sizes differ, a mask value is in no class, no um/px.
        """
        image = images.read_image(source.image)
        mpp = self.mpp or images.read_mpp(source.image)
        if mpp is None:
            raise InputError(
                f"{source.image}: no um/px in the file; state it with --mpp"
            )
        mask = None
        if source.mask is not None:
            raw = images.read_mask_raw(source.mask, self.table.by_color)
            check_size(raw, source.mask, image, source.image)
            mask = self.table.map_mask(raw, source.mask)
            if source.instances is not None:
                self._paint_boundary(mask, image, source, mpp)
        return Tile(source.name, image, mask, mpp, source.group)

    def _paint_boundary(
        self,
        mask: np.ndarray,
        image: np.ndarray,
        source: ImageFiles,
        mpp: float,
    ) -> None:
        """Writes the boundary class into `mask`, except where ignored."""
        assert source.instances and self.boundary_um and self.table.boundary
        ids = images.read_mask_raw(source.instances)
        if ids.ndim == 3:
            raise InputError(
                f"{source.instances}: colours; instance masks hold one integer"
                " a pixel"
            )
        check_size(ids, source.instances, image, source.image)
        rim = boundary_from_instances(ids, self.boundary_um / mpp)
        mask[rim & (mask != IGNORE)] = self.table.boundary.id


def check_size(
    mask: np.ndarray,
    mask_path: pathlib.Path,
    image: np.ndarray,
    image_path: pathlib.Path,
) -> None:
    """Raises InputError unless image and mask are equally large."""
    if mask.shape[:2] != image.shape[:2]:
        (height, width), (tall, wide) = mask.shape[:2], image.shape[:2]
        raise InputError(
            f"{mask_path}: {width} x {height} px, but its image {image_path}"
            f" has {wide} x {tall}"
        )


def describe(tile: Tile, count: int) -> ImageInfo:
    """What the manifest says of a tile, with `count` classes."""
    height, width, _ = tile.image.shape
    pixels = ignored = None
    if tile.mask is not None:
        # Faster than bincount, which makes 8 bytes of each pixel.
        pixels = tuple(_pixels_of(tile.mask, k) for k in range(count))
        ignored = _pixels_of(tile.mask, IGNORE)
    return ImageInfo(
        tile.name, height, width, tile.mpp, tile.group, pixels, ignored
    )


def _pixels_of(mask: np.ndarray, value: int) -> int:
    return int(np.count_nonzero(mask == value))
