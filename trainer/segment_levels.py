"""The levels of a slide's label file: thumbnail, objects, areas.

In: a label file, as `segment_slide.py` makes it, open. Out: a level that fits
into memory, with boundaries kept; pixels of each class, in constant memory.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from histogan_tf.data.blocks import BlockImage

_COUNTED = 4096  # a power of 2: reduced pixels never cross windows


def whole_level(labels: "BlockImage", pixels: int) -> tuple["np.ndarray", int]:
    """The finest level of at most `pixels` px, and how much it is reduced."""
    areas = [level.height * level.width for level in labels.levels]
    fitting = [n for n, area in enumerate(areas) if area <= pixels]
    number = fitting[0] if fitting else len(areas) - 1
    level = labels.levels[number]
    found = labels.window(number, 0, 0, level.height, level.width)
    return found, 2**number


def object_mask(
    labels: "BlockImage", pixels: int, edge: int | None
) -> tuple["np.ndarray", int]:
    """As `whole_level`, but the class `edge` is wherever any of it is.

    The commonest class of a reduced pixel would erase thin boundaries, and
    touching objects would run together.
    """
    import numpy as np

    level, scale = whole_level(labels, pixels)
    if edge is None or scale == 1:
        return level, scale
    found = level.copy()
    for row, column, window in _windows(labels):
        more = [(0, -side % scale) for side in window.shape]
        rim = np.pad(window == edge, more)
        height, width = (side // scale for side in rim.shape)
        rim = rim.reshape(height, scale, width, scale).any(axis=(1, 3))
        top, left = row // scale, column // scale
        found[top : top + height, left : left + width][rim] = edge
    return found, scale


def class_pixels(labels: "BlockImage", classes: int) -> "np.ndarray":
    """Pixels of each class at the finest level, int64 [classes]."""
    import numpy as np

    counts = np.zeros(256, np.int64)
    for _, _, window in _windows(labels):
        counts += np.bincount(window.ravel(), minlength=256)
    return counts[:classes]


def _windows(
    labels: "BlockImage",
) -> Iterator[tuple[int, int, "np.ndarray"]]:
    """Row, column and pixels of windows that make up the finest level."""
    level = labels.levels[0]
    for row in range(0, level.height, _COUNTED):
        for column in range(0, level.width, _COUNTED):
            tall = min(_COUNTED, level.height - row)
            wide = min(_COUNTED, level.width - column)
            yield row, column, labels.window(0, row, column, tall, wide)
