"""Masks in; tissue from a server out, in any seed and style.

In: masks of class ids, a client, the model's card. Out: `<mask>_<seed>.png` of
the mask's size at the model's um/px, and an entry of synthesis.json for each.
Large masks go in windows of any size, which fit together exactly
(`generate_window`). Near the mask's own border, within the halo, they may
differ from the same mask in one piece; `generate_signatures.py` says why.

A style is that of `--style_from`, or is drawn by the seed and the mask's name
from the styles in the model card. `trainer.synthesize` draws alike, but from
all training styles: the same one unless the card has only some of them.
"""

import functools
import pathlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from histogan_tf import rescale, styles
from histogan_tf.data import images, png, scale_notes
from histogan_tf.data.classes import IGNORE
from histogan_tf.errors import InputError, UnreadableError
from serving import client_tiles
from serving.client_api import ServingClient
from serving.client_card import Card
from serving.client_windows import Windows


@dataclass(frozen=True)
class Style:
    """A stain: six numbers, or the encoded image that has it."""

    name: str
    vector: np.ndarray | None
    reference: bytes = b""


@dataclass(frozen=True)
class Generating:
    """How masks are sent.

    `mpp` is um/px of the masks; None: what their TIFFs state, else the
    model's. `fixed` is the style of all; None: drawn.
    """

    client: ServingClient
    card: Card | None
    windows: Windows
    mpp: float | None
    fixed: Style | None

    def read(self, path: pathlib.Path) -> np.ndarray:
        """A mask of class ids, uint8 [H, W] at the model's um/px.

        Raises:
          InputError: it holds something else, or nothing but 0 and 255,
            which are a black and white mask's raw values.
        """
        raw = images.read_mask_raw(path)
        largest = len(self.card.classes) - 1 if self.card else IGNORE
        wrong = raw[(raw > largest) & (raw != IGNORE)]
        if raw.ndim != 2 or wrong.size:
            found = "colours" if raw.ndim != 2 else f"value {wrong[0]}"
            raise UnreadableError(
                path, f"{found}; class ids 0..{largest} and {IGNORE} allowed"
            )
        if np.isin(raw, [0, IGNORE]).all() and raw.any():
            raise UnreadableError(
                path,
                f"nothing but 0 and {IGNORE}; class ids are wanted, as"
                " trainer.segment writes them, not raw values",
            )
        mask, mpp = raw.astype(np.uint8), self.scale(path)
        if self.card and mpp:
            mask = rescale.mask_to(mask, mpp, self.card.mpp)
        return mask

    def scale(self, path: pathlib.Path) -> float | None:
        """um/px of a mask, None where nobody states it."""
        return self.mpp or images.read_mpp(path)

    def guessed(self, paths: list[pathlib.Path]) -> list[str]:
        """A note on masks whose um/px is stated by nobody; else nothing."""
        if not self.card:
            return []
        bare = [path for path in paths if not self.scale(path)]
        return scale_notes.bare_notes(bare, self.card.mpp, "the model's")

    def style(self, name: str, seed: int) -> Style:
        """The style of one image.

        Raises:
          InputError: none is given and the card has none.
        """
        if self.fixed:
            return self.fixed
        if self.card is None or not self.card.styles:
            raise InputError(
                f"{self.client.server}: the model tells no training styles;"
                " state --style_from"
            )
        names = list(self.card.styles)
        chosen = names[styles.drawn(name, seed, len(names))]
        vector = np.array(self.card.styles[chosen], np.float32)
        return Style(chosen, vector)

    def generate(
        self, path: pathlib.Path, name: str, seed: int, folder: pathlib.Path
    ) -> dict[str, Any]:
        """Writes one image; returns its entry of synthesis.json."""
        mask, style = self.read(path), self.style(name, seed)
        work = functools.partial(self._paint, mask, style, seed)
        image, version = self.windows.run(work)
        file = f"{name}_{seed}.png"
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        images.write_png(target, image)
        vector = None if style.vector is None else style.vector.tolist()
        return {
            "file": file,
            "mask": str(path),
            "mask_mpp": self.scale(path),
            "seed": seed,
            "style_name": style.name,
            "style": vector,
            "version": version,
        }

    def _paint(
        self,
        mask: np.ndarray,
        style: Style,
        seed: int,
        pixels: int,
        versions: set[int],
    ) -> np.ndarray:
        vector = style.vector
        if mask.size <= pixels or self.card is None or vector is None:
            whole = self.client.generate(mask, seed, vector, style.reference)
            versions.add(whole.version)
            return whole.image

        def paint(part: np.ndarray, row: int, column: int) -> np.ndarray:
            found = self.client.generate_window(part, row, column, seed, vector)
            versions.add(found.version)
            return found.image

        return client_tiles.paint_in_windows(
            mask, paint, pixels, self.card.paint
        )


def style_from(
    path: pathlib.Path, mpp: float | None, card: Card | None
) -> Style:
    """The stain of an image.

    Args:
      path: the image.
      mpp: its um/px; None: its own.
      card: the model's; None: the image is sent as it is.

    Raises:
      InputError: um/px is not known.
    """
    image = images.read_image(path)
    if card is None:
        return Style(str(path), None, png.encode(image))
    mpp = mpp or images.read_mpp(path)
    if mpp is None:
        raise InputError(
            f"{path}: no um/px in the file; state it with --style_mpp"
        )
    return Style(str(path), rescale.style_of(image, mpp, card.style_mpp))
