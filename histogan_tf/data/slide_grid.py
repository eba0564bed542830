"""How a slide is divided into tiles.

In: the slide's size at the tiles' um/px and the smallest side of a tile. Out:
boxes that cover the slide, each pixel once.

Sides are as equal as whole pixels allow and never below `tile_px`, unless the
slide itself is smaller: stages cut their crops from single tiles, and a tile
cut short at the border would hold no crop of the coarsest stage. So no
padding, no overlap, nothing left out.
"""

import dataclasses
import itertools


@dataclasses.dataclass(frozen=True)
class TilePlace:
    """A tile's place, in px of the grid at the tiles' um/px."""

    row: int
    column: int
    height: int
    width: int

    @property
    def place(self) -> tuple[int, int, int, int]:
        """Row, column, height and width, as readers take them."""
        return self.row, self.column, self.height, self.width


def divide(height: int, width: int, tile_px: int) -> list[TilePlace]:
    """Boxes of at least `tile_px` a side, row by row."""
    return [
        TilePlace(top, left, bottom - top, right - left)
        for top, bottom in _cuts(height, tile_px)
        for left, right in _cuts(width, tile_px)
    ]


def _cuts(size: int, side: int) -> list[tuple[int, int]]:
    count = max(1, size // side)
    edges = [place * size // count for place in range(count + 1)]
    return list(itertools.pairwise(edges))
