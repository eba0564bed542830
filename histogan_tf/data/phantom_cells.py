"""Cells of a phantom: nuclei, mucin vacuoles, debris and red blood cells.

In: geometry and gland contours. Out: lists of ellipses, one for each kind.
Conventions: those of `phantom_ellipses`; lengths in um end in `_um`.
"""

import numpy as np

from histogan_tf.data.phantom_ellipses import Ellipses, join, lookup
from histogan_tf.data.phantom_layout import (
    EPITHELIUM,
    LUMEN,
    Geometry,
    Gland,
    signed_area,
    smooth_noise,
)
from histogan_tf.data.phantom_settings import Grid, PhantomSettings


def row_along(
    rng: np.random.Generator,
    gland: Gland,
    grid: Grid,
    spacing_um: float,
    depth_um: float,
    jitter_um: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places along the wall, moved inwards: x, y in px, inward angle, [n]."""
    points = gland.contour
    closed = np.vstack([points, points[:1]])
    steps = np.linalg.norm(np.diff(closed, axis=0), axis=1)
    length = np.concatenate([[0.0], np.cumsum(steps)])
    count = max(int(length[-1] / spacing_um), 3)
    at = (np.arange(count) + rng.uniform(-0.3, 0.3, count)) * spacing_um
    at %= length[-1]
    place = [np.interp(at, length, closed[:, axis]) for axis in (0, 1)]
    ahead = [
        np.interp((at + 2.0) % length[-1], length, closed[:, axis])
        for axis in (0, 1)
    ]
    angle = np.arctan2(ahead[1] - place[1], ahead[0] - place[0])
    angle += np.pi / 2 * np.sign(signed_area(points))
    depth = depth_um + rng.normal(0, jitter_um, count)
    x = (place[0] + np.cos(angle) * depth) / grid.mpp
    y = (place[1] + np.sin(angle) * depth) / grid.mpp
    return x, y, angle


def goblet_vacuoles(
    rng: np.random.Generator, gland: Gland, grid: Grid
) -> Ellipses:
    """Mucin drops between the nuclei and the lumen, in some of the cells."""
    tall = gland.thickness_um
    width = rng.uniform(8.0, 11.0)
    parts = []
    for share in (0.66, 0.44):
        x, y, angle = row_along(rng, gland, grid, width, share * tall, 1.0)
        n = len(x)
        drops = Ellipses(
            x,
            y,
            grid.px(0.27 * tall) * rng.uniform(0.75, 1.2, n),
            grid.px(0.46 * width) * rng.uniform(0.7, 1.15, n),
            angle + rng.normal(0, 0.15, n),
            rng.uniform(0.75, 1.0, n),
        )
        parts.append(drops.where(rng.uniform(size=n) < gland.goblets))
    return join(parts)


def epithelial_nuclei(
    rng: np.random.Generator,
    gland: Gland,
    grid: Grid,
    nucleus_um: float,
) -> Ellipses:
    """Tall nuclei at the base of the cells, in one row or several."""
    half = nucleus_um / 2 * (1 - 0.25 * gland.goblets)
    width = half * (0.38 + 0.04 * gland.strata)
    base = half + 1.2
    deepest = max(gland.thickness_um * 0.72 - half, base + 0.1)
    rows = int(np.ceil(gland.strata))
    parts = []
    for row in range(rows):
        depth = base + row * min(0.9 * half, (deepest - base) / max(rows, 2))
        keep = min(gland.strata - row, 1.0) * (0.94 - 0.10 * (row > 0))
        x, y, angle = row_along(
            rng, gland, grid, 2.3 * width, depth, 0.4 + 0.5 * gland.strata
        )
        n = len(x)
        nuclei = Ellipses(
            x,
            y,
            grid.px(half) * rng.uniform(0.8, 1.15, n),
            grid.px(width) * rng.uniform(0.8, 1.2, n),
            angle + rng.normal(0, 0.12 + 0.05 * gland.strata, n),
            np.clip(rng.normal(0.62, 0.11, n), 0.3, 1),
        )
        parts.append(nuclei.where(rng.uniform(size=n) < keep))
    return join(parts)


def stroma_nuclei(
    rng: np.random.Generator,
    settings: PhantomSettings,
    grid: Grid,
    geometry: Geometry,
    gap: np.ndarray,
) -> Ellipses:
    """Spindle-shaped fibroblasts along the fibres, round lymphocytes in nests.

    Cells sit one at most in each square of a jittered lattice, so that few
    overlap whatever their number.
    """
    pitch = grid.px(6.5)
    rows, columns_ = int(grid.height / pitch), int(grid.width / pitch)
    y, x = np.mgrid[:rows, :columns_].reshape(2, -1) + 0.5
    n = x.size
    x = (x + rng.uniform(-0.45, 0.45, n)) * pitch
    y = (y + rng.uniform(-0.42, 0.42, n)) * pitch
    nest = lookup(smooth_noise(rng, grid, 110), x, y) + rng.normal(0, 0.3)
    share = settings.stroma_cells * 6.5**2 * 1e-6
    chance = share * np.exp(0.8 * nest - 0.25)
    keep = rng.uniform(size=n) < chance
    keep &= lookup(geometry.outside_um, x, y) > 2.5
    keep &= lookup(gap, x, y) < 0.3
    x, y, nest = x[keep], y[keep], nest[keep]
    n = x.size
    cosine = lookup(geometry.cosine, x, y)
    sine = lookup(geometry.sine, x, y)
    along = 0.5 * np.arctan2(sine, cosine) + rng.normal(0, 0.18, n)
    round_ = rng.uniform(size=n) < 1 / (1 + np.exp(0.4 - 1.3 * nest))
    plump = rng.uniform(0, 1, n) ** 2
    long = np.where(
        round_, rng.uniform(1.9, 2.9, n), rng.uniform(3.6, 7.0, n) - plump
    )
    short = np.where(round_, long * 0.88, 0.95 + 1.1 * plump)
    value = np.where(round_, 0.80, 0.66 - 0.15 * plump)
    value = np.clip(value + rng.normal(0, 0.09, n), 0.3, 1)
    return Ellipses(x, y, grid.px(long), grid.px(short), along, value)


def debris(
    rng: np.random.Generator,
    grid: Grid,
    geometry: Geometry,
    glands: list[Gland],
) -> Ellipses:
    """Shed cells and crumbs in the fuller lumina."""
    n = int(grid.height * grid.width * grid.mpp**2 * 6e-3)
    x, y = rng.uniform(0, grid.width, n), rng.uniform(0, grid.height, n)
    fill = np.array([0.0] + [g.lumen_fill for g in glands])
    chance = fill[lookup(geometry.instances, x, y)] ** 1.5 * 0.9
    keep = rng.uniform(size=n) < chance
    keep &= lookup(geometry.classes, x, y) == LUMEN
    x, y = x[keep], y[keep]
    n = x.size
    long = grid.px(0.6 + 2.0 * rng.uniform(size=n) ** 2)
    turn = rng.uniform(0, np.pi, n)
    return Ellipses(x, y, long, long * 0.8, turn, rng.uniform(0.25, 0.85, n))


def red_cells(
    rng: np.random.Generator, grid: Grid, geometry: Geometry
) -> Ellipses:
    """Red blood cells packed in capillaries that follow the fibres."""
    area = grid.height * grid.width * grid.mpp**2
    vessels = rng.poisson(area * 45e-6)
    parts = []
    for _ in range(vessels):
        x, y = rng.uniform(0, grid.width), rng.uniform(0, grid.height)
        n = int(rng.integers(3, 22))
        cosine = lookup(geometry.cosine, np.array([x]), np.array([y]))[0]
        sine = lookup(geometry.sine, np.array([x]), np.array([y]))[0]
        turn = 0.5 * np.arctan2(sine, cosine)
        along = rng.normal(0, grid.px(1.8 * np.sqrt(n)), n)
        aside = rng.normal(0, grid.px(2.2), n)
        size = np.full(n, grid.px(2.9)) * rng.uniform(0.8, 1.05, n)
        parts.append(
            Ellipses(
                x + along * np.cos(turn) - aside * np.sin(turn),
                y + along * np.sin(turn) + aside * np.cos(turn),
                size,
                size * rng.uniform(0.7, 1.0, n),
                rng.uniform(0, np.pi, n),
                rng.uniform(0.6, 1.0, n),
            )
        )
    cells = join(parts)
    return cells.where(lookup(geometry.outside_um, cells.x, cells.y) > 4.0)


def inside_epithelium(nuclei: Ellipses, geometry: Geometry) -> np.ndarray:
    """Boolean [n]: the centre lies in epithelium."""
    return lookup(geometry.classes, nuclei.x, nuclei.y) == EPITHELIUM
