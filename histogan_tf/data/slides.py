"""Slides of any format behind one interface: windows at any um/px.

In: a path: what openslide reads (SVS, NDPI, MRXS, ...), OME-TIFF, pyramidal,
tiled or plain TIFF, PNG, JPEG, BMP. Out: a Slide.

The grid at X um/px: pixel (i, j) covers rows i * X to (i + 1) * X um below the
slide's top edge and columns likewise. Its value is the mean over that square
of the coarsest level that is no coarser than X, on white beyond the border; if
X is finer than level 0, over the pixels that it touches. Pixels depend on
their place alone, not on how reads are cut: same bits.

A level whose size is that of level 0 divided by a whole number, rounded up or
down, counts as exactly that much smaller; others by the ratio of the sizes.
Tiled formats are decoded tile by tile; PNG, JPEG, BMP are held whole.
"""

import math
import os
import pathlib
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from histogan_tf.data import (
    averaging,
    images,
    openslide_blocks,
    scale_notes,
    tiff_blocks,
)
from histogan_tf.data.blocks import Backend, BlockImage, Level, reduction
from histogan_tf.errors import InputError
from histogan_tf.files import stem_of

EXTENSIONS = (*images.IMAGE_EXTENSIONS, *images.SLIDE_EXTENSIONS)

WHITE = 255
# Source pixels that are averaged at once: bounds the memory of one read.
_AT_ONCE = 1 << 21
# A level that is this little too coarse still counts as fine enough.
_SLACK = 1.001


class Slide:
    """One open slide; a context manager. Made by `open_slide`.

    `name` is the file's stem, `mpp` the um/px of level 0, whose size in px is
    `height` x `width`. `origin` is the row and column of level 0 that QuPath
    takes for (0, 0): its coordinates are less by that. `scale_note` is a line
    for the user where the file states another um/px, or None. Threads may share
    it.
    """

    def __init__(self, path: str | os.PathLike, backend: Backend, mpp: float):
        self.path = pathlib.Path(path)
        self.name = stem_of(self.path)
        self.mpp = mpp
        self.scale_note = scale_notes.scale_note(path, backend.mpp, mpp)
        self.origin = backend.origin
        self._image = BlockImage(backend)
        self.height, self.width = backend.levels[0].height, self.levels[0].width

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._image.close()

    @property
    def levels(self) -> tuple[Level, ...]:
        """The file's levels, from the finest down."""
        return self._image.levels

    def size_at(self, mpp: float) -> tuple[int, int]:
        """(height, width) of the slide in px of the grid at `mpp` um/px."""
        return (
            max(1, round(self.height * self.mpp / mpp)),
            max(1, round(self.width * self.mpp / mpp)),
        )

    def read_region(
        self, row: int, column: int, height: int, width: int, mpp: float
    ) -> np.ndarray:
        """A window of the grid at `mpp` um/px.

        Args:
          row, column: its first pixel; may be negative or beyond the slide.
          height, width: its size in px, >= 1.
          mpp: um/px, > 0.

        Returns:
          uint8 RGB [height, width, 3].

        Raises:
          UnreadableError: a tile of the file is damaged.
        """
        out = np.empty((height, width, 3), np.uint8)
        number = self._level_for(mpp)
        factor = mpp / self.mpp
        down, across = self._downsample(number)
        tall, wide = _steps(factor / down, factor / across, width)
        for top in range(0, height, tall):
            for left in range(0, width, wide):
                part = out[top : top + tall, left : left + wide]
                rows = averaging.axis(
                    row + top, len(part), factor / down, self.height / down
                )
                columns = averaging.axis(
                    column + left,
                    part.shape[1],
                    factor / across,
                    self.width / across,
                )
                part[:] = self._average(number, rows, columns)
        return out

    def _level_for(self, mpp: float) -> int:
        """The coarsest level that is fine enough; else level 0."""
        factor = mpp / self.mpp
        fitting = [
            number
            for number in range(len(self.levels))
            if max(self._downsample(number)) <= factor * _SLACK
        ]
        return max(fitting, default=0)

    def _downsample(self, number: int) -> tuple[float, float]:
        """Level-0 rows and columns that a pixel of a level covers."""
        level = self.levels[number]
        return (
            reduction(self.height, level.height),
            reduction(self.width, level.width),
        )

    def _average(
        self, number: int, rows: averaging.Axis, columns: averaging.Axis
    ) -> np.ndarray:
        """Means of a level's pixels on white, uint8."""
        inside = rows.inside[:, None] * columns.inside
        if not inside.any():
            return np.full((*inside.shape, 3), WHITE, np.uint8)
        source = self._clamped(number, rows.span, columns.span)
        mean = averaging.average(source, rows, columns)
        if inside.min() < 1.0:
            mean += (1.0 - inside)[..., None] * WHITE
        # Rounds half to even and stops at 255.
        return cv2.convertScaleAbs(mean)

    def _clamped(
        self, number: int, rows: tuple[int, int], columns: tuple[int, int]
    ) -> np.ndarray:
        """Level pixels; beyond the level its outermost ones, repeated."""
        level = self.levels[number]
        down = np.clip(np.arange(*rows), 0, level.height - 1)
        across = np.clip(np.arange(*columns), 0, level.width - 1)
        top, left = int(down[0]), int(across[0])
        pixels = self._image.window(
            number,
            top,
            left,
            int(down[-1]) + 1 - top,
            int(across[-1]) + 1 - left,
        )
        if pixels.shape[:2] == (len(down), len(across)):
            return pixels
        return pixels[(down - top)[:, None], across - left]


def open_slide(path: str | os.PathLike, mpp: float | None = None) -> Slide:
    """Opens a slide.

    Args:
      path: the file; told by its content, not by its name.
      mpp: um/px of level 0; None takes what the file states.

    Raises:
      UnreadableError: no image, cut short or damaged.
      InputError: no such file; no um/px stated; pixels that are not square.
    """
    if mpp is not None and not 0 < mpp <= scale_notes.LARGEST_MPP:
        raise InputError(
            f"--mpp {mpp:g}: above 0, up to {scale_notes.LARGEST_MPP:g}"
        )
    backend = _backend(path, mpp)
    scale = mpp or backend.mpp
    if scale is None:
        backend.close()
        raise InputError(f"{path}: no um/px in the file; state it with --mpp")
    return Slide(path, backend, scale)


def _backend(path: str | os.PathLike, mpp: float | None) -> Backend:
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file")
    if openslide_blocks.vendor(path):
        return openslide_blocks.open_rgb(path, mpp)
    if tiff_blocks.is_tiff(path):
        return tiff_blocks.open_rgb(path, mpp)
    return _whole(path)


def _whole(path: str | os.PathLike) -> Backend:
    """A PNG, JPEG or BMP: one block, decoded once."""
    pixels = images.read_image(path)
    height, width = pixels.shape[:2]
    level = Level(height, width, height, width)
    return Backend((level,), lambda *_: pixels, lambda: None, None)


def _steps(rows: float, columns: float, width: int) -> tuple[int, int]:
    """Output rows and columns whose source is about `_AT_ONCE` px.

    Wide rather than tall, as a file's rows of tiles are read in turn.
    """
    widest = int(4 * math.sqrt(_AT_ONCE) / columns)
    wide = max(1, min(width, widest))
    tall = max(1, int(_AT_ONCE / (wide * columns * rows)))
    return tall, wide
