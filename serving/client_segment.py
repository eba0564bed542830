"""Images in; class masks and areas from a server out.

In: image files, a client, the model's card. Out: `masks/<name>.png` (class
ids, of the image's own size), `areas.csv` (a row for each class of each image)
and `segmentation.json`. Images are brought to the model's um/px by area
averages, and masks back by nearest neighbours. Large images go in windows
(`client_tiles`, where the tolerance of the join is stated).
"""

import csv
import functools
import io
import pathlib
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from histogan_tf import rescale
from histogan_tf.data import images, png, scale_notes
from histogan_tf.errors import InputError
from histogan_tf.files import atomic_write
from serving import client_tiles
from serving.client_api import ServingClient
from serving.client_card import Card
from serving.client_windows import Windows

_COLUMNS = ("image", "class_id", "class", "pixels", "share", "mm2")


@dataclass(frozen=True)
class Segmenting:
    """How images are sent.

    `mpp` is um/px of all images; None: their own. Without a card, images go as
    they are, and whole.
    """

    client: ServingClient
    card: Card | None
    windows: Windows
    mpp: float | None

    def read(self, path: pathlib.Path) -> tuple[np.ndarray, float | None]:
        """An image and its um/px.

        Raises:
          InputError: the model's um/px is known, the image's is not.
        """
        image = images.read_image(path)
        mpp = self.mpp or images.read_mpp(path)
        if self.card and mpp is None:
            raise InputError(
                f"{path}: no um/px in the file; state it with --mpp"
                f" (the model's is {self.card.mpp:g})"
            )
        return image, mpp

    def notes(self, path: pathlib.Path) -> list[str]:
        """What is odd in an image's um/px."""
        if not self.card:
            return []
        return scale_notes.file_notes(path, self.mpp, self.card.mpp)

    def segment(
        self, path: pathlib.Path, name: str, folder: pathlib.Path
    ) -> dict[str, Any]:
        """Writes one image's mask; returns its entry of segmentation.json."""
        image, mpp = self.read(path)
        scaled = image
        if self.card and mpp:
            scaled = rescale.image_to(image, mpp, self.card.mpp)
        work = functools.partial(self._in_windows, scaled)
        (mask, count), version = self.windows.run(work)
        height, width = image.shape[:2]
        if mask.shape != (height, width):
            mask = cv2.resize(
                mask, (width, height), interpolation=cv2.INTER_NEAREST_EXACT
            )
        target = folder / "masks" / f"{name}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        images.write_png(target, mask)
        pixels = np.bincount(mask.ravel(), minlength=count)
        return {
            "name": name,
            "file": str(path),
            "height": height,
            "width": width,
            "mpp": mpp,
            "version": version,
            "class_pixels": pixels.tolist(),
        }

    def _in_windows(
        self, image: np.ndarray, pixels: int, versions: set[int]
    ) -> tuple[np.ndarray, int]:
        """Mask of an image, and the number of classes."""
        counts = set[int]()

        def read(part: np.ndarray) -> np.ndarray:
            found = self.client.segment(png.encode(part))
            versions.add(found.version)
            counts.add(len(found.areas))
            return found.mask

        if self.card is None:
            return _whole(image, read, pixels), max(counts)
        mask = client_tiles.read_in_windows(image, read, pixels, self.card.read)
        return mask, max(counts)


def _whole(image: np.ndarray, read: Any, pixels: int) -> np.ndarray:
    height, width = image.shape[:2]
    if height * width > pixels:
        raise InputError(
            f"image of {height} x {width} pixels: more than {pixels}, and the"
            " model has no card (signature 'about') that says how to cut"
            " windows; raise --tile_pixels to send it whole"
        )
    return read(image)


def write_areas(
    folder: pathlib.Path, card: Card | None, done: list[dict[str, Any]]
) -> None:
    """Writes areas.csv; mm2 is empty where um/px is not known."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for entry in done:
        total = entry["height"] * entry["width"]
        for identity, pixels in enumerate(entry["class_pixels"]):
            name = card.classes[identity] if card else ""
            mm2 = ""
            if entry["mpp"]:
                mm2 = f"{pixels * (entry['mpp'] / 1000) ** 2:.9g}"
            writer.writerow(
                [
                    entry["name"],
                    identity,
                    name,
                    pixels,
                    f"{pixels / total:.9g}",
                    mm2,
                ]
            )
    atomic_write(folder / "areas.csv", text.getvalue().encode())
