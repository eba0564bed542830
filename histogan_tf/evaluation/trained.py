"""The networks of a trained run, ready for images of any size.

In: a run directory whose phases are complete. Out: its pyramid's canvas, the
final segmenter and the judge, and the scale of each stage.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from histogan_tf import run_dir
from histogan_tf.canvas import Canvas, Reader
from histogan_tf.data.classes import IGNORE, ClassTable
from histogan_tf.metrics.labels import class_ids
from histogan_tf.models.turned import Turned
from histogan_tf.run_dir import RunDir

Read = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Trained:
    """A run's networks, ready for images of any size.

    `segmenter` and `judge` map uint8 [H, W, 3] to float32 [H, W, N], and so
    does `turned`, the segmenter shown an image `views` ways round, if it is.
    """

    canvas: Canvas
    segmenter: Read
    judge: Read
    table: ClassTable
    views: int = 1
    turned: Read | None = None

    @property
    def stages(self) -> int:
        """Number of stages."""
        return len(self.canvas.pyramid.stages)

    def mpp(self, stage: int) -> float:
        """um/px of a stage."""
        return self.canvas.pyramid.config.stage_mpp(stage)

    def known_mask(self, image: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """A tile's mask, where it is ignored what the judge reads there.

        So layouts to paint are those of real images, as while training.
        """
        gap = mask == IGNORE
        if not gap.any():
            return mask
        return np.where(gap, class_ids(self.judge(image)), mask)

    def factor(self, stage: int) -> int:
        """Pixels of the finest stage along a pixel of this one."""
        return 2 ** (self.stages - 1 - stage)


def open_trained(run: RunDir, views: int = 1) -> Trained:
    """Loads every network of a run.

    `views`: 1 to 8; above 1 the segmenter is there in so many ways too.

    Raises:
      InputError: a phase has no checkpoint.
    """
    segmenter, judge = (
        run_dir.load_segmenter(run, phase) for phase in ("segmenter", "judge")
    )
    return Trained(
        Canvas(run_dir.load_pyramid(run)),
        Reader(segmenter),
        Reader(judge),
        run.classes(),
        views,
        Reader(Turned(segmenter, views)) if views > 1 else None,
    )
