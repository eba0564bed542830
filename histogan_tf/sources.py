"""Class masks and images that are read by windows, never held whole.

In: an array, or any function that reads a window (`data/slides.py`,
`data/annotations.py` and `data/blocks.py` have such). Out: a `Source`: its size
and `read(row, column, height, width)`, the pixels of a window inside it.

Beyond its border a source is mirrored (`mirrored`), the element before the
first being the first itself, as `preprocess.mirror` does with whole tensors.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from histogan_tf.data.classes import IGNORE
from histogan_tf.errors import InputError
from histogan_tf.regions import Box

Read = Callable[[int, int, int, int], np.ndarray]


@dataclass(frozen=True)
class Source:
    """Pixels of a canvas: class ids uint8 [H, W], or images [H, W, 3].

    `read` maps row, column, height and width of a window inside the canvas
    to its pixels, and may be called by another thread, one call at a time.
    """

    height: int
    width: int
    read: Read


def from_array(values: np.ndarray) -> Source:
    """The source of an array [H, W, ...], a memory-mapped one too."""

    def read(row: int, column: int, height: int, width: int) -> np.ndarray:
        return np.asarray(values[row : row + height, column : column + width])

    return Source(values.shape[0], values.shape[1], read)


def at_scale(
    size: tuple[int, int],
    read: Callable[[int, int, int, int, float], np.ndarray],
    mpp: float,
) -> Source:
    """What reads windows at any um/px (slides, annotations), at `mpp`."""
    return Source(
        *size,
        lambda row, column, height, width: read(
            row, column, height, width, mpp
        ),
    )


def mirrored(source: Source, box: Box) -> np.ndarray:
    """The pixels of any box, mirrored beyond the border as often as needed.

    Reads no more than the smallest window that holds them.
    """
    rows = _mirrored_places(box.top, box.bottom, source.height)
    columns = _mirrored_places(box.left, box.right, source.width)
    top, left = int(rows.min()), int(columns.min())
    found = source.read(
        top, left, int(rows.max()) + 1 - top, int(columns.max()) + 1 - left
    )
    if box.within(Box(0, source.height, 0, source.width)) == box:
        return found
    return found[(rows - top)[:, None], columns - left]


def rescaled(source: Source, mpp: float, target: float) -> Source:
    """A mask of `mpp` um/px as one of `target` um/px, by nearest neighbours.

    The same pixels as `rescale.mask_to` gives of the whole.
    """
    if mpp == target:
        return source
    sizes = (source.height, source.width)
    height, width = (max(1, round(n * mpp / target)) for n in sizes)

    def places(first: int, count: int, old: int, new: int) -> np.ndarray:
        # Centre to centre, in integers so that nothing depends on rounding.
        twice = 2 * np.arange(first, first + count) + 1
        return twice * old // (2 * new)

    def read(row: int, column: int, tall: int, wide: int) -> np.ndarray:
        rows = places(row, tall, source.height, height)
        columns = places(column, wide, source.width, width)
        found = source.read(
            int(rows[0]),
            int(columns[0]),
            int(rows[-1] - rows[0]) + 1,
            int(columns[-1] - columns[0]) + 1,
        )
        return found[(rows - rows[0])[:, None], columns - columns[0]]

    return Source(height, width, read)


def mapped(
    source: Source, change: Callable[[np.ndarray], np.ndarray]
) -> Source:
    """A source whose windows are changed pixel by pixel, as raw to class."""
    return Source(
        source.height, source.width, lambda *box: change(source.read(*box))
    )


def check_window(source: Source, box: Box) -> None:
    """Raises InputError for a window that is empty or leaves the canvas."""
    whole = Box(0, source.height, 0, source.width)
    if box.height < 1 or box.width < 1 or box.within(whole) != box:
        raise InputError(
            f"window: rows {box.top} to {box.bottom}, columns {box.left} to"
            f" {box.right}; the canvas has {source.height} rows and"
            f" {source.width} columns"
        )


def check_ids(ids: np.ndarray, classes: int) -> None:
    """Raises InputError for an id that is neither a class nor 255."""
    wrong = ids[(ids >= classes) & (ids != IGNORE)]
    if wrong.size:
        raise InputError(
            f"mask: value {wrong[0]} in {wrong.size} pixels; 0..{classes - 1}"
            f" and {IGNORE} are allowed"
        )


def _mirrored_places(first: int, last: int, size: int) -> np.ndarray:
    place = np.arange(first, last) % (2 * size)
    return np.minimum(place, 2 * size - 1 - place)
