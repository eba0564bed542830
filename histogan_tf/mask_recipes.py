"""New class masks from known ones, for tissue to be painted from.

In: class masks uint8 [H, W] (255 = ignore), one scale; a random generator.
Out: a new mask and a line that says how it was made. Each recipe is a
function `(masks, rng) -> Recipe's mask`; all are pure.

Nothing here knows what the classes mean: the class that fills most of a mask
is its ground, connected parts of the others are its objects.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from histogan_tf.data.classes import IGNORE

_KNOTS = 5
_WARP = 0.04  # deviation of the displacement, share of the shorter side
_GAP = 3  # px of ground around a pasted object
_TRIES = 8


@dataclass(frozen=True)
class NamedMask:
    """A mask and where it is from."""

    name: str
    mask: np.ndarray


Recipe = Callable[[Sequence[NamedMask], np.random.Generator], NamedMask]


def resampled(
    masks: Sequence[NamedMask], rng: np.random.Generator
) -> NamedMask:
    """One of the masks, in one of the eight symmetries of the square."""
    source = masks[rng.integers(len(masks))]
    turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
    mask = np.rot90(source.mask[:, ::-1] if mirrored else source.mask, turns)
    flip = ", mirrored" if mirrored else ""
    return NamedMask(
        f"{source.name}, turned {90 * turns}{flip}", np.ascontiguousarray(mask)
    )


def warped(masks: Sequence[NamedMask], rng: np.random.Generator) -> NamedMask:
    """A resampled mask, bent smoothly (Simard et al. 2003)."""
    source = resampled(masks, rng)
    height, width = source.mask.shape
    size = _WARP * min(height, width)
    flow = rng.normal(0, size, (_KNOTS, _KNOTS, 2)).astype(np.float32)
    flow = cv2.resize(flow, (width, height), interpolation=cv2.INTER_CUBIC)
    rows, columns = np.indices((height, width), dtype=np.float32)
    bent = cv2.remap(
        source.mask,
        columns + flow[..., 0],
        rows + flow[..., 1],
        cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_REFLECT,
    )
    return NamedMask(f"{source.name}, warped", bent)


def recombined(
    masks: Sequence[NamedMask], rng: np.random.Generator
) -> NamedMask:
    """A warped mask that got objects of another one where it had room."""
    base, donor = warped(masks, rng), resampled(masks, rng)
    mask, ground = base.mask.copy(), _ground(base.mask)
    count, labels = cv2.connectedComponents(_objects(donor.mask))
    pasted = 0
    for label in rng.permutation(np.arange(1, count)):
        pasted += _paste(mask, ground, donor.mask, labels == label, rng)
    return NamedMask(f"{base.name}, with {pasted} of {donor.name}", mask)


RECIPES: dict[str, Recipe] = {
    "resampled": resampled,
    "warped": warped,
    "recombined": recombined,
}


def _ground(mask: np.ndarray) -> int:
    """The class of most pixels."""
    return int(np.bincount(mask[mask != IGNORE], minlength=1).argmax())


def _objects(mask: np.ndarray) -> np.ndarray:
    return ((mask != _ground(mask)) & (mask != IGNORE)).astype(np.uint8)


def _paste(
    mask: np.ndarray,
    ground: int,
    donor: np.ndarray,
    part: np.ndarray,
    rng: np.random.Generator,
) -> int:
    """Puts one object on free ground; 1 if a place was found, else 0."""
    rows, columns = np.nonzero(part)
    top, left = rows.min(), columns.min()
    shape = (rows.max() - top + 1, columns.max() - left + 1)
    room = np.array(mask.shape) - shape
    if (room < 0).any() or _cut(part, rows, columns):
        return 0
    inside = part[top : top + shape[0], left : left + shape[1]]
    values = donor[top : top + shape[0], left : left + shape[1]]
    taken = cv2.dilate(
        (mask != ground).astype(np.uint8), np.ones((2 * _GAP + 1,) * 2)
    )
    for _ in range(_TRIES):
        row, column = (int(rng.integers(n + 1)) for n in room)
        place = np.s_[row : row + shape[0], column : column + shape[1]]
        if not (taken[place].astype(bool) & inside).any():
            mask[place][inside] = values[inside]
            return 1
    return 0


def _cut(part: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> bool:
    """Whether the image's edge cut the object: its end would look odd."""
    height, width = part.shape
    return bool(
        rows.min() == 0
        or columns.min() == 0
        or rows.max() == height - 1
        or columns.max() == width - 1
    )
