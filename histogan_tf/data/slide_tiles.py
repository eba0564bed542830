"""The tiles of one slide: where they are, and their image and labels.

In: a source (slide and, where it has them, annotations), settings, the class
table. Out: the boxes worth storing, and the Tile of each.

A tile is labelled if any of its pixels is annotated, with 255 on the others;
it has no mask if none is. Boxes with annotation are always stored, others
where there is tissue enough.

Context: a tile is cut at the finest um/px wanted and is large (1024 px
unless stated otherwise). Stages average it to their own scale and cut their
crops from it (`dataset.py`), so the coarsest stage's crop must fit into it: 48
px at 4.96 um/px are 384 px at 0.62. Nothing is stored twice for their sake.
"""

import dataclasses
from types import TracebackType
from typing import Self

import numpy as np

from histogan_tf.data import (
    annotations,
    scale_notes,
    slide_grid,
    slides,
    tissue,
)
from histogan_tf.data.annotations import Labels
from histogan_tf.data.classes import IGNORE, ClassTable
from histogan_tf.data.pairs import ImageFiles
from histogan_tf.data.records import Tile
from histogan_tf.data.slide_grid import TilePlace
from histogan_tf.data.slide_settings import SlideSettings
from histogan_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class SlideTiles:
    """An open slide with its labels; a context manager.

    `mpp` is the tiles' um/px. Threads may share it.
    """

    source: ImageFiles
    slide: slides.Slide
    labels: Labels | None
    mpp: float
    settings: SlideSettings

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.labels:
            self.labels.close()
        self.slide.close()

    def boxes(self) -> list[TilePlace]:
        """The tiles worth storing, row by row.

        Raises:
          UnreadableError: the slide is damaged.
          InputError: a value of a mask file is in no class.
        """
        found = tissue.find(self.slide)
        every = slide_grid.divide(
            *self.slide.size_at(self.mpp), self.settings.tile_px
        )
        return [
            box
            for box in every
            if self._tissue(found, box) >= self.settings.tissue
            or self._mask(box) is not None
        ]

    def read(self, box: TilePlace) -> Tile:
        """One tile; its mask is None where nothing is annotated.

        Raises:
          UnreadableError: the slide is damaged there.
        """
        return Tile(
            f"{self.slide.name}_y{box.row}_x{box.column}",
            self.slide.read_region(*box.place, self.mpp),
            self._mask(box),
            self.mpp,
            self.source.group,
        )

    def _tissue(self, found: tissue.Tissue, box: TilePlace) -> float:
        edges = (
            box.row,
            box.column,
            box.row + box.height,
            box.column + box.width,
        )
        return found.share(*(edge * self.mpp for edge in edges))

    def _mask(self, box: TilePlace) -> np.ndarray | None:
        if self.labels is None:
            return None
        mask = self.labels.read(*box.place, self.mpp)
        return None if (mask == IGNORE).all() else mask


def open_tiles(
    source: ImageFiles, table: ClassTable, settings: SlideSettings
) -> SlideTiles:
    """Opens a slide and its annotations.

    Raises:
      UnreadableError: the slide cannot be read.
      InputError: no um/px, a slide coarser than the tiles, or annotations
        that `annotations.open_labels` refuses.
    """
    slide = slides.open_slide(source.image, settings.mpp)
    try:
        mpp = _tile_mpp(slide, settings.tile_mpp)
        labels = None
        if source.mask is not None:
            labels = annotations.open_labels(source.mask, table, slide)
    except BaseException:
        slide.close()
        raise
    return SlideTiles(source, slide, labels, mpp, settings)


def _tile_mpp(slide: slides.Slide, wanted: float | None) -> float:
    near = 1 + scale_notes.NEAR
    if wanted is None or slide.mpp / near <= wanted <= slide.mpp * near:
        return slide.mpp
    if wanted < slide.mpp:
        raise InputError(
            f"{slide.path}: {slide.mpp:g} um/px is coarser than"
            f" --tile_mpp {wanted:g}"
        )
    return wanted
