"""TIFF files read block by block: OME-TIFF, pyramidal, tiled or plain.

In: the path of a TIFF (classic or BigTIFF; levels as sub-IFDs or as pages).
Out: a Backend whose blocks are the file's own tiles or strips, as stored.

The first series is read. Its axes may be YX, YXS, SYX or CYX with up to four
samples (QuPath and Bio-Formats write RGB in each of these ways); other axes
must have length 1. Tiles that the file leaves out are 0 in label images and
white in others.
"""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tifffile

from histogan_tf.data import tiff
from histogan_tf.data.blocks import Backend, Level
from histogan_tf.data.images import as_rgb
from histogan_tf.errors import InputError, UnreadableError

_MOST_SAMPLES = 4


def open_rgb(path: str | os.PathLike, mpp: float | None) -> Backend:
    """Blocks as uint8 RGB [h, w, 3], with the um/px that the file states.

    If the user states `mpp`, the file need not state it rightly.

    Raises:
      UnreadableError: no TIFF, cut short, or not one flat image of grey or
        RGB.
      InputError: pixels that are not square, where `mpp` is None.
    """

    def shown(stored: np.ndarray, key: tifffile.TiffPage) -> np.ndarray:
        pixels = _displayed(stored, key)
        return as_rgb(tiff.without_extras(pixels, key.extrasamples), path)

    def check(key: tifffile.TiffPage, channels: int) -> None:
        tiff.check_colours(key.photometric, channels)

    return _open(path, mpp, shown, 255, check)


def open_stored(path: str | os.PathLike, colors: bool) -> Backend:
    """Blocks of a mask, integers [h, w], or RGB [h, w, 3].

    Args:
      path: a TIFF.
      colors: values as they look, of a colour map too; else as stored.

    Raises:
      UnreadableError: no TIFF, cut short, compressed as JPEG, or not one flat
        image.
      InputError: samples that are no integers; pixels that are not square.
    """

    def kept(stored: np.ndarray, key: tifffile.TiffPage) -> np.ndarray:
        if colors and stored.dtype.kind in "bu":
            stored = _displayed(stored, key)
        if stored.dtype == bool:
            stored = stored.astype(np.uint8)
        if stored.dtype.kind not in "ui":
            raise InputError(
                f"{path}: samples are {stored.dtype}; integers needed"
            )
        if stored.ndim == 3:
            return stored[..., 0] if stored.shape[2] < 3 else stored[..., :3]
        return stored

    def check(key: tifffile.TiffPage, channels: int) -> None:
        del channels
        tiff.check_exact(key.compression)

    return _open(path, None, kept, 0, check)


def _displayed(stored: np.ndarray, key: tifffile.TiffPage) -> np.ndarray:
    colormap = None if key.colormap is None else np.asarray(key.colormap)
    white_is_zero = key.photometric == tiff.WHITE_IS_ZERO
    return tiff.displayed(stored, colormap, white_is_zero)


@dataclasses.dataclass(frozen=True)
class _Pages:
    """One level: the pages that hold its channels (one page for RGB)."""

    keyframe: Any
    pages: tuple[Any, ...]

    @property
    def planes(self) -> int:
        """Samples that a page stores one after the other."""
        return self.keyframe.samplesperpixel if self.separate else 1

    @property
    def separate(self) -> bool:
        return (
            self.keyframe.planarconfig == tifffile.PLANARCONFIG.SEPARATE
            and self.keyframe.samplesperpixel > 1
        )

    def size(self) -> Level:
        """Size of the level and of its tiles or strips."""
        key = self.keyframe
        tall = key.tilelength if key.is_tiled else key.rowsperstrip
        wide = key.tilewidth if key.is_tiled else key.imagewidth
        tall = min(tall, key.imagelength) if not key.is_tiled else tall
        return Level(key.imagelength, key.imagewidth, tall, wide)


