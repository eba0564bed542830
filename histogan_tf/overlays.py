"""Masks and segmentations of a slide, to be laid over it.

In: a mask image, a label TIFF or vector annotations, the class table and the
slide. Out: an `Overlay`: class ids by windows, at a scale of its own, and how
much each class covers in what was read.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from histogan_tf import sources
from histogan_tf.data import annotations, mask_file
from histogan_tf.data.classes import ClassTable
from histogan_tf.data.slides import Slide
from histogan_tf.sources import Source


@dataclass(frozen=True)
class Overlay:
    """Class ids, 255 where there is none.

    `mpp` is um/px of the source; `notes` are lines for the user; `counts`,
    int64 [256], are the pixels of each id in all windows read so far.
    """

    source: Source
    mpp: float
    notes: tuple[str, ...]
    close: Callable[[], None]
    counts: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))

    def read(
        self, row: int, column: int, height: int, width: int
    ) -> np.ndarray:
        """A window, uint8 [height, width], which is counted."""
        ids = self.source.read(row, column, height, width)
        self.counts[:] += np.bincount(ids.ravel(), minlength=256)
        return ids

    def areas(self, classes: int) -> list[float]:
        """mm2 of each class in what was read."""
        return (self.counts[:classes] * (self.mpp / 1000.0) ** 2).tolist()


def open_overlay(
    path: str | os.PathLike,
    table: ClassTable,
    slide: Slide,
    mpp: float,
    drawn_mpp: float | None = None,
) -> Overlay:
    """Opens a mask or annotations of a slide.

    Args:
      path: of the file; masks keep their own scale.
      table: maps its values or names.
      slide: what it covers.
      mpp: um/px at which annotations are painted.
      drawn_mpp: um/px of their coordinates; None: those of the slide.

    Raises:
      InputError: see `data/annotations.py` and `data/mask_file.py`.
    """
    if not annotations.is_drawn(path):
        return _of_mask(mask_file.open_mask(path, table, slide, finer=True))
    frame = annotations.frame_of(slide)
    if drawn_mpp:
        frame = annotations.Frame(*slide.size_at(drawn_mpp), drawn_mpp)
    labels = annotations.open_drawn(path, table, frame)
    source = sources.at_scale(slide.size_at(mpp), labels.read, mpp)
    return Overlay(source, mpp, labels.notes, labels.close)


def _of_mask(mask: mask_file.MaskFile) -> Overlay:
    level = mask.image.levels[0]

    def read(*box: int) -> np.ndarray:
        return mask.table.map_mask(mask.image.window(0, *box), mask.path)

    source = Source(level.height, level.width, read)
    return Overlay(source, mask.stated or mask.mpp[1], (), mask.close)
