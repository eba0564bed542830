"""A mask of any size in, tissue out as a pyramidal OME-TIFF.

In: a mask, read and painted by windows in constant memory, a seed and a style.
Out: `<mask>_<seed>.ome.tif`; a canvas that was interrupted goes on.
"""

import functools
import pathlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from histogan_tf import running
from trainer import large_images, view_command
from trainer.canvas_masks import MaskReader
from trainer.last_made import LastMade
from trainer.synthesize_all import Job, Way

if TYPE_CHECKING:
    from histogan_tf.sources import Source
    from histogan_tf.window_paint import WindowPainter


@dataclass(frozen=True)
class ByWindows(Way):
    """Canvases: the side of their windows, and JPEG's quality (0: none)."""

    canvas = True

    window: int
    jpeg: int

    def files(self, name: str) -> list[str]:
        """The canvas."""
        return [f"{name}.ome.tif"]

    def check(self, reader: MaskReader, path: pathlib.Path) -> None:
        """Reads all of a mask."""
        reader.check(path)

    def paint(
        self,
        folder: pathlib.Path,
        root: pathlib.Path,
        reader: MaskReader,
        job: Job,
        show: running.Inside,
    ) -> None:
        """Paints a canvas."""
        from histogan_tf.paint_canvas import Brush, paint_canvas

        target = folder / self.files(job["name"])[-1]
        target.parent.mkdir(parents=True, exist_ok=True)
        brush = Brush(
            job["seed"],
            tuple(job["style"]),
            self.window,
            large_images.TILE,
            self.jpeg,
        )
        paint_canvas(
            _painter(root, job["weights_sha256"]),
            _mask(reader, pathlib.Path(job["mask"]), job["mask_sha256"]),
            target,
            brush,
            {"job": job},
            show,
        )


def view_line(
    output: str, entry: dict[str, Any], class_ids: bool, run_dir: str
) -> str:
    """The command that shows an image of `synthesis.json` with its mask."""
    name = entry["file"].removesuffix(".ome.tif")
    drawn = entry.get("drawn_on", {})
    # Where QuPath counts from elsewhere, the canvas cannot say so.
    fits = not any(drawn.get("origin", ()))
    return view_command.line(
        pathlib.Path(output) / entry["file"],
        view_command.folder(output, name),
        mask=entry["mask"] if fits else None,
        mask_mpp=drawn.get("mpp") if fits else None,
        class_ids=class_ids,
        run_dir=run_dir,
    )


@LastMade
def _mask(reader: MaskReader, path: pathlib.Path, sha256: str) -> "Source":
    """Opens once for all seeds; of annotations it may take seconds."""
    del sha256  # tells a mask from what its file was
    return reader.open(path)


@functools.lru_cache(maxsize=1)
def _painter(root: pathlib.Path, weights: str) -> "WindowPainter":
    """Loads once in a process; `weights` tells trainings apart."""
    from histogan_tf import run_dir
    from histogan_tf.window_paint import WindowPainter

    del weights
    return WindowPainter(run_dir.load_pyramid(run_dir.open_run(root)))