def _open(
    path: str | os.PathLike,
    mpp: float | None,
    convert: Callable[[np.ndarray, Any], np.ndarray],
    missing: int,
    check: Callable[[Any, int], None],
) -> Backend:
    with _reading(path), contextlib.ExitStack() as stack:
        tif = stack.enter_context(tifffile.TiffFile(path))
        # One file position for all threads: its lock does nothing by default.
        tif.filehandle.set_lock(True)
        levels = _levels(tif, path)
        key = levels[0].keyframe
        check(key, len(levels[0].pages) * key.samplesperpixel)
        sizes = tuple(level.size() for level in levels)
        stated = tiff.stated_unless(mpp, lambda: tiff.stated_mpp(path))
        close = stack.pop_all().close

    def read_block(level: int, i: int, j: int) -> np.ndarray:
        pages, size = levels[level], sizes[level]
        index = i * -(-size.width // size.block_width) + j
        with _reading(path):
            return convert(_decode(pages, size, index, missing), pages.keyframe)

    return Backend(sizes, read_block, close, stated)


@contextlib.contextmanager
def _reading(path: str | os.PathLike) -> Iterator[None]:
    """Turns the many errors of tifffile and its codecs into one."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise UnreadableError(path, str(error) or repr(error)) from error


def _levels(
    tif: tifffile.TiffFile, path: str | os.PathLike
) -> tuple[_Pages, ...]:
    if not tif.series:
        raise ValueError("cut short: no page")
    series, end = tif.series[0], os.path.getsize(path)
    levels = []
    for level in series.levels:
        pages = tuple(page for page in level.pages if page is not None)
        found = _Pages(level.keyframe, pages)
        samples = len(pages) * found.keyframe.samplesperpixel
        flat = len(pages) == 1 or found.keyframe.samplesperpixel == 1
        if not flat or samples > _MOST_SAMPLES or found.keyframe.imagedepth > 1:
            raise ValueError(
                f"shape {list(series.shape)} of axes {series.axes}; one flat"
                " image is needed"
            )
        levels.append(found)
        if not all(_is_whole(page, found, end) for page in pages):
            raise ValueError("cut short")
    return tuple(levels)


def _is_whole(page: Any, level: _Pages, end: int) -> bool:
    """Whether a page's tiles or strips are all there, before byte `end`."""
    key = level.keyframe
    if not (key.imagelength and key.imagewidth and key.dtype is not None):
        return False
    starts = np.asarray(page.dataoffsets, np.int64)
    counts = np.asarray(page.databytecounts, np.int64)
    size = level.size()
    blocks = -(-size.height // size.block_height)
    blocks *= -(-size.width // size.block_width) * level.planes
    enough = len(starts) == len(counts) >= blocks
    return enough and not (starts + counts > end).any()


def _decode(pages: _Pages, size: Level, index: int, missing: int) -> np.ndarray:
    """One block, [h, w] or [h, w, C], as stored."""
    down = -(-size.height // size.block_height)
    across = -(-size.width // size.block_width)
    parts = [
        _segment(page, pages.keyframe, index + plane * down * across)
        for page in pages.pages
        for plane in range(pages.planes)
    ]
    samples = 1 if pages.separate else pages.keyframe.samplesperpixel
    shape = (size.block_height, size.block_width, samples)
    full = [
        np.full(shape, missing, pages.keyframe.dtype) if part is None else part
        for part in parts
    ]
    block = np.concatenate(full, axis=-1)
    return block[..., 0] if block.shape[-1] == 1 else block


def _segment(page: Any, keyframe: Any, index: int) -> np.ndarray | None:
    """Decodes one tile or strip, [h, w, C]; None where none is stored."""
    more: dict[str, Any] = {"_fullsize": keyframe.is_tiled}
    if keyframe.compression in tiff.JPEG:
        more["jpegtables"] = page.jpegtables
        more["jpegheader"] = keyframe.jpegheader
    count = page.databytecounts[index]
    if not count:
        return None
    file = page.parent.filehandle
    with file.lock:
        file.seek(page.dataoffsets[index])
        data = file.read(count)
    found = keyframe.decode(data, index, **more)[0]
    return None if found is None else found[0]


def is_tiff(path: str | os.PathLike) -> bool:
    """Whether a file begins as a TIFF does."""
    with pathlib.Path(path).open("rb") as file:
        return file.read(4) in tiff.SIGNATURES
