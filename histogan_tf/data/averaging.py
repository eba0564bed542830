"""Exact area averages of a grid of pixels on another grid.

In: pixels of a source and the two grids. Out: float32 means. Pixel i of the
wanted grid covers i * ratio to (i + 1) * ratio of the source, whose pixels are
squares of one colour; its value is the mean over what it covers.

An output pixel is summed in an order that depends on its absolute place
alone, so it has the same bits however a region is cut into windows.
"""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class Axis:
    """Rows, or columns, of the wanted grid, and what they cover of a source.

    `first` int64 [n] is the first source pixel of each; pixel `first + k`
    enters with `weights[k]`, float32 [K, n]. `inside`, float32 [n], is the
    share of the output pixel that lies in the source, the sum of its weights.
    """

    first: np.ndarray
    weights: np.ndarray
    inside: np.ndarray

    @property
    def span(self) -> tuple[int, int]:
        """First source pixel needed, and one beyond the last."""
        return int(self.first[0]), int(self.first[-1]) + len(self.weights)


def axis(start: int, count: int, ratio: float, extent: float) -> Axis:
    """Weights of `count` output pixels from `start` on.

    Args:
      start: absolute index of the first output pixel; may be negative.
      count: number of output pixels, >= 1.
      ratio: source pixels an output pixel covers, > 0.
      extent: length of the source in its pixels; beyond it weights are 0.
    """
    edges = np.arange(start, start + count + 1, dtype=np.int64) * ratio
    first = np.floor(edges[:-1]).astype(np.int64)
    edges = np.clip(edges, 0.0, extent)
    place = first + np.arange(math.ceil(ratio) + 1)[:, None]
    overlap = np.minimum(edges[1:], place + 1) - np.maximum(edges[:-1], place)
    weights = (np.maximum(overlap, 0.0) / ratio).astype(np.float32)
    inside = (np.diff(edges) / ratio).astype(np.float32)
    used = weights.any(axis=1).nonzero()[0]
    # Pixels of weight 0 at the end add nothing, exactly.
    kept = weights[: used[-1] + 1 if used.size else 1]
    return Axis(first, kept, inside)


def average(source: np.ndarray, rows: Axis, columns: Axis) -> np.ndarray:
    """Means over the output pixels.

    Args:
      source: uint8 [h, w, C], the pixels `rows.span` x `columns.span`.
      rows, columns: what to average; shares outside the source count as 0.

    Returns:
      float32 [len(rows.first), len(columns.first), C].
    """
    return _along(_along(source, rows, 0), columns, 1)


def _along(source: np.ndarray, lines: Axis, direction: int) -> np.ndarray:
    shape = [1] * source.ndim
    shape[direction] = -1
    total: np.ndarray | None = None
    for offset, weight in enumerate(lines.weights):
        part = _take(source, lines.first - lines.first[0] + offset, direction)
        part = part * weight.reshape(shape)
        total = part if total is None else np.add(total, part, out=total)
    assert total is not None
    return total


def _take(source: np.ndarray, places: np.ndarray, direction: int) -> np.ndarray:
    """`np.take`, without a copy where the places are evenly spaced."""
    steps = np.diff(places)
    if (steps == steps[:1]).all() and (not steps.size or steps[0] > 0):
        step = int(steps[0]) if steps.size else 1
        cut = slice(int(places[0]), int(places[-1]) + 1, step)
        return source[cut] if direction == 0 else source[:, cut]
    return np.take(source, places, axis=direction)
