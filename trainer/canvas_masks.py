"""Masks that are read by windows: which are large, and what they hold.

In: mask files (PNG, BMP, TIFF) or annotations (`drawn_masks.py`), and the run's
classes. Out: `Source`s of class ids at the run's finest um/px. TIFFs are never
held whole, unless they are one strip.
"""

import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from histogan_tf.errors import InputError
from trainer import large_images
from trainer.drawn_masks import DrawnMasks, has_drawn_ending

if TYPE_CHECKING:
    import numpy as np

    from histogan_tf.data.classes import ClassTable
    from histogan_tf.sources import Source

_CHECKED = 4096  # side of what is looked at at once


@dataclass(frozen=True)
class MaskReader:
    """Opens masks.

    `values` maps raw values of a window to class ids; the path is for its
    error. `colors` says that palettes count as colours; `mpp` is of all
    masks, None: what TIFFs state, or `finest`, the run's. `drawn` opens
    annotations.
    """

    values: Callable[["np.ndarray", pathlib.Path], "np.ndarray"]
    colors: bool
    mpp: float | None
    finest: float
    drawn: DrawnMasks

    def scale(self, path: pathlib.Path) -> float:
        """um/px of a mask that is no annotation."""
        from histogan_tf.data import images

        return self.mpp or images.read_mpp(path) or self.finest

    def scale_notes(self, paths: list[pathlib.Path]) -> list[str]:
        """Notes on masks that state another um/px than --mpp, or none."""
        from histogan_tf.data import images, scale_notes

        plain = [path for path in paths if not has_drawn_ending(path)]
        notes = [
            self.drawn.scale_note(path)
            if has_drawn_ending(path)
            else scale_notes.file_scale_note(path, self.mpp)
            for path in paths
        ]
        bare = [p for p in plain if not self.mpp and not images.read_mpp(p)]
        whose = "the run's finest"
        return [
            *filter(None, notes),
            *scale_notes.bare_notes(bare, self.finest, whose),
        ]

    def open(self, path: pathlib.Path) -> "Source":
        """A mask at the run's finest um/px; its file stays open.

        Raises:
          InputError: not a mask; values that are no class only when a
            window is read.
        """
        from histogan_tf import sources

        if has_drawn_ending(path):
            return self.drawn.open(path, self.finest)
        # Scaled first: of a mask ten times as fine one value in 100 is mapped.
        raw = sources.rescaled(
            _raw(path, self.colors), self.scale(path), self.finest
        )
        return sources.mapped(raw, lambda window: self.values(window, path))

    def check(self, path: pathlib.Path) -> None:
        """Reads all of a mask once.

        Raises:
          InputError: not a mask, damaged, or a value that is no class.
        """
        if has_drawn_ending(path):
            self.drawn.labels(path)
            return
        raw = _raw(path, self.colors)
        for row in range(0, raw.height, _CHECKED):
            for column in range(0, raw.width, _CHECKED):
                tall = min(_CHECKED, raw.height - row)
                wide = min(_CHECKED, raw.width - column)
                self.values(raw.read(row, column, tall, wide), path)

    def whole(self, path: pathlib.Path) -> "np.ndarray":
        """All of a mask as class ids, uint8 [H, W], at the run's um/px.

        Raises:
          InputError: not a mask, damaged, or a value that is no class.
        """
        from histogan_tf import rescale
        from histogan_tf.data import images

        if has_drawn_ending(path):
            source = self.open(path)
            return source.read(0, 0, source.height, source.width)
        mask = self.values(images.read_mask_raw(path, self.colors), path)
        return rescale.mask_to(mask, self.scale(path), self.finest)

    def describe(self, path: pathlib.Path) -> dict[str, Any]:
        """What decides a mask beside its file, as JSON values."""
        if has_drawn_ending(path):
            return self.drawn.describe(path)
        return {"mask_mpp": self.scale(path)}

    def large(self, path: pathlib.Path) -> bool:
        """Whether the mask has more than `LARGE` pixels in the run."""
        if has_drawn_ending(path):
            frame = self.drawn.frame(path)
            area = frame.height * frame.width
            return area * (frame.mpp / self.finest) ** 2 > large_images.LARGE
        if not (area := large_images.pixels(path)):
            return False  # the check of all masks says what is wrong
        return area * (self.scale(path) / self.finest) ** 2 > large_images.LARGE


def _raw(path: pathlib.Path, colors: bool) -> "Source":
    from histogan_tf import sources
    from histogan_tf.data import images, tiff_blocks
    from histogan_tf.data.blocks import BlockImage

    if tiff_blocks.is_tiff(path):
        image = BlockImage(tiff_blocks.open_stored(path, colors))
        level = image.levels[0]
        return sources.Source(
            level.height, level.width, lambda *box: image.window(0, *box)
        )
    return sources.from_array(images.read_mask_raw(path, colors))


def check_ids(
    raw: "np.ndarray", path: pathlib.Path, table: "ClassTable"
) -> "np.ndarray":
    """A mask of class ids, or an InputError for the first that is none."""
    from histogan_tf.data.classes import IGNORE

    wrong = raw[(raw >= table.count) & (raw != IGNORE)]
    if raw.ndim != 2 or wrong.size:
        found = "colours"
        if raw.ndim == 2:
            count = int((wrong == wrong[0]).sum())
            found = f"value {wrong[0]} in {count} pixels"
        raise InputError(
            f"{path}: {found}; --class_ids allows"
            f" 0..{table.count - 1} and {IGNORE}"
        )
    return raw.astype("uint8")
