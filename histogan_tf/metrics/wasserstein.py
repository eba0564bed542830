"""Sliced Wasserstein distance (SWD) of two sets of images, level by level.

In: two lists of RGB images [H, W, 3], uint8 or float [-1, 1], of any sizes
but of one um/px. Out: one distance x 1000 per level of a Laplacian pyramid,
finest first, with the protocol that led to it.

After Karras et al., "Progressive growing of GANs", ICLR 2018, section 5 and
appendix, and its published settings: 7x7 patches, 128 per image and level,
each set normalised by its own mean and deviation per channel, 4 x 128 random
directions, mean absolute difference of the sorted projections.

Where we part from it, and what to mind:
- Normalising each set by itself hides errors of colour and contrast, and
  much of a blur, which at a level is a loss of contrast. (GlaS blurred by
  0.7 px: 1.6 times the unblurred distance; under the real statistics 6
  times.) `real_statistics=True` normalises both sets by the first (real)
  one's statistics; the distance is then no longer symmetric.
- Where the patches lie is drawn from (seed, the image's bytes): equal sets
  are at distance 0 in any order, and no pair of images shares its places.
- Sets may differ in number. Both give the same number of patches, namely
  128 x the number of images of the smaller set, spread evenly.
- The distance of different finite sets is never 0, even of the same kind:
  `evaluation/fidelity.py` measures what remains.
"""

import dataclasses
import zlib
from collections.abc import Sequence

import cv2
import numpy as np

from histogan_tf.errors import InputError

COARSEST_SIDE = 16  # px; Karras et al. stop at 16x16.


@dataclasses.dataclass(frozen=True)
class SwdSettings:
    """How patches and directions are drawn; the defaults are the paper's.

    levels: pyramid levels, >= 1; None: `levels_of` the smallest image's
      short side. patch: side in px, odd.
    """

    levels: int | None = None
    patch: int = 7
    patches_per_image: int = 128
    repeats: int = 4
    directions: int = 128
    real_statistics: bool = False
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class SwdResult:
    """Distances x 1000 and how they were measured.

    distances: per level, finest first; level i is reduced by 2**i.
    images: number of images of either set. patches: per set and level.
    settings: as given, with the number of levels filled in.
    """

    distances: tuple[float, ...]
    images: tuple[int, int]
    patches: int
    settings: SwdSettings


def distance(
    real: Sequence[np.ndarray],
    other: Sequence[np.ndarray],
    settings: SwdSettings,
) -> SwdResult:
    """SWD per level between two sets of images.

    Args:
      real: images [H, W, 3], uint8 or float in [-1, 1].
      other: the same.
      settings: the protocol.

    Raises:
      InputError: a set is empty, an image has another shape or type, or the
        smallest image is too small for the levels.
    """
    settings = _settled(settings, [*real, *other])
    if not len(real) or not len(other):
        raise InputError(
            f"sliced Wasserstein distance: {len(real)} and {len(other)} "
            "images; each set needs at least 1"
        )
    patches = settings.patches_per_image * min(len(real), len(other))
    found = _compare(
        _pyramids(real, settings),
        _pyramids(other, settings),
        patches,
        settings,
    )
    return SwdResult(tuple(found), (len(real), len(other)), patches, settings)


