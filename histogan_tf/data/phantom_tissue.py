"""How much of each dye every spot of a phantom has taken up.

In: geometry and glands. Out: concentrations of haematoxylin and eosin,
float32 [h, w], >= 0, where 1 is about a dense nucleus or strong collagen.
Source for the fibres: line integral convolution, Cabral & Leedom 1993
("Imaging vector fields using line integral convolution"), here with doubling
steps.
"""

import cv2
import numpy as np

from histogan_tf.data import phantom_cells as cells
from histogan_tf.data.phantom_ellipses import (
    join,
    paint_drops,
    paint_nuclei,
)
from histogan_tf.data.phantom_layout import (
    LUMEN,
    STROMA,
    Geometry,
    Gland,
    smooth_noise,
)
from histogan_tf.data.phantom_settings import Grid, PhantomSettings


def fibres(
    rng: np.random.Generator, grid: Grid, geometry: Geometry
) -> np.ndarray:
    """Streaks along the direction field, float32 [h, w], mean 0, variance 1.

    Each pass averages two copies displaced along the field; doubling the
    displacement, five passes make a streak of some 15 um.
    """
    shape = (grid.height, grid.width)
    field = rng.standard_normal(shape, dtype=np.float32)
    field += 0.8 * smooth_noise(rng, grid, 4)
    angle = 0.5 * cv2.phase(geometry.cosine, geometry.sine)
    across, down = cv2.polarToCart(np.ones_like(angle), angle)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    step = np.float32(grid.px(0.25))
    for _ in range(5):
        ahead = cv2.remap(
            field,
            x + step * across,
            y + step * down,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT,
        )
        behind = cv2.remap(
            field,
            x - step * across,
            y - step * down,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT,
        )
        field = 0.5 * (ahead + behind)
        step *= 2
    return (field - field.mean()) / (field.std() + 1e-6)


def clefts(
    rng: np.random.Generator,
    settings: PhantomSettings,
    grid: Grid,
    geometry: Geometry,
    glands: list[Gland],
    streaks: np.ndarray,
) -> np.ndarray:
    """White gaps in the stroma, float32 [h, w] 0 to 1 (1 = empty slide).

    Cracks along the fibres where the stroma is loose, and the rim that opens
    where it shrinks away from some glands.
    """
    amount = settings.gaps * rng.uniform(0.2, 1.3)
    loose = smooth_noise(rng, grid, 130) + 0.5 * smooth_noise(rng, grid, 30)
    cracks = loose + 0.75 * streaks - (3.4 - 1.5 * amount)
    width = _nearest_gland(geometry, rng.uniform(-7, 5.5, len(glands)), grid)
    width = width * amount + 2.6 * amount * smooth_noise(rng, grid, 35)
    rim = width + 0.7 * streaks - geometry.outside_um
    empty = np.maximum(cv2.GaussianBlur(cracks, (0, 0), 1.0) * 3, rim)
    empty = np.clip(empty + 0.5, 0, 1)
    return np.where(geometry.classes == STROMA, empty, 0).astype(np.float32)


