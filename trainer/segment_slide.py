"""One slide or large image in; its label file, overlay, areas and objects out.

In: a slide, who reads it, what is asked for. Out: the files that
`segment_slides.py` lists, each whole or not there, and the slide's entry of
segmentation.json. What is there already is not made again.
"""

import json
import pathlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from histogan_tf import running
from histogan_tf.files import stem_of

if TYPE_CHECKING:
    import numpy as np

    from histogan_tf.data.blocks import BlockImage
    from histogan_tf.data.classes import ClassTable
    from histogan_tf.data.slides import Slide
    from histogan_tf.read_canvas import Tissue
    from histogan_tf.window_read import WindowReader

_OBJECT_PIXELS = 2**25
_THUMBNAIL = 2048
_COUNTED = 4096  # a power of 2: reduced pixels never cross windows


@dataclass(frozen=True)
class Request:
    """What is asked for; `mpp` None: what the slides state."""

    output: str
    mpp: float | None
    window: int
    tissue: bool
    geojson: bool
    probabilities: bool
    skip_bad: bool
    outlined: tuple[int, ...]


@dataclass(frozen=True)
class Network:
    """Who reads: gives the reader; what of it must not change meanwhile."""

    make: Callable[[], "WindowReader"]
    identity: dict[str, Any]
    finest: float
    table: "ClassTable"


@dataclass(frozen=True)
class SlideWork:
    """One slide: what of it is made, and where."""

    path: pathlib.Path
    folder: pathlib.Path
    network: Network
    request: Request
    state: dict[str, Any]

    def segment(
        self, reader: "WindowReader", show: running.Inside
    ) -> dict[str, Any]:
        """Makes all of its files; returns its entry of segmentation.json."""
        from histogan_tf.data import slides, tiff_blocks
        from histogan_tf.data.blocks import BlockImage

        with slides.open_slide(self.path, self.request.mpp) as slide:
            self._labels(reader, slide, show)
            stored = tiff_blocks.open_stored(self._mask_path, False)
            labels = BlockImage(stored)
            try:
                self._overlay(slide, labels)
                objects_mpp = self._objects(slide, labels)
                counts = class_pixels(labels, self.network.table.count)
            finally:
                labels.close()
        level = labels.levels[0]
        return self.state | {
            "name": stem_of(self.path),
            "height": level.height,
            "width": level.width,
            "mpp": self.network.finest,
            "objects_mpp": objects_mpp,
            "class_pixels": counts.tolist(),
        }

    def remove(self) -> None:
        """Takes back what was made of it."""
        for path in (self._mask_path, *self._share_paths.values()):
            path.unlink(missing_ok=True)

    @property
    def _mask_path(self) -> pathlib.Path:
        return self.folder / "masks" / f"{stem_of(self.path)}.ome.tif"

    @property
    def _share_paths(self) -> dict[int, pathlib.Path]:
        """Files of the probabilities that are asked for, by class."""
        folder, names = self.folder / "probabilities", self.network.table.names
        wanted = range(len(names)) if self.request.probabilities else ()
        return {
            number: folder / f"{stem_of(self.path)}_{names[number]}.ome.tif"
            for number in wanted
        }

    def _labels(
        self,
        reader: "WindowReader",
        slide: "Slide",
        show: running.Inside,
    ) -> None:
        from histogan_tf import read_canvas, sources

        finest, shares = self.network.finest, self._share_paths
        for path in (self._mask_path, *shares.values()):
            path.parent.mkdir(exist_ok=True)
        size = slide.size_at(finest)
        read_canvas.segment_canvas(
            reader,
            sources.at_scale(size, slide.read_region, finest),
            self._tissue(slide),
            finest,
            self.network.table,
            read_canvas.Targets(self._mask_path, shares),
            read_canvas.Sizes(self.request.window),
            self.network.identity | self.state,
            show,
        )

    def _tissue(self, slide: "Slide") -> "Tissue":
        import numpy as np

        from histogan_tf.data import tissue
        from histogan_tf.read_canvas import Tissue

        if not self.request.tissue:
            return Tissue(np.ones((1, 1), bool), slide.mpp)
        found = tissue.find(slide)
        return Tissue(found.mask, found.mpp)

    def _overlay(self, slide: "Slide", labels: "BlockImage") -> None:
        """The thumbnail, tinted by class."""
        from histogan_tf import pictures

        mask, scale = whole_level(labels, _THUMBNAIL**2)
        mpp = self.network.finest * scale
        height, width = mask.shape
        image = slide.read_region(0, 0, height, width, mpp)
        shown = pictures.overlay(image, mask, self.network.table.palette())
        pictures.save(self.folder / "overlays" / f"{slide.name}.png", shown)

    def _objects(self, slide: "Slide", labels: "BlockImage") -> float | None:
        """Outlines and table of the objects; um/px of their mask."""
        from histogan_tf import instances, outlines

        table, chosen = self.network.table, self.request.outlined
        if not (table.boundary or self.request.geojson):
            return None
        edge = table.boundary.id if table.boundary else None
        mask, scale = object_mask(labels, _OBJECT_PIXELS, edge)
        mpp = self.network.finest * scale
        if table.boundary:
            rows = instances.instances(mask, table, chosen, mpp)
            self._write("instances", ".csv", instances.to_csv(rows))
        if self.request.geojson:
            found = outlines.feature_collection(
                mask, table, chosen, mpp / slide.mpp, slide.origin
            )
            self._write("outlines", ".geojson", json.dumps(found))
        return mpp

    def _write(self, kind: str, ending: str, text: str) -> None:
        from histogan_tf.files import atomic_write

        path = self.folder / kind / f"{stem_of(self.path)}{ending}"
        path.parent.mkdir(exist_ok=True)
        atomic_write(path, text.encode())


