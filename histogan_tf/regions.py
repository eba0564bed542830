"""Which part of each stage a window of a canvas needs.

In: a window in pixels of the finest scale, the canvas's size, and how far each
stage's network reaches. Out: for every stage the boxes of its result, of what
its network works on and of the mask it sees, in absolute pixels of its scale.

Each stage works on what the next one needs and no more: one halo for all
stages, as wide as the coarsest one's, costs several times as much.

The canvas is continued by mirroring as far as its extent goes (`extent`), and
no farther. A box that the extent cuts ends where the whole canvas ends, so
networks pad it as they pad the whole, and results agree there as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from histogan_tf import halo


@dataclass(frozen=True)
class Box:
    """Rows [top, bottom) and columns [left, right), any integers."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.right - self.left

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.height * self.width

    def grown(self, by: int) -> "Box":
        """`by` pixels more on each side."""
        return Box(
            self.top - by, self.bottom + by, self.left - by, self.right + by
        )

    def aligned(self, multiple: int) -> "Box":
        """The smallest box around it whose edges `multiple` divides."""
        top, height = halo.aligned(self.top, self.height, multiple)
        left, width = halo.aligned(self.left, self.width, multiple)
        return Box(top, top + height, left, left + width)

    def within(self, other: "Box") -> "Box":
        """What of it lies in another box."""
        return Box(
            max(self.top, other.top),
            min(self.bottom, other.bottom),
            max(self.left, other.left),
            min(self.right, other.right),
        )

    def around(self, other: "Box") -> "Box":
        """The smallest box that holds both."""
        return Box(
            min(self.top, other.top),
            max(self.bottom, other.bottom),
            min(self.left, other.left),
            max(self.right, other.right),
        )

    def coarser(self, factor: int) -> "Box":
        """The box of coarser pixels that covers it."""
        return Box(
            self.top // factor,
            -(-self.bottom // factor),
            self.left // factor,
            -(-self.right // factor),
        )

    def finer(self, factor: int) -> "Box":
        """The same box in finer pixels."""
        edges = (self.top, self.bottom, self.left, self.right)
        return Box(*(factor * edge for edge in edges))

    def slices(self, origin: "Box") -> tuple[slice, slice]:
        """Where it lies in the array of a box around it."""
        return (
            slice(self.top - origin.top, self.bottom - origin.top),
            slice(self.left - origin.left, self.right - origin.left),
        )


@dataclass(frozen=True)
class Need:
    """What a stage's network takes around a window of its result.

    `stride` divides the edges of what it works on, 2 or more where a coarser
    stage lies below; `body` is the reach of the network, `mask` of the mask's
    averages, in pixels of the stage.
    """

    stride: int
    body: int
    mask: int


@dataclass(frozen=True)
class StageRegion:
    """Boxes in pixels of one stage: result, network's work, mask."""

    result: Box
    body: Box
    mask: Box


@dataclass(frozen=True)
class Layout:
    """How networks, coarsest first, lie on a canvas: see `extent`."""

    needs: tuple[Need, ...]
    multiple: int
    margin: int

    def plan(
        self, height: int, width: int, window: Box
    ) -> tuple[list[StageRegion], Box]:
        """What a window of a canvas needs.

        Returns:
          The stages' regions, coarsest first, and the box of the finest
          scale that all of them see.
        """
        whole = extent(height, width, self.multiple, self.margin)
        found = stage_regions(self.needs, window, whole)
        return found, mask_box(found, self.multiple, whole)


def extent(height: int, width: int, multiple: int, margin: int) -> Box:
    """A canvas with its mirrored border: `margin` or more a side.

    Returns:
      The box in pixels of the finest scale; `multiple` divides its edges.
    """
    margin = halo.rounded(margin, multiple)
    bottom, right = (halo.rounded(n, multiple) for n in (height, width))
    return Box(-margin, bottom + margin, -margin, right + margin)


def stage_regions(
    needs: Sequence[Need], window: Box, whole: Box
) -> list[StageRegion]:
    """What each stage computes for a window, coarsest first.

    Args:
      needs: of the stages, coarsest first.
      window: wanted pixels of the finest stage.
      whole: `extent` of the canvas.
    """
    result, found = window, list[StageRegion]()
    for place, need in enumerate(reversed(needs)):
        limit = whole.coarser(2**place)
        core = result.aligned(need.stride)
        body, mask = (
            core.grown(halo.rounded(reach, need.stride)).within(limit)
            for reach in (need.body, need.mask)
        )
        found.append(StageRegion(result, body, mask))
        # Bilinear doubling looks at one coarser pixel beyond.
        result = (
            body.coarser(2).grown(1).within(whole.coarser(2 ** (place + 1)))
        )
    return found[::-1]


def mask_box(regions: Sequence[StageRegion], multiple: int, whole: Box) -> Box:
    """The mask, at the finest scale, that all stages of a window see."""
    shrink = 2 ** (len(regions) - 1)
    box = regions[-1].mask
    for place, region in enumerate(regions):
        box = box.around(region.mask.finer(shrink >> place))
    return box.aligned(multiple).within(whole)


def to_array(regions: Sequence[StageRegion]) -> np.ndarray:
    """int64 [stages, 3, 4]: result, body, mask; top, bottom, left, right."""
    return np.array(
        [
            [[b.top, b.bottom, b.left, b.right] for b in boxes]
            for boxes in ((r.result, r.body, r.mask) for r in regions)
        ],
        np.int64,
    )
