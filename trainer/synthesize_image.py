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
from trainer.synthesize_all import Job, Way, job_name

if TYPE_CHECKING:
    from histogan_tf.canvas import Canvas


@dataclass(frozen=True)
class Whole(Way):
    """Images at once; `stages` is how many coarser ones are written too."""

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
        mask = reader.whole(pathlib.Path(job["mask"]))
        canvas = _canvas(root, job["weights_sha256"])
        *coarser, finest = canvas.synthesise(mask, job["style"], job["seed"])
        files = self.files(job_name(job))
        for file, image in zip(
            files, [*coarser[: self.stages], finest], strict=True
        ):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            images.write_png(folder / file, image)


@functools.lru_cache(maxsize=1)
def _canvas(root: pathlib.Path, weights: str) -> "Canvas":
    """Loads once in a process; `weights` tells trainings apart."""
    from histogan_tf import run_dir
    from histogan_tf.canvas import Canvas

    del weights
    return Canvas(run_dir.load_pyramid(run_dir.open_run(root)))