def _nearest_gland(
    geometry: Geometry, values: np.ndarray, grid: Grid
) -> np.ndarray:
    """Spreads a value of each gland over its neighbourhood, smoothly."""
    table = np.concatenate([[0.0], values]).astype(np.float32)
    size = (max(grid.width // 8, 1), max(grid.height // 8, 1))
    inside = (geometry.instances > 0).astype(np.float32)
    mass = cv2.resize(inside, size, interpolation=cv2.INTER_AREA)
    value = table[geometry.instances]
    value = cv2.resize(value, size, interpolation=cv2.INTER_AREA)
    sigma = max(grid.px(8.0) / 8, 0.5)
    mass = cv2.GaussianBlur(mass, (0, 0), sigma)
    value = cv2.GaussianBlur(value, (0, 0), sigma) / (mass + 1e-4)
    return cv2.resize(value, (grid.width, grid.height))


def concentrations(
    rng: np.random.Generator,
    settings: PhantomSettings,
    grid: Grid,
    glands: list[Gland],
    geometry: Geometry,
) -> tuple[np.ndarray, np.ndarray]:
    """Haematoxylin and eosin of the whole tissue, two float32 [h, w]."""
    streaks = fibres(rng, grid, geometry)
    gap = clefts(rng, settings, grid, geometry, glands, streaks)
    grain = smooth_noise(rng, grid, 3.5)
    cloud = smooth_noise(rng, grid, 90)
    layers = (
        _stroma(rng, grid, geometry, streaks, cloud, gap),
        _epithelium(rng, grid, geometry, glands, streaks, grain),
        _lumen(rng, grid, geometry, glands, grain),
    )
    pick = geometry.classes
    blue, pink = (np.choose(pick, maps) for maps in zip(*layers, strict=True))
    chromatin = _nuclei(rng, settings, grid, geometry, glands, gap)
    blue = blue * (1 - 0.6 * chromatin) + 2.15 * chromatin
    pink = pink + (0.75 - pink) * np.minimum(1.3 * chromatin, 1)
    section = np.clip(1 + 0.07 * cloud + 0.03 * grain, 0.6, 1.4)
    return np.maximum(blue * section, 0), np.maximum(pink * section, 0)


def _stroma(
    rng: np.random.Generator,
    grid: Grid,
    geometry: Geometry,
    streaks: np.ndarray,
    cloud: np.ndarray,
    gap: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    tone = rng.uniform(0.75, 1.05)
    coarse = smooth_noise(rng, grid, 20)
    fine = smooth_noise(rng, grid, 3)
    pink = 0.80 + 0.26 * streaks + 0.12 * cloud + 0.14 * coarse
    pink = tone * (pink + 0.09 * fine)
    pink = np.clip(pink, 0.06, 2.2)
    blue = np.clip(0.16 + 0.06 * streaks + 0.05 * coarse + 0.03 * fine, 0.03, 1)
    blood = paint_drops(rng, grid, cells.red_cells(rng, grid, geometry))
    pink = np.maximum(pink, 2.0 * blood)
    blue *= 1 - 0.7 * blood
    kept = 1 - 0.97 * gap * (1 - blood)
    return blue * kept, pink * kept


def _epithelium(
    rng: np.random.Generator,
    grid: Grid,
    geometry: Geometry,
    glands: list[Gland],
    streaks: np.ndarray,
    grain: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Cytoplasm: bluish at the base, pink at the lumen, pale in vacuoles."""
    depth = geometry.inside_um / np.maximum(geometry.thickness_um, 1.0)
    depth = np.clip(depth, 0, 1)
    tone = rng.uniform(0.85, 1.1)
    uneven = 1 + 0.13 * streaks + 0.10 * grain
    pink = (0.62 + 0.28 * depth) * tone * uneven
    blue = (0.52 - 0.22 * depth) * uneven
    brush = np.exp(-((geometry.inside_um - geometry.thickness_um) ** 2) / 2)
    pink = pink + 0.25 * brush
    drops = join([cells.goblet_vacuoles(rng, gland, grid) for gland in glands])
    drops = drops.where(cells.inside_epithelium(drops, geometry))
    mucin = paint_drops(rng, grid, drops) * (1 - 0.7 * brush)
    pink = pink * (1 - 0.92 * mucin) + 0.05 * mucin
    blue = blue * (1 - 0.88 * mucin) + 0.05 * mucin * (1 + 0.5 * grain)
    return np.maximum(blue, 0), np.maximum(pink, 0)


def _lumen(
    rng: np.random.Generator,
    grid: Grid,
    geometry: Geometry,
    glands: list[Gland],
    grain: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Empty slide with wisps of mucin, and secretion in some lumina."""
    fill = np.array([0.0] + [gland.lumen_fill for gland in glands])
    fill = fill.astype(np.float32)[geometry.instances]
    wisps = smooth_noise(rng, grid, 14) + 0.6 * smooth_noise(rng, grid, 5)
    wisps = np.clip(wisps + 2.2 * fill - 1.0, 0, 1.2)
    deep = geometry.inside_um - geometry.thickness_um
    wisps *= np.clip(deep / 4.0 - 0.2, 0, 1)  # it shrinks from the wall
    pink = 0.02 + wisps * np.clip(0.36 + 0.16 * grain, 0, 1)
    blue = 0.015 + 0.10 * wisps * np.clip(1 + 0.6 * grain, 0, 2)
    crumbs = paint_drops(rng, grid, cells.debris(rng, grid, geometry, glands))
    return blue + 0.9 * crumbs, pink + 0.5 * crumbs


def _nuclei(
    rng: np.random.Generator,
    settings: PhantomSettings,
    grid: Grid,
    geometry: Geometry,
    glands: list[Gland],
    gap: np.ndarray,
) -> np.ndarray:
    parts = [
        cells.epithelial_nuclei(rng, gland, grid, settings.nucleus_um)
        for gland in glands
    ]
    own = join(parts)
    own = own.where(cells.inside_epithelium(own, geometry))
    other = cells.stroma_nuclei(rng, settings, grid, geometry, gap)
    chromatin = paint_nuclei(rng, grid, join([own, other]))
    chromatin[geometry.classes == LUMEN] = 0
    return chromatin
