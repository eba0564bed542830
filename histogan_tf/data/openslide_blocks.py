"""Scanner files read block by block through openslide (SVS, NDPI, MRXS, ...).

In: the path of a file that openslide knows by a scanner's name. Out: a Backend
of uint8 RGB blocks. What the scanner left out (alpha 0) is white.

Blocks lie on a fixed grid of each level: at levels whose downsample is no whole
number openslide resamples a little, and windows cut at will would differ in
the last bits. Coordinates are openslide's own, and ASAP's. Some formats (MRXS)
have an empty margin, which QuPath crops away: `origin` says how wide it is.
"""

import os

import numpy as np
import openslide

from histogan_tf.data import tiff
from histogan_tf.data.blocks import Backend, Level
from histogan_tf.data.images import on_white
from histogan_tf.errors import UnreadableError

_SIDE = 512


def vendor(path: str | os.PathLike) -> str | None:
    """The scanner's name, or None where openslide knows no more than we do.

    Generic TIFFs are left to tifffile, which reads more kinds of them, and
    pyramids in sub-IFDs.
    """
    found = openslide.OpenSlide.detect_format(path)
    return None if found == "generic-tiff" else found


def open_rgb(path: str | os.PathLike, mpp: float | None) -> Backend:
    """Blocks as uint8 RGB [h, w, 3], with the um/px that the file states.

    If the user states `mpp`, the file need not state it rightly.

    Raises:
      UnreadableError: damaged, or cut short.
      InputError: pixels that are not square, where `mpp` is None.
    """
    try:
        slide = openslide.OpenSlide(path)
    except openslide.OpenSlideError as error:
        raise UnreadableError(path, str(error)) from error
    levels = tuple(_level(slide, k) for k in range(slide.level_count))

    def read_block(level: int, i: int, j: int) -> np.ndarray:
        size, factor = levels[level], slide.level_downsamples[level]
        left, top = j * size.block_width, i * size.block_height
        corner = (round(left * factor), round(top * factor))
        wanted = (
            min(size.block_width, size.width - left),
            min(size.block_height, size.height - top),
        )
        try:
            pixels = np.asarray(slide.read_region(corner, level, wanted))
        except openslide.OpenSlideError as error:
            raise UnreadableError(path, str(error)) from error
        return on_white(pixels)

    stated = tiff.stated_unless(mpp, lambda: _stated_mpp(slide, path))
    return Backend(levels, read_block, slide.close, stated, _origin(slide))


def _level(slide: openslide.OpenSlide, number: int) -> Level:
    width, height = slide.level_dimensions[number]
    sides = []
    for name in ("height", "width"):
        key = f"openslide.level[{number}].tile-{name}"
        tile = int(slide.properties.get(key, _SIDE))
        # Whole tiles, so that none is decoded for two blocks.
        sides.append(tile * max(1, round(_SIDE / tile)))
    return Level(height, width, *sides)


def _origin(slide: openslide.OpenSlide) -> tuple[int, int]:
    keys = (openslide.PROPERTY_NAME_BOUNDS_Y, openslide.PROPERTY_NAME_BOUNDS_X)
    row, column = (int(slide.properties.get(key, 0)) for key in keys)
    return row, column


def _stated_mpp(
    slide: openslide.OpenSlide, path: str | os.PathLike
) -> float | None:
    keys = (openslide.PROPERTY_NAME_MPP_X, openslide.PROPERTY_NAME_MPP_Y)
    across, down = (float(slide.properties.get(key) or 0) for key in keys)
    # Also false where a file states nan.
    if not (across > 0 and down > 0):
        return None
    return tiff.square(across, down, path)
