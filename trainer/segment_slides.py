"""Slides and large images in; label files, areas and objects out.

In: what `data/slides.py` opens. Out, in a folder that appears when all is done:
`masks/<name>.ome.tif` (class ids at the run's finest um/px, 255 beside the
tissue; pyramidal, in the classes' colours), `overlays/<name>.png` (a
thumbnail), with a boundary class `instances/<name>.csv` and, as asked,
`outlines/<name>.geojson` (px of the slide's level 0) and
`probabilities/<name>_<class>.ome.tif` (0..255 for 0..1).

Objects are found at the finest level of the labels that has at most 33 million
pixels; the record says at how many um/px. Until all is done the results are in
`.<folder>.work` beside it, where the same command goes on.
"""

import json
import pathlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from histogan_tf.progress_bar import progress_bar
from trainer import input_files

if TYPE_CHECKING:
    import numpy as np

    from histogan_tf.data.blocks import BlockImage
    from histogan_tf.data.classes import ClassTable
    from histogan_tf.data.images import UnreadableError
    from histogan_tf.data.slides import Slide
    from histogan_tf.read_canvas import Tissue
    from histogan_tf.window_read import WindowReader

_OBJECT_PIXELS = 2**25
_THUMBNAIL = 2048
_COUNTED = 4096
Show = Callable[[int, int], None]


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
    """Who reads: makes the reader; what of it must not change meanwhile."""

    make: Callable[[], "WindowReader"]
    identity: dict[str, Any]
    finest: float
    table: "ClassTable"


def segment_all(
    paths: list[pathlib.Path],
    network: Network,
    request: Request,
    record: Callable[
        [pathlib.Path, list[dict[str, Any]], list["UnreadableError"]], None
    ],
) -> int:
    """Checks all slides, then segments them; returns their number.

    Args:
      paths: of the slides.
      network: reads them.
      request: output and what to write.
      record: writes areas and record into the folder.

    Raises:
      InputError: a slide is broken or without um/px, the output is taken,
        unfinished work there is of other settings, or the disk is full.
    """
    from histogan_tf import work_folder

    with progress_bar("check") as show:
        good, bad = input_files.readable(
            paths, lambda p: _state(p, request), request.skip_bad, show
        )
    states = [_state(path, request) for path in good]
    work = asdict(request) | network.identity | {"slides": states}
    with (
        work_folder.lasting_directory(request.output, work) as folder,
        progress_bar("segment") as show,
    ):
        reader = network.make()
        done = []
        for path, state in zip(good, states, strict=True):
            one = _Slide(path, folder, network, request, state)
            done.append(one.segment(reader, show))
        record(folder, done, bad)
    return len(done)


def _state(path: pathlib.Path, request: Request) -> dict[str, Any]:
    """What tells a slide from another; opens it."""
    from histogan_tf.data import slides

    with slides.open_slide(path, request.mpp) as slide:
        # Not its hash: slides have gigabytes.
        state = path.stat()
        return {
            "file": str(path),
            "bytes": state.st_size,
            "changed_ns": state.st_mtime_ns,
            "slide_mpp": slide.mpp,
        }


@dataclass(frozen=True)
class _Slide:
    """One slide's work."""

    path: pathlib.Path
    folder: pathlib.Path
    network: Network
    request: Request
    state: dict[str, Any]

    def segment(
        self, reader: "WindowReader", show: input_files.Progress
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
            "name": self.path.stem,
            "height": level.height,
            "width": level.width,
            "mpp": self.network.finest,
            "objects_mpp": objects_mpp,
            "class_pixels": counts.tolist(),
        }

    @property
    def _mask_path(self) -> pathlib.Path:
        return self.folder / "masks" / f"{self.path.stem}.ome.tif"

    def _labels(
        self,
        reader: "WindowReader",
        slide: "Slide",
        show: input_files.Progress,
    ) -> None:
        from histogan_tf import read_canvas, sources

        finest, table = self.network.finest, self.network.table
        folder, stem = self.folder / "probabilities", self.path.stem
        wanted = range(table.count) if self.request.probabilities else ()
        shares = {
            number: folder / f"{stem}_{table.names[number]}.ome.tif"
            for number in wanted
        }
        for path in (self._mask_path, *shares.values()):
            path.parent.mkdir(exist_ok=True)
        size = slide.size_at(finest)
        read_canvas.segment_canvas(
            reader,
            sources.at_scale(size, slide.read_region, finest),
            self._tissue(slide),
            finest,
            table,
            read_canvas.Targets(self._mask_path, shares),
            read_canvas.Sizes(self.request.window),
            self.network.identity | self.state,
            lambda done, total: show(done, total, f"segment {stem}"),
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
        mask, scale = whole_level(labels, _OBJECT_PIXELS)
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

        path = self.folder / kind / f"{self.path.stem}{ending}"
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


def class_pixels(labels: "BlockImage", classes: int) -> "np.ndarray":
    """Pixels of each class at the finest level, int64 [classes]."""
    import numpy as np

    level, counts = labels.levels[0], np.zeros(256, np.int64)
    for row in range(0, level.height, _COUNTED):
        for column in range(0, level.width, _COUNTED):
            tall = min(_COUNTED, level.height - row)
            wide = min(_COUNTED, level.width - column)
            window = labels.window(0, row, column, tall, wide)
            counts += np.bincount(window.ravel(), minlength=256)
    return counts[:classes]
