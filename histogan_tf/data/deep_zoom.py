"""Images of any size as Deep Zoom: square tiles in folders, for browsers.

In: a reader of windows of the finest level. Out: `<name>.dzi` and
`<name>_files/<level>/<column>_<row>.<ending>`, the layout of Microsoft's Deep
Zoom without overlap: level 0 has one pixel, every next one twice as many a
side, rounded up, and the last is the image.

The finest level is read once, tile by tile; a tile of any other is made from
the four above it. At most four tiles a level are held, whatever the size.
"""

import os
import pathlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from histogan_tf.data import png, tile_pixels

TILE = 512
Progress = Callable[[int, int], None]

_DESCRIPTION = """<?xml version="1.0" encoding="UTF-8"?>
<Image xmlns="http://schemas.microsoft.com/deepzoom/2008" Format="{ending}"
 Overlap="0" TileSize="{tile}"><Size Width="{width}" Height="{height}"/></Image>
"""


@dataclass(frozen=True)
class TileKind:
    """How tiles are written.

    `encode` maps uint8 [h, w, ...] to the bytes of a file with this `ending`,
    `halve` [2h, 2w, ...] to [h, w, ...].
    """

    ending: str
    encode: Callable[[np.ndarray], bytes]
    halve: Callable[[np.ndarray], np.ndarray]


def jpeg(quality: int) -> TileKind:
    """Colours, uint8 RGB [h, w, 3]; quality 1 to 100."""
    encode = tile_pixels.jpeg_rgb(quality).encode
    return TileKind("jpg", encode, tile_pixels.averaged)


def classes(colors: np.ndarray) -> TileKind:
    """Class ids, uint8 [h, w], as palette PNGs.

    Args:
      colors: uint8 RGBA [N, 4] of the ids below N <= 255; all other ids are
        fully transparent.
    """
    count = len(colors)
    palette = np.concatenate([colors, np.zeros((1, 4), np.uint8)])

    def encode(ids: np.ndarray) -> bytes:
        return png.encode_palette(np.minimum(ids, count), palette)

    return TileKind("png", encode, tile_pixels.commonest)


@dataclass(frozen=True)
class DeepZoom:
    """An image to be written: its size in px, and its windows.

    `read` maps row, column, height and width to pixels.
    """

    height: int
    width: int
    read: Callable[[int, int, int, int], np.ndarray]
    kind: TileKind
    tile: int = TILE

    @property
    def last(self) -> int:
        """Number of the finest level."""
        return (max(self.height, self.width) - 1).bit_length()

    def size(self, level: int) -> tuple[int, int]:
        """Height and width of a level."""
        scale = 1 << (self.last - level)
        return -(-self.height // scale), -(-self.width // scale)

    def grid(self, level: int) -> tuple[int, int]:
        """Rows and columns of a level's tiles."""
        height, width = self.size(level)
        return -(-height // self.tile), -(-width // self.tile)

    def write(
        self,
        folder: str | os.PathLike,
        name: str,
        progress: Progress = lambda done, total: None,
    ) -> None:
        """Writes all tiles and the description.

        Args:
          folder: exists, and holds nothing of this name.
          name: of the image.
          progress: called with tiles done and all tiles, finest level.
        """
        folder = pathlib.Path(folder)
        tiles = folder / f"{name}_files"
        for level in range(self.last + 1):
            (tiles / str(level)).mkdir(parents=True)
        rows, columns = self.grid(self.last)
        done = 0

        def step() -> None:
            nonlocal done
            done += 1
            progress(done, rows * columns)

        self._make(tiles, (0, 0, 0), step)
        text = _DESCRIPTION.format(
            ending=self.kind.ending,
            tile=self.tile,
            width=self.width,
            height=self.height,
        )
        (folder / f"{name}.dzi").write_text(text)

    def _make(
        self,
        folder: pathlib.Path,
        place: tuple[int, int, int],
        step: Callable[[], None],
    ) -> np.ndarray:
        """Writes the tile at level, row, column, and all above; its pixels."""
        level, row, column = place
        if level == self.last:
            pixels = self._read(row, column)
            step()
        else:
            pixels = self.kind.halve(_even(self._above(folder, place, step)))
        path = folder / str(level) / f"{column}_{row}.{self.kind.ending}"
        path.write_bytes(self.kind.encode(np.ascontiguousarray(pixels)))
        return pixels

    def _read(self, row: int, column: int) -> np.ndarray:
        top, left = row * self.tile, column * self.tile
        height = min(self.tile, self.height - top)
        return self.read(top, left, height, min(self.tile, self.width - left))

    def _above(
        self,
        folder: pathlib.Path,
        place: tuple[int, int, int],
        step: Callable[[], None],
    ) -> np.ndarray:
        """The up to four tiles that a tile is made from, as one."""
        level, *where = place
        grid = self.grid(level + 1)
        # Below one tile a level's only tile is made from the next one's.
        rows, columns = (
            range(2 * n, min(2 * n + 2, size))
            for n, size in zip(where, grid, strict=True)
        )
        return np.concatenate(
            [
                np.concatenate(
                    [
                        self._make(folder, (level + 1, y, x), step)
                        for x in columns
                    ],
                    axis=1,
                )
                for y in rows
            ]
        )


def _even(pixels: np.ndarray) -> np.ndarray:
    """The last row and column twice where their number is odd."""
    odd = [(0, size % 2) for size in pixels.shape[:2]]
    return np.pad(pixels, [*odd, *[(0, 0)] * (pixels.ndim - 2)], mode="edge")
