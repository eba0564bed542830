"""A slide of any size becomes a label file, window by window.

In: an image `Source` at the run's finest um/px and where its tissue is. Out: a
pyramidal OME-TIFF of class ids and, as asked, one of each class's probability;
in constant memory, resumable.

Only tissue is read: windows without it are passed over, and pixels outside it
are 255 in labels, 0 in probabilities, wherever the windows lie. So no pixel
depends on the grid of windows, but for classes whose probabilities are equal
to within rounding (1e-4).
"""

import contextlib
import pathlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from histogan_tf import streaming
from histogan_tf.data import tile_pixels
from histogan_tf.data.classes import IGNORE, ClassTable
from histogan_tf.data.pyramid_tiff import Plan, PyramidWriter
from histogan_tf.data.tiff_layout import Facts
from histogan_tf.data.tissue import Tissue
from histogan_tf.regions import Box
from histogan_tf.sources import Source
from histogan_tf.window_read import WindowReader

Item = tuple[int, Box]
# Labels uint8 [h, w] and probabilities float32 [h, w, N], or None.
Made = tuple[np.ndarray | None, np.ndarray | None]


@dataclass(frozen=True)
class Sizes:
    """Sides in px of windows and tiles; `window` divides by `tile`."""

    window: int
    tile: int


@dataclass(frozen=True)
class Targets:
    """Files to make: labels, and probabilities by class id."""

    labels: pathlib.Path
    probabilities: Mapping[int, pathlib.Path]


def segment_canvas(
    reader: WindowReader,
    source: Source,
    tissue: Tissue,
    mpp: float,
    table: ClassTable,
    targets: Targets,
    sizes: Sizes,
    identity: dict[str, Any],
    progress: streaming.Progress = lambda done, total: None,
) -> streaming.Times:
    """Segments a slide, or goes on with one that was interrupted.

    Files that exist already are kept as they are.

    Args:
      reader: of the run.
      source: uint8 RGB at the run's finest um/px.
      tissue: where it is to be read.
      mpp: the run's finest um/px.
      table: the run's classes.
      targets: `.ome.tif` files to make.
      sizes: of windows and tiles.
      identity: JSON values that stand for the run and the slide.
      progress: called with windows done and all windows.

    Returns:
      How long reading, segmenting and writing took; lower levels count as
      writing.

    Raises:
      InputError: unfinished work there is of other settings, or the disk is
        full.
    """
    kinds = {
        targets.labels: tile_pixels.labels(sizes.tile, table.palette()),
    } | {
        path: tile_pixels.shares(sizes.tile, table.names[number])
        for number, path in targets.probabilities.items()
    }
    with contextlib.ExitStack() as stack:
        writers = {
            path: stack.enter_context(
                PyramidWriter(
                    path, _plan(source, path, mpp, kind, sizes), identity
                )
            )
            for path, kind in kinds.items()
            if not path.exists()
        }
        if not writers:
            return streaming.Times()
        work = _Work(reader, source, tissue, mpp, targets, writers)
        return work.run(progress)


@dataclass(frozen=True)
class _Work:
    reader: WindowReader
    source: Source
    tissue: Tissue
    mpp: float
    targets: Targets
    writers: dict[pathlib.Path, PyramidWriter]

    def run(self, progress: streaming.Progress) -> streaming.Times:
        windows = next(iter(self.writers.values())).plan.windows
        done = min(writer.done for writer in self.writers.values())
        times = streaming.overlapped(
            list(enumerate(windows))[done:],
            self.read,
            self.segment,
            self.write,
            lambda more, _: progress(done + more, len(windows)),
        )
        with times.clock("write"), times.clock("total"):
            for writer in self.writers.values():
                writer.finish(progress)
        return times

    def read(self, item: Item) -> np.ndarray | None:
        """The window's surroundings; None without tissue."""
        if not self.tissue.window(item[1], self.mpp).any():
            return None
        return self.reader.surroundings(self.source, item[1])

    def segment(self, item: Item, image: np.ndarray | None) -> Made:
        """Labels and probabilities of a window, as far as they are asked."""
        if image is None:
            return None, None
        place = self.source, item[1], image
        asked = set(self.targets.probabilities.values())
        if asked & self.writers.keys():
            return self.reader.labels_and_probabilities(*place)
        return self.reader.labels(*place), None

    def write(self, item: Item, made: Made) -> None:
        """Labels and probabilities of a window; without tissue 255 and 0."""
        (index, box), (ids, probabilities) = item, made
        on_tissue = self.tissue.window(box, self.mpp)
        labels = self.writers.get(self.targets.labels)
        if labels:
            nothing = np.full(on_tissue.shape, IGNORE, np.uint8)
            found = nothing if ids is None else ids
            labels.write(index, np.where(on_tissue, found, nothing))
        for number, path in self.targets.probabilities.items():
            if path in self.writers:
                bytes_ = np.zeros(on_tissue.shape, np.uint8)
                if probabilities is not None:
                    rounded = np.rint(probabilities[..., number] * 255)
                    bytes_ = rounded.astype(np.uint8) * on_tissue
                self.writers[path].write(index, bytes_)


def _plan(
    source: Source,
    path: pathlib.Path,
    mpp: float,
    kind: tile_pixels.TilePixels,
    sizes: Sizes,
) -> Plan:
    name = path.name.removesuffix(".ome.tif")
    facts = Facts(name, mpp, sizes.tile, kind)
    return Plan(source.height, source.width, sizes.window, facts)
