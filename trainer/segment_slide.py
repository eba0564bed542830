"""One slide or large image in; its label file, overlay, areas and objects out.

In: a slide, who reads it, what is asked for. Out: the files that
`segment_slides.py` lists, each whole or not there, and the slide's entry of
segmentation.json. What is there already is not made again: a finished slide
costs a look at its files, unless its own file has changed since.
"""

import pathlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from histogan_tf import running, work_folder
from histogan_tf.errors import InputError
from histogan_tf.files import stem_of
from trainer import item_notes, large_images, segment_files, segment_levels

if TYPE_CHECKING:
    from histogan_tf.data.blocks import BlockImage
    from histogan_tf.data.classes import ClassTable
    from histogan_tf.data.slides import Slide
    from histogan_tf.data.tissue import Tissue
    from histogan_tf.window_read import WindowReader

_OBJECT_PIXELS = 2**25
_THUMBNAIL = 2048


@dataclass(frozen=True, kw_only=True)
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
    min_object_um2: float


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

    def check(self) -> None:
        """Raises InputError where files of this name are of another slide."""
        there = self._note.state or self.state
        if there["file"] != self.state["file"]:
            raise InputError(
                f"{self._note.path}: unfinished work of another slide"
                f" {stem_of(self.path)}: {there['file']} there,"
                f" {self.state['file']} now; remove this note to make it anew"
                " or state the same again"
            )

    def finished(self) -> dict[str, Any] | None:
        """Its entry of segmentation.json if nothing is left to do."""
        if self._note.state != self.state:
            return None
        whole = all(path.exists() for path in self._files)
        return self._note.entry if whole else None

    def segment(
        self, reader: "WindowReader", show: running.Inside
    ) -> dict[str, Any]:
        """Makes its files that are missing; returns its entry.

        Raises:
          UnreadableError: the slide is damaged.
          InputError: another process is at it, or the disk is full.
        """
        if self._note.state != self.state:
            self.remove()
            self._note.write(self.state)
        entry = self._made(reader, show)
        self._note.write(self.state, entry)
        return entry

    def remove(self) -> None:
        """Takes back what was made of it, and its note at last."""
        for path in self._files:
            path.unlink(missing_ok=True)
            work_folder.remove(work_folder.beside(path))
        self._note.remove()

    def _made(
        self, reader: "WindowReader", show: running.Inside
    ) -> dict[str, Any]:
        from histogan_tf.data import slides, tiff_blocks
        from histogan_tf.data.blocks import BlockImage

        with slides.open_slide(self.path, self.request.mpp) as slide:
            self._labels(reader, slide, show)
            stored = tiff_blocks.open_stored(self._mask_path, False)
            labels = BlockImage(stored)
            try:
                self._overlay(slide, labels)
                objects_mpp = self._objects(slide, labels)
                counts = segment_levels.class_pixels(
                    labels, self.network.table.count
                )
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

    @property
    def _note(self) -> item_notes.Note:
        return item_notes.note(self.folder, stem_of(self.path))

    @property
    def _files(self) -> list[pathlib.Path]:
        """All that is made of it."""
        made = [self._mask_path, *self._probability_paths.values()]
        made.append(self._place("overlays", ".png"))
        if self.network.table.boundary:
            made.append(self._place("instances", ".csv"))
        if self.request.geojson:
            made.append(self._place("outlines", ".geojson"))
        return made

    @property
    def _mask_path(self) -> pathlib.Path:
        return self._place("masks", ".ome.tif")

    @property
    def _probability_paths(self) -> dict[int, pathlib.Path]:
        """Files of the probabilities that are asked for, by class."""
        names = self.network.table.names
        wanted = range(len(names)) if self.request.probabilities else ()
        folders = {n: re.sub(r"[^\w.-]", "_", names[n]) for n in wanted}
        return {
            n: self._place(f"probabilities/{n}_{name}", ".ome.tif")
            for n, name in folders.items()
        }

    def _place(self, kind: str, ending: str) -> pathlib.Path:
        return self.folder / kind / f"{stem_of(self.path)}{ending}"

    def _labels(
        self,
        reader: "WindowReader",
        slide: "Slide",
        show: running.Inside,
    ) -> None:
        from histogan_tf import read_canvas, sources

        finest, extra = self.network.finest, self._probability_paths
        paths = (self._mask_path, *extra.values())
        if all(path.exists() for path in paths):
            return  # and no search for tissue
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        size = slide.size_at(finest)
        read_canvas.segment_canvas(
            reader,
            sources.at_scale(size, slide.read_region, finest),
            self._tissue(slide),
            finest,
            self.network.table,
            read_canvas.Targets(self._mask_path, extra),
            read_canvas.Sizes(self.request.window, large_images.TILE),
            self.network.identity | self.state,
            show,
        )

    def _tissue(self, slide: "Slide") -> "Tissue":
        import numpy as np

        from histogan_tf.data import tissue

        if not self.request.tissue:
            return tissue.Tissue(np.ones((1, 1), bool), slide.mpp)
        return tissue.find(slide)

    def _overlay(self, slide: "Slide", labels: "BlockImage") -> None:
        """The thumbnail, tinted by class."""
        from histogan_tf import pictures

        mask, scale = segment_levels.whole_level(labels, _THUMBNAIL**2)
        mpp = self.network.finest * scale
        height, width = mask.shape
        image = slide.read_region(0, 0, height, width, mpp)
        shown = pictures.overlay(image, mask, self.network.table.palette())
        pictures.save(self._place("overlays", ".png"), shown)

    def _objects(self, slide: "Slide", labels: "BlockImage") -> float | None:
        """Outlines and table of the objects; um/px of their mask."""
        wanted = segment_files.Objects(
            self.network.table,
            self.request.outlined,
            self.request.min_object_um2,
            self.request.geojson,
        )
        boundary = wanted.table.boundary
        if not (boundary or wanted.outlined):
            return None
        edge = boundary.id if boundary else None
        mask, scale = segment_levels.object_mask(labels, _OBJECT_PIXELS, edge)
        mpp = self.network.finest * scale
        segment_files.write_objects(
            self.folder,
            stem_of(self.path),
            mask,
            mpp,
            wanted,
            slide.origin,
            slide.mpp,
        )
        return mpp
