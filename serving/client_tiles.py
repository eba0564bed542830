"""Large images and masks in windows, joined without a seam.

In: an image [H, W, ...], what a server takes at once, and the model's reach
(`reach.py`, from its model card). Out: the windows, and the joined result.

Each window is read with `halo` pixels more on every side than are kept, and
starts at a multiple of the network's stride; at the image's own border it ends
where the image does, so that the network pads it as it would pad the whole.
If the halo covers the network's receptive field, every kept pixel is computed
from the same values as without windows. Sums are then rounded alike but for
their order: probabilities agree to 1e-5, and a class can differ only where two
are that close.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from histogan_tf import halo
from histogan_tf.errors import InputError
from serving.reach import Reach


@dataclass(frozen=True)
class Window:
    """Rows and columns that are read, and those of them that are kept."""

    top: int
    bottom: int
    left: int
    right: int
    kept_top: int
    kept_bottom: int
    kept_left: int
    kept_right: int

    @property
    def read(self) -> tuple[slice, slice]:
        """Where to read in the whole."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def kept(self) -> tuple[slice, slice]:
        """Where to put what is kept, in the whole."""
        return (
            slice(self.kept_top, self.kept_bottom),
            slice(self.kept_left, self.kept_right),
        )

    def crop(self, values: np.ndarray) -> np.ndarray:
        """What is kept of the values [h, w, ...] of the window."""
        top, left = self.kept_top - self.top, self.kept_left - self.left
        return values[
            top : top + self.kept_bottom - self.kept_top,
            left : left + self.kept_right - self.kept_left,
        ]


def step(pixels: int, reach: Reach) -> int:
    """Side of what is kept of a window of at most `pixels` pixels.

    Raises:
      InputError: the halo leaves nothing.
    """
    found = math.isqrt(pixels) - 2 * reach.border
    if found < reach.multiple:
        least = (2 * reach.border + reach.multiple) ** 2
        raise InputError(
            f"windows of {pixels} pixels: with a halo of {reach.border} on"
            f" each side at least {least} are needed (--tile_pixels, or the"
            " server's limit)"
        )
    return found // reach.multiple * reach.multiple


def windows(
    height: int, width: int, side: int, border: int
) -> Iterator[Window]:
    """Windows in rows, whose kept parts tile the whole once.

    Args:
      height, width: of the whole.
      side: of what is kept, as `step` gives it.
      border: pixels that are read beyond it, if the whole has them.
    """
    for top in range(0, height, side):
        for left in range(0, width, side):
            bottom, right = min(height, top + side), min(width, left + side)
            yield Window(
                max(0, top - border),
                min(height, bottom + border),
                max(0, left - border),
                min(width, right + border),
                top,
                bottom,
                left,
                right,
            )


def read_in_windows(
    image: np.ndarray,
    read: Callable[[np.ndarray], np.ndarray],
    pixels: int,
    reach: Reach,
) -> np.ndarray:
    """Reads an image whole if it is small enough, else in windows.

    Args:
      image: [H, W, ...].
      read: maps [h, w, ...] to values [h, w, ...].
      pixels: most that `read` takes.
      reach: of the network behind `read`.

    Returns:
      The joined values [H, W, ...].
    """
    height, width = image.shape[:2]
    if height * width <= pixels:
        return read(image)
    side, out = step(pixels, reach), None
    for window in windows(height, width, side, reach.border):
        found = window.crop(read(image[window.read]))
        if out is None:
            out = np.empty((height, width, *found.shape[2:]), found.dtype)
        out[window.kept] = found
    assert out is not None, image.shape
    return out


def paint_in_windows(
    mask: np.ndarray,
    paint: Callable[[np.ndarray, int, int], np.ndarray],
    pixels: int,
    reach: Reach,
) -> np.ndarray:
    """Paints a mask in windows, each from the mask with its whole halo.

    The mask is mirrored beyond its border, as far as the halo goes.

    Args:
      mask: [H, W].
      paint: maps mask with halo [h + 2 border, w + 2 border], row and column
        (of the window without halo) to an image [h, w, 3].
      pixels: most that `paint` takes, halo included.
      reach: of the network behind `paint`.

    Returns:
      [H, W, 3].
    """
    side, border = step(pixels, reach), reach.border
    height, width = mask.shape
    tall, wide = (halo.rounded(n, reach.multiple) for n in mask.shape)
    pads = ((border, border + tall - height), (border, border + wide - width))
    padded, out = np.pad(mask, pads, mode="symmetric"), None
    for window in windows(tall, wide, side, 0):
        part = padded[
            window.top : window.bottom + 2 * border,
            window.left : window.right + 2 * border,
        ]
        found = paint(part, window.top, window.left)
        if out is None:
            out = np.empty((tall, wide, 3), found.dtype)
        out[window.kept] = found
    assert out is not None, mask.shape
    return out[:height, :width]
