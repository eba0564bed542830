"""Where a slide shows tissue.

In: a Slide. Out: a coarse mask, and the share of tissue in any box.

Method: HSV saturation of the slide at 8 um/px, a median of 5 px against noise,
Otsu's threshold (IEEE Trans. SMC 9:62, 1979; so do CLAM and TIAToolbox), then
an opening of 40 um that drops dust. Otsu always parts something, even bare
glass or nothing but tissue, so its threshold is kept within 12 to 30 of 255:
glass with its JPEG noise lies below, stained tissue above.
"""

import dataclasses

import cv2
import numpy as np

from histogan_tf.data.slides import Slide
from histogan_tf.regions import Box

MPP = 8.0
MEDIAN_PX = 5
OPENING_UM = 40.0
LOWEST, HIGHEST = 12, 30


@dataclasses.dataclass(frozen=True)
class Tissue:
    """A mask bool [H, W] of `mpp` um/px, from the slide's top left corner."""

    mask: np.ndarray
    mpp: float

    def share(
        self, top: float, left: float, bottom: float, right: float
    ) -> float:
        """Share 0..1 of tissue in a box, whose edges are in um."""
        rows = self._span(top, bottom, self.mask.shape[0])
        columns = self._span(left, right, self.mask.shape[1])
        return float(self.mask[rows, columns].mean())

    def window(self, box: Box, mpp: float) -> np.ndarray:
        """Whether each pixel of a window at `mpp` um/px lies on tissue.

        A pixel belongs to the mask's pixel that holds its centre; beyond
        the mask's border the nearest one counts.
        """
        rows, columns = (
            np.clip(
                ((np.arange(first, last) + 0.5) * mpp / self.mpp).astype(int),
                0,
                size - 1,
            )
            for first, last, size in zip(
                (box.top, box.left),
                (box.bottom, box.right),
                self.mask.shape,
                strict=True,
            )
        )
        return self.mask[rows[:, None], columns]

    def _span(self, first: float, last: float, size: int) -> slice:
        start = min(int(first / self.mpp), size - 1)
        return slice(start, max(start + 1, round(last / self.mpp)))


def find(slide: Slide, mpp: float = MPP) -> Tissue:
    """Finds the tissue of a slide; slides coarser than `mpp` keep their own.

    Raises:
      UnreadableError: a part of the slide is damaged.
    """
    mpp = max(mpp, slide.mpp)
    image = slide.read_region(0, 0, *slide.size_at(mpp), mpp)
    return Tissue(tissue_mask(image, mpp), mpp)


def tissue_mask(image: np.ndarray, mpp: float) -> np.ndarray:
    """Tissue in uint8 RGB [H, W, 3] of `mpp` um/px, as bool [H, W]."""
    saturation = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)[..., 1]
    calm = cv2.medianBlur(saturation, MEDIAN_PX)
    otsu, _ = cv2.threshold(calm, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    found = (calm > np.clip(otsu, LOWEST, HIGHEST)).astype(np.uint8)
    side = max(1, round(OPENING_UM / mpp))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return cv2.morphologyEx(found, cv2.MORPH_OPEN, disc) > 0
