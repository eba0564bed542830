"""Procedural haematoxylin-and-eosin tissue with exact masks.

In: `PhantomSettings` and a seed. Out: a `Phantom`: image uint8 [H, W, 3] RGB,
mask uint8 [H, W] of class ids, instances uint16 [H, W] of gland ids.
Classes: 0 stroma (with its white clefts), 1 epithelium (with its mucin), 2
lumen; instances are > 0 just where the class is 1 or 2. The class table for
ingest is `class_tables/phantom.json`, its path `CLASSES_FILE`.
The way: layout (glands) -> geometry (masks) -> tissue (dye concentrations) ->
stain (Beer-Lambert) -> optics -> averaged to the wanted um/px.
It stands in for real tissue in demos and tests, and says nothing of disease.
"""

import pathlib
from typing import NamedTuple

import cv2
import numpy as np

from histogan_tf.data import phantom_layout as layout
from histogan_tf.data import phantom_stain as stain
from histogan_tf.data.phantom_settings import Grid, PhantomSettings, grid_of
from histogan_tf.data.phantom_tissue import concentrations
from histogan_tf.errors import InputError

CLASSES_FILE = pathlib.Path(__file__).parent / "class_tables" / "phantom.json"


class Phantom(NamedTuple):
    """An image and its truth.

    Attributes:
      image: uint8 [H, W, 3], RGB.
      mask: uint8 [H, W], 0 stroma, 1 epithelium, 2 lumen.
      instances: uint16 [H, W], 0 outside glands, else 1..n; numbers of glands
        outside the image are left out.
    """

    image: np.ndarray
    mask: np.ndarray
    instances: np.ndarray


def paint(settings: PhantomSettings, seed: int) -> Phantom:
    """Paints one image; the same settings and seed give the same bytes.

    Raises:
      InputError: the seed is not a whole number >= 0.
    """
    whole = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)
    if not whole or seed < 0:
        raise InputError(
            f"phantom: seed = {seed!r}; allowed is a whole number >= 0"
        )
    rng = np.random.Generator(np.random.PCG64(int(seed)))
    grid = grid_of(settings)
    lab = stain.draw_stain(rng, settings.stain_variation)
    irregularity = settings.irregularity * rng.uniform()
    goblets = settings.goblets * rng.uniform() * (1 - 0.8 * irregularity)
    glands = layout.draw_glands(rng, settings, grid, irregularity, goblets)
    geometry = layout.build_geometry(rng, grid, glands, irregularity)
    dyes = concentrations(rng, settings, grid, glands, geometry)
    blue, pink = (_crop(dye, grid) for dye in dyes)
    light = stain.transmit(blue, pink, lab)
    light = stain.expose(rng, light, grid.px(settings.blur_um), settings.noise)
    mask, instances = _truth(settings, grid, geometry)
    size = (settings.width, settings.height)
    light = cv2.resize(light, size, interpolation=cv2.INTER_AREA)
    image = np.round(light).astype(np.uint8)
    return Phantom(image, mask, instances)


def _crop(field: np.ndarray, grid: Grid) -> np.ndarray:
    """The field without its padding."""
    return field[grid.pad : -grid.pad, grid.pad : -grid.pad]


def _truth(
    settings: PhantomSettings, grid: Grid, geometry: layout.Geometry
) -> tuple[np.ndarray, np.ndarray]:
    """Mask and instances at the wanted um/px.

    A coarse pixel takes the median label of the fine ones under it: the
    majority where there is one, and always a label that occurs there, so mask
    and instances agree.
    """
    # Lumen is the odd one of each gland's two labels; stroma is 0.
    label = 2 * geometry.instances + (geometry.classes == layout.LUMEN)
    label, factor = _crop(label, grid), grid.factor
    if factor > 1:
        blocks = label.reshape(settings.height, factor, settings.width, factor)
        blocks = blocks.swapaxes(1, 2).reshape(
            settings.height, settings.width, factor * factor
        )
        middle = factor * factor // 2
        label = np.partition(blocks, middle, axis=-1)[..., middle]
    ids, instances = np.unique(label // 2, return_inverse=True)
    instances = instances.reshape(label.shape) + (ids[0] != 0)
    mask = np.where(label == 0, layout.STROMA, layout.EPITHELIUM)
    mask = np.where(label % 2 == 1, layout.LUMEN, mask)
    return mask.astype(np.uint8), instances.astype(np.uint16)
