"""A mask in, its tissue out as PNG, and that of coarser stages if asked.

In: a mask that fits in memory, a seed and a style. Out: `<mask>_<seed>.png` at
the run's finest um/px, and `stages/<k>/<mask>_<seed>.png`.
"""

import functools
import pathlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from histogan_tf import running
from trainer.canvas_masks import MaskReader
from trainer.last_made import LastMade
from trainer.synthesize_all import Job, Way

if TYPE_CHECKING:
    import numpy as np

    from histogan_tf.canvas import Canvas


@dataclass(frozen=True)
class AtOnce(Way):
    """Whole images; `stages` is how many coarser ones are written too."""

    canvas = False

    stages: int

    def files(self, name: str) -> list[str]:
        """The image of every stage that is wanted, coarsest first."""
        coarser = [f"stages/{k}/{name}.png" for k in range(self.stages)]
        return [*coarser, f"{name}.png"]

    def check(self, reader: MaskReader, path: pathlib.Path) -> None:
        """Reads all of a mask."""
        reader.whole(path)

    def paint(
        self,
        folder: pathlib.Path,
        root: pathlib.Path,
        reader: MaskReader,
        job: Job,
        show: running.Inside,
    ) -> None:
        """Paints an image."""
        from histogan_tf.data import images

        del show  # it is one step
        mask = _mask(reader, pathlib.Path(job["mask"]), job["mask_sha256"])
        canvas = _canvas(root, job["weights_sha256"])
        *coarser, finest = canvas.synthesise(mask, job["style"], job["seed"])
        files = self.files(job["name"])
        for file, image in zip(
            files, [*coarser[: self.stages], finest], strict=True
        ):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            images.write_png(folder / file, image)


@LastMade
def _mask(reader: MaskReader, path: pathlib.Path, sha256: str) -> "np.ndarray":
    """Reads once for all seeds; of annotations it may take seconds."""
    del sha256  # tells a mask from what its file was
    return reader.whole(path)


@functools.lru_cache(maxsize=1)
def _canvas(root: pathlib.Path, weights: str) -> "Canvas":
    """Loads once in a process; `weights` tells trainings apart."""
    from histogan_tf import run_dir
    from histogan_tf.canvas import Canvas

    del weights
    return Canvas(run_dir.load_pyramid(run_dir.open_run(root)))
