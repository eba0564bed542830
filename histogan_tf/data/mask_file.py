"""Mask images and label TIFFs as labels of a slide.

In: a mask as large as the slide's level 0 or some number of times smaller
(PNG, BMP; TIFF, tiled or pyramidal, of which level 0 is read window by
window), and the class table. Out: class ids of any window at any um/px.

A pixel of the grid at X um/px (that of `slides.py`) has the class of the mask's
pixel that holds its centre; beyond the border it is 255. A mask whose size is
the slide's divided by a whole number, rounded up or down, counts as exactly
that much smaller, as a slide's levels do.
"""

import dataclasses
import os
from collections.abc import Callable

import numpy as np

from histogan_tf.data import images, scale_notes, tiff_blocks
from histogan_tf.data.blocks import Backend, BlockImage, Level, reduction
from histogan_tf.data.classes import IGNORE, ClassTable
from histogan_tf.data.slides import Slide
from histogan_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class MaskFile:
    """An open mask.

    `mpp` is um/px down and across, from the size of its slide; `stated` what
    the file says itself, where the sizes leave it open.
    """

    path: str | os.PathLike
    table: ClassTable
    image: BlockImage
    mpp: tuple[float, float]
    stated: float | None = None

    def read(
        self, row: int, column: int, height: int, width: int, mpp: float
    ) -> np.ndarray:
        """Class ids uint8 [height, width] of a window of the grid.

        Raises:
          InputError: a value of the mask is in no class.
        """
        level = self.image.levels[0]
        rows = _places(row, height, mpp / self.mpp[0])
        columns = _places(column, width, mpp / self.mpp[1])
        out = np.full((height, width), IGNORE, np.uint8)
        inner = (rows >= 0) & (rows < level.height)
        across = (columns >= 0) & (columns < level.width)
        if not inner.any() or not across.any():
            return out
        rows, columns = rows[inner], columns[across]
        raw = self.image.window(
            0,
            int(rows[0]),
            int(columns[0]),
            int(rows[-1] - rows[0]) + 1,
            int(columns[-1] - columns[0]) + 1,
        )
        picked = raw[(rows - rows[0])[:, None], columns - columns[0]]
        ids = self.table.map_mask(picked, self.path)
        out[np.ix_(inner, across)] = ids
        return out

    def close(self) -> None:
        """Closes the file."""
        self.image.close()


def open_mask(
    path: str | os.PathLike,
    table: ClassTable,
    slide: Slide,
    finer: bool = False,
) -> MaskFile:
    """Opens a mask of a slide.

    Args:
      path: of the mask.
      table: maps its values.
      slide: what it covers.
      finer: whether it may have more pixels than the slide.

    Raises:
      UnreadableError: no whole image.
      InputError: a JPEG, samples that are no integers, or a mask whose extent
        is not the slide's.
    """
    backend = _backend(path, table.by_color)
    image = BlockImage(backend)
    level = image.levels[0]
    across = reduction(slide.width, level.width)
    # Where the sizes tell the scale, what the mask states is less true.
    stated = None if across.is_integer() else backend.mpp
    try:
        _check_extent(path, level, stated, slide, finer)
    except InputError:
        image.close()
        raise
    scale = (
        slide.mpp * reduction(slide.height, level.height),
        slide.mpp * across,
    )
    return MaskFile(path, table, image, scale, stated)


def _backend(path: str | os.PathLike, colors: bool) -> Backend:
    if tiff_blocks.is_tiff(path):
        return tiff_blocks.open_stored(path, colors)
    raw = images.read_mask_raw(path, colors)
    height, width = raw.shape[:2]
    close: Callable[[], None] = lambda: None  # noqa: E731
    level = Level(height, width, height, width)
    return Backend((level,), lambda *_: raw, close, None)


def _places(start: int, count: int, ratio: float) -> np.ndarray:
    """Mask pixels that hold the centres of `count` grid pixels."""
    centres = (np.arange(start, start + count, dtype=np.int64) + 0.5) * ratio
    return np.floor(centres).astype(np.int64)


def _check_extent(
    path: str | os.PathLike,
    level: Level,
    mpp: float | None,
    slide: Slide,
    finer: bool,
) -> None:
    """Raises InputError unless mask and slide cover the same area."""
    ratio = slide.width / level.width
    wanted = slide.height / ratio
    # One pixel for the height's rounding, and what the width's leaves open; of
    # a slide that is coarser its own pixel.
    slack = (1.0 + wanted / level.width) * max(1.0, 1.0 / ratio)
    larger = ratio < 1 - 1 / level.width and not finer
    if abs(level.height - wanted) > slack or larger:
        allowed = "cover the same area" if finer else "are as large or smaller"
        raise InputError(
            f"{path}: {level.width} x {level.height} px; its slide"
            f" {slide.path} has {slide.width} x {slide.height}, and masks"
            f" {allowed}, at one ratio of height to width; of slides with"
            " bounds (MRXS) they cover the whole, not QuPath's crop to them"
        )
    stated = (mpp or 0.0) * level.width
    if (
        stated
        and abs(stated / (slide.mpp * slide.width) - 1) > scale_notes.SAME_SCALE
    ):
        raise InputError(
            f"{path}: {stated:.0f} um wide by its own um/px, but its slide"
            f" {slide.path} is {slide.mpp * slide.width:.0f} um wide"
        )