def whole_level(labels: "BlockImage", pixels: int) -> tuple["np.ndarray", int]:
    """The finest level of at most `pixels` px, and how much it is reduced."""
    areas = [level.height * level.width for level in labels.levels]
    fitting = [n for n, area in enumerate(areas) if area <= pixels]
    number = fitting[0] if fitting else len(areas) - 1
    level = labels.levels[number]
    found = labels.window(number, 0, 0, level.height, level.width)
    return found, 2**number


def object_mask(
    labels: "BlockImage", pixels: int, edge: int | None
) -> tuple["np.ndarray", int]:
    """As `whole_level`, but the class `edge` is wherever any of it is.

    The commonest class of a reduced pixel would erase thin boundaries, and
    touching objects would run together.
    """
    import numpy as np

    level, scale = whole_level(labels, pixels)
    if edge is None or scale == 1:
        return level, scale
    found = level.copy()
    for row, column, window in _windows(labels):
        more = [(0, -side % scale) for side in window.shape]
        rim = np.pad(window == edge, more)
        height, width = (side // scale for side in rim.shape)
        rim = rim.reshape(height, scale, width, scale).any(axis=(1, 3))
        top, left = row // scale, column // scale
        found[top : top + height, left : left + width][rim] = edge
    return found, scale


def class_pixels(labels: "BlockImage", classes: int) -> "np.ndarray":
    """Pixels of each class at the finest level, int64 [classes]."""
    import numpy as np

    counts = np.zeros(256, np.int64)
    for _, _, window in _windows(labels):
        counts += np.bincount(window.ravel(), minlength=256)
    return counts[:classes]


def _windows(
    labels: "BlockImage",
) -> Iterator[tuple[int, int, "np.ndarray"]]:
    """Row, column and pixels of windows that make up the finest level."""
    level = labels.levels[0]
    for row in range(0, level.height, _COUNTED):
        for column in range(0, level.width, _COUNTED):
            tall = min(_COUNTED, level.height - row)
            wide = min(_COUNTED, level.width - column)
            yield row, column, labels.window(0, row, column, tall, wide)
