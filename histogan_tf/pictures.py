"""Pictures for people: masks in colour, overlays, grids with labels.

In: uint8 RGB images [H, W, 3], uint8 class masks [H, W] (255 = ignore) and a
palette uint8 [N, 3]. Out: uint8 RGB images [H, W, 3] and PNG files.

Enlarging repeats pixels and never blends them: what the network made is seen.
"""

import os
import pathlib
from collections.abc import Sequence

import cv2
import numpy as np

from histogan_tf import files
from histogan_tf.data import png
from histogan_tf.data.classes import IGNORE
from histogan_tf.errors import InputError

IGNORE_COLOR = (128, 128, 128)

_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.45
_LABEL_MARGIN = 8  # px left and right of a label


def palette_image(mask: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """A mask in its classes' colours, uint8 [H, W, 3]; ignored pixels grey.

    Args:
      mask: uint8 [H, W], ids 0..N-1 and 255.
      palette: uint8 [N, 3], RGB.

    Raises:
      InputError: `mask` is not [H, W], or an id is in no class.
    """
    if mask.ndim != 2:
        raise InputError(f"class mask: shape {mask.shape}; allowed is [H, W]")
    wrong = mask[(mask >= len(palette)) & (mask != IGNORE)]
    if wrong.size:
        raise InputError(
            f"class mask: id {wrong[0]} in {wrong.size} pixels; allowed are"
            f" 0..{len(palette) - 1} and {IGNORE}"
        )
    colors = np.full((IGNORE + 1, 3), IGNORE_COLOR, np.uint8)
    colors[: len(palette)] = palette
    return colors[mask]


def overlay(
    image: np.ndarray,
    mask: np.ndarray,
    palette: np.ndarray,
    alpha: float = 0.35,
    line: int = 1,
) -> np.ndarray:
    """The image tinted by class, with contour lines between the classes.

    Args:
      image: uint8 [H, W, 3].
      mask: uint8 [H, W]; ignored pixels keep the image's colour.
      palette: uint8 [N, 3], RGB.
      alpha: share of the class's colour, 0..1.
      line: width of the contours in px, 0 for none. A contour has the full
        colour of the higher of the two ids and lies on that class's side.

    Raises:
      InputError: sizes differ, or `mask` is not of these classes.
    """
    if image.shape != (*mask.shape, 3):
        raise InputError(
            f"overlay: image {image.shape} and mask {mask.shape}; allowed are"
            " [H, W, 3] and [H, W] of one size"
        )
    colors = palette_image(mask, palette).astype(np.float32)
    known = (mask != IGNORE)[..., None]
    mixed = image + np.float32(alpha) * (colors - image)
    mixed = np.where(known, np.round(mixed), image)
    drawn = contours(mask, line)[..., None]
    return np.where(drawn, colors, mixed).astype(np.uint8)


def contours(mask: np.ndarray, line: int = 1) -> np.ndarray:
    """Where classes meet: bool [H, W], `line` px on the higher id's side.

    Ignored pixels count as a class below all others and draw no line.
    """
    ids = np.where(mask == IGNORE, -1, mask.astype(np.int16))
    lowest = ids
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    for _ in range(line):
        lowest = cv2.erode(lowest, cross)
    return lowest < ids


def magnify(image: np.ndarray, factor: int) -> np.ndarray:
    """Each pixel [H, W, ...] as a square of `factor` x `factor`."""
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def grid(
    rows: Sequence[Sequence[np.ndarray]],
    gap: int = 4,
    enlarge: int = 1,
    labels: Sequence[str] = (),
) -> np.ndarray:
    """Images side by side, on white.

    Args:
      rows: uint8 RGB images; a row may be shorter than others and images may
        differ in size: a cell is as wide as its column, as high as its row.
      gap: px between cells; none outside.
      enlarge: factor by which each image is enlarged, >= 1.
      labels: a text for each row, set to its left; none: no such strip.

    Returns:
      uint8 [H, W, 3].

    Raises:
      InputError: no image, an image of another type or shape, or another
        number of labels than rows.
    """
    _check(rows, labels)
    big = [[magnify(image, enlarge) for image in row] for row in rows]
    if labels:
        strips = _strips(labels, [max(len(i) for i in row) for row in big])
        big = [[s, *row] for s, row in zip(strips, big, strict=True)]
    heights = [max(len(image) for image in row) for row in big]
    columns = max(len(row) for row in big)
    widths = [
        max(row[c].shape[1] for row in big if c < len(row))
        for c in range(columns)
    ]
    tops = np.cumsum([0, *(h + gap for h in heights)])
    lefts = np.cumsum([0, *(w + gap for w in widths)])
    out = np.full((tops[-1] - gap, lefts[-1] - gap, 3), 255, np.uint8)
    for top, row in zip(tops, big, strict=False):
        for left, image in zip(lefts, row, strict=False):
            height, width = image.shape[:2]
            out[top : top + height, left : left + width] = image
    return out


def save(path: str | os.PathLike, image: np.ndarray) -> None:
    """Writes a PNG, whole or not at all; makes its folder."""
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    files.atomic_write(path, png.encode(image))


def _check(rows: Sequence[Sequence[np.ndarray]], labels: Sequence[str]) -> None:
    if not rows or not all(len(row) for row in rows):
        raise InputError("picture grid: an empty row, or none; images needed")
    for image in (image for row in rows for image in row):
        rgb = image.ndim == 3 and image.shape[2] == 3
        if not rgb or image.dtype != np.uint8:
            raise InputError(
                f"picture grid: image of {image.dtype} {image.shape}; allowed"
                " is uint8 [H, W, 3]"
            )
    if labels and len(labels) != len(rows):
        raise InputError(
            f"picture grid: {len(labels)} labels; {len(rows)} rows need as many"
        )


def _strips(labels: Sequence[str], heights: Sequence[int]) -> list[np.ndarray]:
    """One white strip with text a label, all of one width."""
    # OpenCV's fonts hold ASCII alone.
    texts = [label.encode("ascii", "replace").decode() for label in labels]
    sizes = [cv2.getTextSize(t, _FONT, _FONT_SCALE, 1)[0] for t in texts]
    width = max(size[0] for size in sizes) + 2 * _LABEL_MARGIN
    out = []
    for text, size, height in zip(texts, sizes, heights, strict=True):
        strip = np.full((max(height, size[1] + 6), width, 3), 255, np.uint8)
        place = (_LABEL_MARGIN, (len(strip) + size[1]) // 2)
        ink = (40, 40, 40)
        cv2.putText(strip, text, place, _FONT, _FONT_SCALE, ink, 1, cv2.LINE_AA)
        out.append(strip)
    return out
