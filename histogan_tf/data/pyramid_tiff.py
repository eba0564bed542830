"""Images of any size, written window by window: pyramidal OME-TIFF.

In: the windows of an image or label map, in the order of `windows`. Out: one
tiled BigTIFF with all levels (`tiff_layout`), opened alike by tifffile,
OpenSlide and QuPath. Memory does not grow with the image.

Tiles are kept in a work folder beside the target, `.<name>.work`, until the
file is whole; then it appears under its name. A writer that was killed goes on
after its last window, and the file has the same bytes as without.

Lower levels are made from the tiles of the level above, after all windows.
Tiles at the border are filled by repeating the last row and column.
"""

import os
import pathlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from histogan_tf import work_folder
from histogan_tf.data import tiff_layout
from histogan_tf.data.tiff_layout import Facts, Level
from histogan_tf.data.tile_journal import TileJournal
from histogan_tf.errors import InputError
from histogan_tf.files import sync
from histogan_tf.regions import Box

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Plan:
    """An image to be written.

    `window` is the side of windows, a multiple of the tile's side.
    """

    height: int
    width: int
    window: int
    facts: Facts

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 1:
            raise InputError(
                f"image of {self.height} x {self.width} px: 1 x 1 or more"
            )
        tile = self.facts.tile
        if tile < 16 or tile % 16 or self.window < 1 or self.window % tile:
            raise InputError(
                f"window={self.window}, tile={tile}: a window is a multiple of"
                " the tile, a tile a multiple of 16"
            )

    @property
    def windows(self) -> list[Box]:
        """All windows, by rows; the border's, which are less work, come last.

        So the most that a window needs is taken at the start.
        """
        boxes = [
            Box(
                top,
                min(top + self.window, self.height),
                left,
                min(left + self.window, self.width),
            )
            for top in range(0, self.height, self.window)
            for left in range(0, self.width, self.window)
        ]
        return sorted(boxes, key=self._at_border)

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Height and width of every level, the last within one tile."""
        out = [(self.height, self.width)]
        while max(out[-1]) > self.facts.tile:
            out.append((-(-out[-1][0] // 2), -(-out[-1][1] // 2)))
        return out

    def _at_border(self, box: Box) -> bool:
        return (
            min(box.top, box.left) == 0
            or box.bottom == self.height
            or box.right == self.width
        )

    def describe(self) -> dict[str, Any]:
        """What must be the same when an interrupted writer goes on."""
        return {
            "height": self.height,
            "width": self.width,
            "window": self.window,
            "order": "border last",
            "tile": self.facts.tile,
            "mpp": self.facts.mpp,
            "name": self.facts.name,
            "pixels": self.facts.pixels.name,
            "channel": self.facts.pixels.channel,
        }


class PyramidWriter:
    """Writes one file; `done` windows are finished already."""

    def __init__(
        self, target: str | os.PathLike, plan: Plan, identity: dict[str, Any]
    ):
        """Opens the work folder, or makes it.

        Args:
          target: file to make; its folder exists.
          plan: of the image.
          identity: JSON values that decide the pixels, such as seed and
            inputs; an interrupted work of other values is not continued.

        Raises:
          InputError: the target exists, another process is writing it, or
            the unfinished work there is of another plan or identity.
        """
        self.target, self.plan = pathlib.Path(target), plan
        if self.target.exists():
            raise InputError(f"{self.target}: exists already")
        folder = work_folder.beside(self.target)
        work_folder.claim(folder, plan.describe() | identity)
        self._store = TileJournal(folder, tiff_layout.HEADER_SIZE)
        tile = plan.facts.tile
        self._levels = [
            Level(height, width, *(np.zeros(grid, np.int64) for _ in range(2)))
            for height, width, grid in (
                (h, w, (-(-h // tile), -(-w // tile))) for h, w in plan.sizes
            )
        ]
        self._windows = plan.windows
        place = self._store.header
        for step, sizes in enumerate(self._store.steps):
            for (level, *where), size in zip(
                self._tiles_of(step), sizes, strict=True
            ):
                self._register(level, tuple(where), place, size)
                place += size

    def __enter__(self) -> "PyramidWriter":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def done(self) -> int:
        """Number of windows that are finished."""
        return min(len(self._store.steps), len(self._windows))

    def write(self, index: int, pixels: np.ndarray) -> None:
        """Adds the next window, or passes over one that is there already.

        Args:
          index: in `Plan.windows`; `done`, or less.
          pixels: uint8 [h, w, S], or [h, w] where S is 1.

        Raises:
          InputError: no space left on the disk.
        """
        box = self._windows[index]
        pixels = pixels.reshape(box.height, box.width, -1)
        if index < self.done:
            return
        assert index == self.done, (index, self.done)
        tile = self.plan.facts.tile
        padded = _filled(pixels, -box.height % tile, -box.width % tile)
        self._append(
            index,
            [
                padded[y : y + tile, x : x + tile]
                for y in range(0, padded.shape[0], tile)
                for x in range(0, padded.shape[1], tile)
            ],
        )

    def finish(self, progress: Progress = lambda done, total: None) -> None:
        """Makes the lower levels, and the file under its name."""
        total = sum(len(level.offsets) for level in self._levels[1:])
        for step in range(len(self._store.steps), len(self._windows) + total):
            tiles = self._tiles_of(step)
            self._append(step, [self._halved(*where) for where in tiles])
            progress(step + 1 - len(self._windows), total)
        place = self._store.size + -self._store.size % 8
        tail, first = tiff_layout.directories(
            self._levels, self.plan.facts, place
        )
        gap = bytes(place - self._store.size)
        self._store.finish(tiff_layout.header(first), gap + tail, self.target)
        shutil.rmtree(self._store.folder)
        sync(self.target.parent)

    def close(self) -> None:
        """Stops; the work folder stays, so that another writer goes on."""
        self._store.close()

    def _tiles_of(self, step: int) -> list[tuple[int, int, int]]:
        """Level, row and column of a step's tiles: a window, or a row."""
        if step < len(self._windows):
            grid = self._windows[step].coarser(self.plan.facts.tile)
            rows = range(grid.top, grid.bottom)
            columns = range(grid.left, grid.right)
            return [(0, row, column) for row in rows for column in columns]
        row, level = step - len(self._windows), 1
        while row >= len(self._levels[level].offsets):
            row -= len(self._levels[level].offsets)
            level += 1
        across = self._levels[level].offsets.shape[1]
        return [(level, row, column) for column in range(across)]

    def _append(self, step: int, tiles: list[np.ndarray]) -> None:
        encode = self.plan.facts.pixels.encode
        blobs = [encode(np.ascontiguousarray(tile)) for tile in tiles]
        places = self._store.append(blobs)
        for (level, *where), place, blob in zip(
            self._tiles_of(step), places, blobs, strict=True
        ):
            self._register(level, tuple(where), place, len(blob))

    def _register(
        self, level: int, where: tuple[int, ...], place: int, size: int
    ) -> None:
        self._levels[level].offsets[where] = place
        self._levels[level].sizes[where] = size

    def _halved(self, level: int, row: int, column: int) -> np.ndarray:
        """A tile of a lower level, from up to four of the one above."""
        above, tile = self._levels[level - 1], self.plan.facts.tile
        rows, columns = (
            range(2 * n, min(2 * n + 2, size))
            for n, size in zip((row, column), above.offsets.shape, strict=True)
        )
        whole = np.concatenate(
            [
                np.concatenate([self._tile(above, y, x) for x in columns], 1)
                for y in rows
            ]
        )
        missing = (2 * tile - n for n in whole.shape[:2])
        return self.plan.facts.pixels.halve(_filled(whole, *missing))

    def _tile(self, level: Level, row: int, column: int) -> np.ndarray:
        place, size = level.offsets[row, column], level.sizes[row, column]
        data = self._store.read(int(place), int(size))
        return self.plan.facts.pixels.decode(data)


def _filled(pixels: np.ndarray, below: int, right: int) -> np.ndarray:
    return np.pad(pixels, ((0, below), (0, right), (0, 0)), mode="edge")
