"""One slide or large image in; its label file, overlay, areas and objects out.

In: what `data/slides.py` opens, and who reads it by windows. Out:
`masks/<name>.ome.tif` (class ids at the run's finest um/px, 255 beside the
tissue; pyramidal, in the classes' colours), `overlays/<name>.png` (a
thumbnail), with a boundary class `instances/<name>.csv` and, as asked,
`outlines/<name>.geojson` (px of the slide's level 0) and
`probabilities/<id>_<class>/<name>.ome.tif` (0..255 for 0..1).

Objects are found at the finest level of the labels that has at most 33 million
pixels, where a pixel is boundary if any of it is; the program and the record
say at how many um/px. A file that is there already is not made again.
"""

import pathlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from histogan_tf import running
from trainer import large_images, segment_files, segment_levels
from trainer.segment_item import Item, Request

if TYPE_CHECKING:
    from histogan_tf.data.blocks import BlockImage
    from histogan_tf.data.slides import Slide
    from histogan_tf.data.tissue import Tissue
    from histogan_tf.window_read import WindowReader

_OBJECT_PIXELS = 2**25
_THUMBNAIL = 2048


@dataclass(frozen=True, kw_only=True)
class SlideRequest(Request):
    """What is asked for of slides, beside what is of all images."""

    window: int
    tissue: bool


@dataclass(frozen=True)
class SlideItem(Item["WindowReader"]):
    """See the module and `segment_item.py`."""

    canvas = True

    request: SlideRequest

    @staticmethod
    def look(
        path: pathlib.Path, request: SlideRequest, finest: float
    ) -> tuple[dict[str, Any], list[str]]:
        """Opens a slide, no more."""
        from histogan_tf.data import scale_notes, slides

        with slides.open_slide(path, request.mpp) as slide:
            coarse = scale_notes.coarse_note(path, slide.mpp, finest)
            notes = [*filter(None, (slide.scale_note, coarse))]
            found = path.stat()
            # Not its hash: slides have gigabytes.
            state = {
                "file": str(path),
                "bytes": found.st_size,
                "changed_ns": found.st_mtime_ns,
                "slide_mpp": slide.mpp,
            }
            return state, notes

    @property
    def files(self) -> list[pathlib.Path]:
        """All that is made of it."""
        made = [self._mask_path, *self._probability_paths.values()]
        return [*made, self.place("overlays", ".png"), *self.tables]

    def make(
        self, reader: "WindowReader", show: running.Inside
    ) -> dict[str, Any]:
        """Makes what is missing; returns the slide's entry."""
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
        return {
            "height": level.height,
            "width": level.width,
            "mpp": self.network.finest,
            "objects_mpp": objects_mpp,
            "class_pixels": counts.tolist(),
        }

    @property
    def _mask_path(self) -> pathlib.Path:
        return self.place("masks", ".ome.tif")

    @property
    def _probability_paths(self) -> dict[int, pathlib.Path]:
        """Files of the probabilities that are asked for, by class."""
        names = self.network.table.names
        wanted = range(len(names)) if self.request.probabilities else ()
        folders = {n: re.sub(r"[^\w.-]", "_", names[n]) for n in wanted}
        return {
            n: self.place(f"probabilities/{n}_{name}", ".ome.tif")
            for n, name in folders.items()
        }

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
        pictures.save(self.place("overlays", ".png"), shown)

    def _objects(self, slide: "Slide", labels: "BlockImage") -> float | None:
        """Outlines and table of the objects; um/px of their mask."""
        if not self.tables:
            return None
        boundary = self.network.table.boundary
        edge = boundary.id if boundary else None
        mask, scale = segment_levels.object_mask(labels, _OBJECT_PIXELS, edge)
        mpp = self.network.finest * scale
        segment_files.write_objects(
            self.folder,
            self.name,
            mask,
            mpp,
            self.objects,
            slide.origin,
            slide.mpp,
        )
        return mpp
