"""Exact area averages of a grid of pixels on another grid.

In: pixels of a source and the two grids. Out: float32 means. Pixel i of the
wanted grid covers i * ratio to (i + 1) * ratio of the source, whose pixels are
squares of one colour; its value is the mean over what it covers.

An output pixel is summed in an order that depends on its absolute place
alone, so it has the same bits however a region is cut into windows.
"""

import dataclasses
import math

import cv2
import numpy as np

# Rows of the wanted grid at once, whose numbers stay in the cache: a third of
# the time.
_STRIP = 32


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
    picked = columns.first - columns.first[0]
    out = np.empty((len(rows.first), len(picked), source.shape[2]), np.float32)
    for start in range(0, len(out), _STRIP):
        part = slice(start, start + _STRIP)
        first = rows.first[part]
        top, end = int(first[0]), int(first[-1]) + len(rows.weights)
        strip = source[top - rows.first[0] : end - rows.first[0]]
        tall = _averaged_rows(strip, first - top, rows.weights[:, part])
        out[part] = _turned(
            _averaged_rows(_turned(tall), picked, columns.weights)
        )
    return out


def _averaged_rows(
    source: np.ndarray, first: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """[h, w, C] -> float32 [len(first), w, C]."""
    pixels = source.astype(np.float32, copy=False)
    lines = weights[..., None, None]
    total = pixels[first] * lines[0]
    for offset, line in enumerate(lines[1:], 1):
        part = pixels[first + offset]
        total += np.multiply(part, line, out=part)
    return total


def _turned(pixels: np.ndarray) -> np.ndarray:
    """[h, w, C] -> [w, h, C]: rows are faster to pick than columns."""
    height, width, samples = pixels.shape
    return cv2.transpose(pixels).reshape(width, height, samples)
