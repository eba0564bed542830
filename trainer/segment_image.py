"""One image in; its mask, overlay, objects and probabilities out.

In: an image that fits in memory, and who reads whole images. Out, at the
image's own size: `masks/<name>.png` (class ids), `overlays/<name>.png`, with a
boundary class `instances/<name>.csv` and, as asked, `outlines/<name>.geojson`
and `probabilities/<name>.tif` (float32, a page a class).
"""

import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from histogan_tf import running
from histogan_tf.errors import InputError
from trainer import segment_files
from trainer.segment_item import Item, Request

if TYPE_CHECKING:
    import numpy as np

# Maps uint8 [H, W, 3] to probabilities float32 [H, W, N].
ReadImage = Callable[["np.ndarray"], "np.ndarray"]


@dataclass(frozen=True)
class ImageItem(Item[ReadImage]):
    """See the module and `segment_item.py`."""

    canvas = False

    @staticmethod
    def look(
        path: pathlib.Path, request: Request, finest: float
    ) -> tuple[dict[str, Any], list[str]]:
        """Decodes all of an image."""
        from histogan_tf.data import images, scale_notes
        from histogan_tf.data.manifest import hash_file

        images.read_image(path)
        mpp = request.mpp or images.read_mpp(path)
        if mpp is None:
            raise InputError(
                f"{path}: no um/px in the file; state it with --mpp"
            )
        notes = scale_notes.file_notes(path, request.mpp, finest)
        state = {"file": str(path), "sha256": hash_file(path), "mpp": mpp}
        return state, notes

    @property
    def files(self) -> list[pathlib.Path]:
        """All that is made of it."""
        made = [self._mask, self._overlay, *self.tables]
        return made + ([self._shares] if self.request.probabilities else [])

    @property
    def _mask(self) -> pathlib.Path:
        return self.place("masks", ".png")

    @property
    def _overlay(self) -> pathlib.Path:
        return self.place("overlays", ".png")

    @property
    def _shares(self) -> pathlib.Path:
        return self.place("probabilities", ".tif")

    def make(self, reader: ReadImage, show: running.Inside) -> dict[str, Any]:
        """Makes all files; returns the image's entry."""
        import numpy as np

        from histogan_tf import pictures, rescale
        from histogan_tf.data import images
        from histogan_tf.metrics.labels import class_ids

        image, mpp = images.read_image(self.path), self.state["mpp"]
        shares = rescale.read_at(reader, image, mpp, self.network.finest)
        mask, table = class_ids(shares), self.network.table
        for path in self.files:
            path.parent.mkdir(parents=True, exist_ok=True)
        images.write_png(self._mask, mask)
        shown = pictures.overlay(image, mask, table.palette())
        images.write_png(self._overlay, shown)
        segment_files.write_objects(
            self.folder, self.name, mask, mpp, self.objects
        )
        if self.request.probabilities:
            segment_files.write_probabilities(self._shares, shares)
        counts = np.bincount(mask.ravel(), minlength=table.count)
        return {
            "height": image.shape[0],
            "width": image.shape[1],
            "class_pixels": counts.tolist(),
        }
