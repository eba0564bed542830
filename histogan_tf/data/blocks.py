"""Large images that are read block by block, with a cache.

In: a backend that decodes one block of one level (a TIFF tile or strip, a
square of an openslide level, a whole PNG). Out: any window of a level,
composed of whole blocks; the same pixels whatever the window, as the blocks
lie on a fixed grid. Blocks are kept up to a number of bytes, the latest used
longest. May be called from several threads.
"""

import collections
import dataclasses
import threading
from collections.abc import Callable, Iterator

import numpy as np

CACHE_BYTES = 64 << 20


@dataclasses.dataclass(frozen=True)
class Level:
    """One level of a pyramid: its size and that of its blocks, in px."""

    height: int
    width: int
    block_height: int
    block_width: int


@dataclasses.dataclass(frozen=True)
class Backend:
    """What a file format offers.

    `levels` go from the finest down; `read_block(level, i, j)` decodes the
    block in row i and column j of the level's grid, [h, w] or [h, w, C]; what
    lies beyond the level's border may be there or not. `mpp` is the um/px of
    level 0 that the file states, or None. `origin` is the row and column of
    level 0 where the scanned area begins, which QuPath takes for (0, 0).
    """

    levels: tuple[Level, ...]
    read_block: Callable[[int, int, int], np.ndarray]
    close: Callable[[], None]
    mpp: float | None
    origin: tuple[int, int] = (0, 0)


class BlockImage:
    """Windows of a backend's levels."""

    def __init__(self, backend: Backend, cache: int = CACHE_BYTES) -> None:
        self._backend, self._limit = backend, cache
        self._held: collections.OrderedDict[
            tuple[int, int, int], np.ndarray
        ] = collections.OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def levels(self) -> tuple[Level, ...]:
        """Sizes, from the finest level down."""
        return self._backend.levels

    def close(self) -> None:
        """Closes the file and forgets its blocks."""
        self._backend.close()
        with self._lock:
            self._held.clear()
            self._bytes = 0

    def window(
        self, level: int, top: int, left: int, height: int, width: int
    ) -> np.ndarray:
        """Pixels [height, width, ...]; the window lies inside the level."""
        size = self._backend.levels[level]
        out: np.ndarray | None = None
        for i, rows, inner_rows in _cuts(top, height, size.block_height):
            for j, columns, inner in _cuts(left, width, size.block_width):
                block = self._block(level, i, j)
                if out is None:
                    shape = (height, width, *block.shape[2:])
                    out = np.empty(shape, block.dtype)
                out[rows, columns] = block[inner_rows, inner]
        assert out is not None, (height, width)
        return out

    def _block(self, level: int, i: int, j: int) -> np.ndarray:
        key = (level, i, j)
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        block = self._backend.read_block(level, i, j)
        with self._lock:
            if key not in self._held:
                self._held[key] = block
                self._bytes += block.nbytes
            # The newest stays, even if it is larger than the limit.
            while self._bytes > self._limit and len(self._held) > 1:
                self._bytes -= self._held.popitem(last=False)[1].nbytes
        return block


def _cuts(
    start: int, count: int, block: int
) -> Iterator[tuple[int, slice, slice]]:
    """Blocks that a range meets: number, place in the range, in the block."""
    for number in range(start // block, (start + count - 1) // block + 1):
        first = max(start, number * block)
        last = min(start + count, (number + 1) * block)
        yield (
            number,
            slice(first - start, last - start),
            slice(first - number * block, last - number * block),
        )


def reduction(fine: int, coarse: int) -> float:
    """How many px of a side of `fine` px one of `coarse` covers.

    A whole number where rounding up or down explains the sizes, else their
    ratio: 2967 px are 92 at 1/32, though 2967 / 92 is 32.25.
    """
    whole = max(1, round(fine / coarse))
    exact = coarse in (fine // whole, -(-fine // whole))
    return float(whole) if exact else fine / coarse
