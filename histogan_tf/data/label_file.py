"""A label TIFF read by windows.

In: the path of a TIFF of one flat image of integers (a class mask, as
`trainer.segment` writes it for slides). Out: its size and the raw values of
any window. Uncompressed files are mapped into memory; of others, tiles or
strips are decoded as windows need them, and the latest are kept.

A mask that is one compressed strip can only be decoded whole.
"""

import functools
import os

import numpy as np
import tifffile

from histogan_tf.data.images import UnreadableError
from histogan_tf.errors import InputError
from histogan_tf.sources import Source, from_array

_KEPT_BYTES = 256 << 20


def source(path: str | os.PathLike) -> Source:
    """Raw values of a label TIFF: any integer type.

    The file stays open as long as the source is in use.

    Raises:
      UnreadableError: no TIFF, or a damaged one.
      InputError: samples that are no integers, or several a pixel.
    """
    try:
        tif = tifffile.TiffFile(path)
        page = tif.series[0].keyframe
        mapped = page.is_memmappable
    except FileNotFoundError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except Exception as error:
        # tifffile raises kinds of its own and whatever a field leads to.
        raise UnreadableError(path, str(error) or repr(error)) from error
    if page.dtype is None or page.dtype.kind not in "ui":
        raise InputError(f"{path}: samples are {page.dtype}; integers needed")
    if page.samplesperpixel != 1 or len(page.shape) != 2:
        raise InputError(
            f"{path}: shape {list(page.shape)}; one value a pixel is needed"
        )
    if mapped:
        return from_array(tifffile.memmap(path, page=page.index, mode="r"))
    return Source(*page.shape, _Segments(path, tif, page).read)


class _Segments:
    """The tiles or strips of one page, decoded on demand."""

    def __init__(
        self,
        path: str | os.PathLike,
        tif: tifffile.TiffFile,
        page: tifffile.TiffPage,
    ):
        self.path, self.tif, self.page = path, tif, page
        self.height, self.width = page.shape
        self.tall = page.tilelength if page.is_tiled else page.rowsperstrip
        self.wide = page.tilewidth if page.is_tiled else self.width
        size = self.tall * self.wide * np.dtype(page.dtype).itemsize
        kept = functools.lru_cache(max(1, _KEPT_BYTES // size))
        self.segment = kept(self._segment)

    def read(self, row: int, column: int, tall: int, wide: int) -> np.ndarray:
        """The values of a window inside the page."""
        out = np.zeros((tall, wide), self.page.dtype)
        across = -(-self.width // self.wide)
        for down in range(row // self.tall, (row + tall - 1) // self.tall + 1):
            for along in range(
                column // self.wide, (column + wide - 1) // self.wide + 1
            ):
                top, left = down * self.tall - row, along * self.wide - column
                part = self.segment(down * across + along)
                _paste(out, part, top, left)
        return out

    def _segment(self, index: int) -> np.ndarray:
        try:
            handle = self.tif.filehandle
            handle.seek(self.page.dataoffsets[index])
            data = handle.read(self.page.databytecounts[index])
            found = self.page.decode(data, index)[0]
        except Exception as error:
            raise UnreadableError(self.path, str(error)) from error
        if found is None:  # a tile without bytes is a tile of nodata
            return np.full(
                (self.tall, self.wide), self.page.nodata, self.page.dtype
            )
        return found[0, :, :, 0]


def _paste(out: np.ndarray, part: np.ndarray, top: int, left: int) -> None:
    """Copies what of `part`, placed at (top, left), lies inside `out`."""
    bottom = min(top + part.shape[0], out.shape[0])
    right = min(left + part.shape[1], out.shape[1])
    first, start = max(top, 0), max(left, 0)
    out[first:bottom, start:right] = part[
        first - top : bottom - top, start - left : right - left
    ]
