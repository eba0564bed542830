"""A mask of any size becomes an image file, window by window.

In: a mask `Source` at the run's finest um/px, seed and style. Out: a pyramidal
OME-TIFF of the mask's size; in constant memory, resumable, the same bytes for
the same seed on the same machine.
"""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from histogan_tf import canvas, streaming
from histogan_tf.data import tile_pixels
from histogan_tf.data.pyramid_tiff import Plan, PyramidWriter
from histogan_tf.data.tiff_layout import Facts
from histogan_tf.regions import Box
from histogan_tf.sources import Source
from histogan_tf.window_paint import WindowPainter


@dataclass(frozen=True)
class Brush:
    """How a canvas is painted.

    `window` and `tile` are sides in px; larger windows take more memory and
    less halo. `jpeg` is the quality, 1 to 100, or 0 for lossless.
    """

    seed: int
    style: tuple[float, ...]
    window: int = 1536
    tile: int = 512
    jpeg: int = 0


def paint_canvas(
    painter: WindowPainter,
    source: Source,
    target: str | os.PathLike,
    brush: Brush,
    identity: dict[str, Any],
    progress: streaming.Progress = lambda done, total: None,
) -> streaming.Times:
    """Paints a mask into a file, or goes on with one that was interrupted.

    Args:
      painter: of the run.
      source: class ids at the run's finest um/px.
      target: `.ome.tif` file to make, which must not exist.
      brush: seed, style and sizes.
      identity: JSON values that stand for the run and the mask.
      progress: called with windows done and all windows.

    Returns:
      How long reading, painting and writing took; lower levels count as
      writing.

    Raises:
      InputError: the target exists, unfinished work there is of other
        settings, the mask holds unknown ids, or the disk is full.
    """
    if brush.jpeg:
        pixels = tile_pixels.jpeg_rgb(brush.jpeg)
    else:
        pixels = tile_pixels.lossless_rgb(brush.tile)
    name = os.path.basename(target).removesuffix(".ome.tif")
    mpp = painter.pyramid.config.finest_mpp
    facts = Facts(name, mpp, brush.tile, pixels)
    plan = Plan(source.height, source.width, brush.window, facts)
    decided = {"seed": brush.seed, "style": list(brush.style)} | identity
    with PyramidWriter(target, plan, decided) as writer:
        return _stream(painter, source, brush, writer, progress)


def _stream(
    painter: WindowPainter,
    source: Source,
    brush: Brush,
    writer: PyramidWriter,
    progress: streaming.Progress,
) -> streaming.Times:
    style = np.array(brush.style, np.float32)
    windows = writer.plan.windows
    done = writer.done

    def read(item: tuple[int, Box]) -> np.ndarray:
        return painter.mask_around(source, item[1])

    def paint(item: tuple[int, Box], ids: np.ndarray) -> np.ndarray:
        images = painter.stages(source, item[1], ids, brush.seed, style)
        return canvas.unit_to_uint8(images[-1])

    def write(item: tuple[int, Box], image: np.ndarray) -> None:
        writer.write(item[0], image)

    times = streaming.overlapped(
        list(enumerate(windows))[done:],
        read,
        paint,
        write,
        lambda more, _: progress(done + more, len(windows)),
    )
    with times.clock("write"), times.clock("total"):
        writer.finish(progress)
    return times