def levels_of(side: int) -> int:
    """Levels that end at 16 px or more, for images of `side` px; >= 1."""
    return max(1, (side // COARSEST_SIDE).bit_length())


def laplacian_pyramid(image: np.ndarray, levels: int) -> list[np.ndarray]:
    """Burt and Adelson's pyramid by cv2: finest first, the last the rest.

    Args:
      image: float32 [H, W, C].
      levels: >= 1; each level has half the side of the one before, rounded
        up. Upscaling and adding back gives the image again.
    """
    pyramid = [image]
    for _ in range(1, levels):
        fine = pyramid[-1]
        coarse = cv2.pyrDown(fine)
        size = fine.shape[1], fine.shape[0]
        pyramid[-1] = fine - cv2.pyrUp(coarse, dstsize=size)
        pyramid.append(coarse)
    return pyramid


def sliced_wasserstein(
    one: np.ndarray, two: np.ndarray, directions: np.ndarray
) -> float:
    """Mean 1-Wasserstein distance of the sets' shadows along directions.

    Args:
      one: float32 [n, d], a row per member.
      two: the same shape.
      directions: float32 [d, k], columns of length 1.
    """
    shadows = [np.sort(directions.T @ x.T, axis=1) for x in (one, two)]
    return float(np.abs(shadows[0] - shadows[1]).mean(dtype=np.float64))


_Pyramid = tuple[int, list[np.ndarray]]  # the image's checksum, its levels


def _pyramids(
    images: Sequence[np.ndarray], settings: SwdSettings
) -> list[_Pyramid]:
    out = []
    for image in images:
        image = _float_image(image)
        checksum = zlib.crc32(np.ascontiguousarray(image).tobytes())
        levels = laplacian_pyramid(image, settings.levels or 1)
        out.append((checksum, levels))
    return out


def _compare(
    one: list[_Pyramid],
    two: list[_Pyramid],
    patches: int,
    settings: SwdSettings,
) -> list[float]:
    """SWD x 1000 per level."""
    out, count, seed = [], settings.directions, settings.seed
    for level in range(settings.levels or 1):
        a, b = (
            _patches(side, level, patches, settings.patch, seed)
            for side in (one, two)
        )
        mean, deviation = _statistics(a)
        own = (mean, deviation) if settings.real_statistics else _statistics(b)
        a, b = (a - mean) / deviation, (b - own[0]) / own[1]
        a, b = (x.reshape(len(x), -1) for x in (a, b))
        rng = np.random.default_rng([seed, level])
        found = [
            sliced_wasserstein(a, b, _directions(rng, a.shape[1], count))
            for _ in range(settings.repeats)
        ]
        out.append(1000.0 * float(np.mean(found)))
    return out


def _patches(
    pyramids: list[_Pyramid], level: int, total: int, side: int, seed: int
) -> np.ndarray:
    """Draws float32 [total, side, side, 3], spread evenly over the images."""
    out = []
    shares = np.diff(np.arange(len(pyramids) + 1) * total // len(pyramids))
    for count, (checksum, levels) in zip(shares, pyramids, strict=True):
        rng = np.random.default_rng([seed, level, checksum])
        image = levels[level]
        windows = np.lib.stride_tricks.sliding_window_view(
            image, (side, side, image.shape[-1])
        )[:, :, 0]
        rows = rng.integers(windows.shape[0], size=count)
        columns = rng.integers(windows.shape[1], size=count)
        out.append(windows[rows, columns])
    return np.concatenate(out)


def _statistics(patches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation per channel; 1 where nothing varies."""
    axes = (0, 1, 2)
    mean = patches.mean(axes, dtype=np.float64)
    deviation = patches.std(axes, dtype=np.float64)
    deviation[deviation == 0] = 1.0
    return mean.astype(np.float32), deviation.astype(np.float32)


def _directions(
    rng: np.random.Generator, length: int, count: int
) -> np.ndarray:
    columns = rng.standard_normal((length, count))
    columns /= np.linalg.norm(columns, axis=0)
    return columns.astype(np.float32)


def _settled(
    settings: SwdSettings, images: Sequence[np.ndarray]
) -> SwdSettings:
    """The settings with `levels` filled in and checked."""
    sides = [min(np.shape(image)[:2], default=0) for image in images]
    side = min(sides, default=0)
    levels = settings.levels
    if levels is None:
        levels = levels_of(side)
    if levels < 1:
        raise InputError(f"SWD levels: {levels}; allowed are >= 1")
    coarsest = -(-side // 2 ** (levels - 1))
    if images and coarsest < settings.patch:
        raise InputError(
            f"sliced Wasserstein distance: image {int(np.argmin(sides))} has "
            f"{coarsest} px at level {levels}; allowed are "
            f">= {settings.patch} (the patch)"
        )
    return dataclasses.replace(settings, levels=levels)


def _float_image(image: np.ndarray) -> np.ndarray:
    if image.ndim != 3 or image.shape[-1] != 3:
        raise InputError(f"image: shape {image.shape}; allowed is [H, W, 3]")
    if image.dtype == np.uint8:
        return image.astype(np.float32) / 127.5 - 1.0
    if not np.issubdtype(image.dtype, np.floating):
        raise InputError(f"image: type {image.dtype}; allowed: uint8, float")
    return image.astype(np.float32)
