"""Bodies of a phantom as ellipses, and their painting onto maps.

In: lists of ellipses. Out: float32 maps [h, w] from 0 to 1.
Conventions: positions and half axes in fine pixels, angles in radians (x to
the right, y down), values 0 to 1.
"""

import dataclasses

import cv2
import numpy as np

from histogan_tf.data.phantom_layout import smooth_noise
from histogan_tf.data.phantom_settings import Grid


@dataclasses.dataclass(frozen=True)
class Ellipses:
    """Ellipses as arrays [n]: centre, half axes, angle of the long one."""

    x: np.ndarray
    y: np.ndarray
    long: np.ndarray
    short: np.ndarray
    angle: np.ndarray
    value: np.ndarray

    def where(self, keep: np.ndarray | slice) -> "Ellipses":
        """Those that `keep` chooses: booleans [n], indices or a slice."""
        return Ellipses(*(column[keep] for column in columns(self)))


def columns(ellipses: Ellipses) -> list[np.ndarray]:
    """The six arrays, in the order of the fields."""
    fields = dataclasses.fields(ellipses)
    return [getattr(ellipses, field.name) for field in fields]


def join(parts: list[Ellipses]) -> Ellipses:
    """One list from several."""
    if not parts:
        return Ellipses(*[np.zeros(0)] * 6)
    return Ellipses(
        *map(np.concatenate, zip(*map(columns, parts), strict=True))
    )


def draw(
    canvas: np.ndarray, ellipses: Ellipses, scale: float, gain: float
) -> None:
    """Draws filled ellipses, later over earlier, onto uint8 `canvas` [h, w].

    Half axes are multiplied by `scale`, values (0 to 1) by `gain`.
    """
    centres = np.round(np.stack([ellipses.x, ellipses.y], 1) * 16)
    axes = np.stack([ellipses.long, ellipses.short], 1) * scale
    axes = np.maximum(np.round(axes * 16), 6)
    values = np.clip(np.round(ellipses.value * gain * 255), 0, 255)
    rows = zip(
        centres.astype(int).tolist(),
        axes.astype(int).tolist(),
        np.degrees(ellipses.angle).tolist(),
        values.tolist(),
        strict=True,
    )
    for centre, axis, angle, value in rows:
        cv2.ellipse(
            canvas, centre, axis, angle, 0, 360, value, -1, cv2.LINE_AA, 4
        )


def lookup(field: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Values of a field [h, w] at positions in pixels, held at the edge."""
    row = np.clip(np.round(y).astype(int), 0, field.shape[0] - 1)
    column = np.clip(np.round(x).astype(int), 0, field.shape[1] - 1)
    return field[row, column]


def within(ellipses: Ellipses, grid: Grid) -> np.ndarray:
    """Boolean [n]: the centre lies on the grid or just outside it."""
    x, y = ellipses.x, ellipses.y
    inside = (x > -8) & (y > -8)
    return inside & (x < grid.width + 8) & (y < grid.height + 8)


def paint_nuclei(
    rng: np.random.Generator, grid: Grid, nuclei: Ellipses
) -> np.ndarray:
    """Chromatin, float32 [h, w] 0 to 1: dark membrane, clumped inside.

    Each nucleus first clears a thin seam around itself, or a crowded row
    would run together into one dark band.
    """
    canvas = np.zeros((grid.height, grid.width), np.uint8)
    nuclei = nuclei.where(within(nuclei, grid))
    nuclei = nuclei.where(rng.permutation(len(nuclei.x)))
    seam = grid.px(0.7)
    half = len(nuclei.x) // 2
    for part in (slice(0, half), slice(half, None)):
        some = nuclei.where(part)
        wider = dataclasses.replace(
            some, long=some.long + seam, short=some.short + seam
        )
        draw(canvas, wider, 1.0, 0.06)
        draw(canvas, some, 1.0, 1.0)
        draw(canvas, some, 0.66, 0.74)
    chromatin = _wobble(rng, grid, canvas, 0.3).astype(np.float32) / 255
    clumps = smooth_noise(rng, grid, 2.6)
    return chromatin * np.clip(1 + 0.22 * clumps, 0.4, 1.6)


def paint_drops(
    rng: np.random.Generator, grid: Grid, ellipses: Ellipses
) -> np.ndarray:
    """Other bodies, float32 [h, w] 0 to 1, with slightly uneven outlines."""
    canvas = np.zeros((grid.height, grid.width), np.uint8)
    kept = ellipses.where(within(ellipses, grid))
    seam = grid.px(0.6)
    draw(canvas, kept, 1.0, 1.0)
    if kept.x.size:  # the membrane between two that touch
        rim = dataclasses.replace(
            kept, long=kept.long + seam, short=kept.short + seam
        )
        canvas[:] = 0
        for index in range(2):
            some = slice(index, None, 2)
            draw(canvas, rim.where(some), 1.0, 0.15)
            draw(canvas, kept.where(some), 1.0, 1.0)
    return _wobble(rng, grid, canvas, 0.6).astype(np.float32) / 255


def _wobble(
    rng: np.random.Generator, grid: Grid, canvas: np.ndarray, amount_um: float
) -> np.ndarray:
    """Moves a map by a fraction of a micrometre: no outline is an ellipse."""
    y, x = np.mgrid[: grid.height, : grid.width].astype(np.float32)
    amount = np.float32(grid.px(amount_um))
    x += amount * smooth_noise(rng, grid, 6)
    y += amount * smooth_noise(rng, grid, 6)
    return cv2.remap(canvas, x, y, cv2.INTER_LINEAR)
