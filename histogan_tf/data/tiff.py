"""TIFF files: pixels as they are stored, and the um/px they state.

In: the path of a TIFF (strips or tiles, classic or BigTIFF, plain, OME, ImageJ
or Aperio; the first series at full resolution). Out: the array with channels
last, its colour map, and microns per pixel.

um/px is looked for in this order: OME-XML PhysicalSizeX, Aperio's `MPP`,
ImageJ's unit, the resolution tags. Values above 20 um/px are taken as "not
stated": 72, 96 or 300 dots per inch are what programs write that know nothing.
"""

import dataclasses
import logging
import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np

from histogan_tf.errors import InputError

if TYPE_CHECKING:
    # 16 MB that tiles of other formats do not need.
    import tifffile

LARGEST_STATED_MPP = 20.0
SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

# Numbers of the tags PhotometricInterpretation and ExtraSamples.
WHITE_IS_ZERO, _BLACK_IS_ZERO, _CMYK = 0, 1, 5
_PREMULTIPLIED, _STRAIGHT = 1, 2
# Of the tag Compression: old and new JPEG, lossy DNG, and another name.
JPEG = frozenset({6, 7, 34892, 33007})

# What tifffile warns of is raised here as an error, or harmless.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

_MICRONS = {
    "m": 1e6,
    "cm": 1e4,
    "mm": 1e3,
    "um": 1.0,
    "µm": 1.0,  # micro sign
    "μm": 1.0,  # Greek mu
    "\\u00b5m": 1.0,  # how ImageJ spells it
    "micron": 1.0,
    "microns": 1.0,
    "nm": 1e-3,
}


@dataclasses.dataclass(frozen=True)
class TiffPixels:
    """Stored pixels: [H, W] or [H, W, C]; colour map uint16 [3, 2**bits].

    `photometric`, `extras` (ExtraSamples) and `compression` are the tags'
    numbers.
    """

    array: np.ndarray
    colormap: np.ndarray | None
    photometric: int
    extras: tuple[int, ...]
    compression: int


def read(path: str | os.PathLike) -> TiffPixels:
    """Reads the first series of a TIFF.

    Raises:
      ValueError: no TIFF, cut short, or not one flat image; the message says
        which. tifffile and its codecs raise further kinds of exceptions.
    """
    import tifffile

    with tifffile.TiffFile(path) as tif:
        if not tif.pages:
            raise ValueError("cut short: no page")
        page = tif.series[0].keyframe
        segments = zip(page.dataoffsets, page.databytecounts, strict=False)
        if max((a + n for a, n in segments), default=0) > os.path.getsize(path):
            raise ValueError("cut short")
        array = np.squeeze(tif.series[0].asarray())
        if page.colormap is not None:
            colormap = np.asarray(page.colormap)
        else:
            colormap = None
        extras = tuple(map(int, page.extrasamples))
    if array.ndim == 3 and array.shape[2] > 4 and array.shape[0] in (2, 3, 4):
        array = np.moveaxis(array, 0, 2)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] > 4):
        raise ValueError(f"shape {list(array.shape)}; one flat image is needed")
    return TiffPixels(
        array,
        colormap,
        int(page.photometric),
        extras,
        int(page.compression),
    )


def check_exact(compression: int) -> None:
    """Raises ValueError where a mask's values are not those it was given."""
    if compression in JPEG:
        raise ValueError("JPEG compression smears masks; LZW, deflate do not")


def displayed(
    array: np.ndarray, colormap: np.ndarray | None, white_is_zero: bool
) -> np.ndarray:
    """Stored values as they look: colour map applied, white-is-zero turned.

    Args:
      array: [H, W] or [H, W, C].
      colormap: uint16 [3, 2**bits] or None; for [H, W] only.
      white_is_zero: whether 0 is the brightest value.
    """
    if colormap is not None and array.ndim == 2:
        return (colormap.T >> 8).astype(np.uint8)[array]
    if array.dtype == bool:
        array = array.astype(np.uint8) * np.uint8(255)
    return np.iinfo(array.dtype).max - array if white_is_zero else array


def check_colours(photometric: int, channels: int) -> None:
    """Raises ValueError where channels are neither grey nor RGB."""
    if photometric == _CMYK:
        raise ValueError(
            "CMYK (photometric SEPARATED); RGB or greyscale is needed"
        )
    # Three are let pass: Bio-Formats writes RGB so.
    if photometric in (WHITE_IS_ZERO, _BLACK_IS_ZERO) and channels > 3:
        raise ValueError(
            f"{channels} greyscale channels, as of fluorescence; RGB or one"
            " channel is needed"
        )


def without_extras(array: np.ndarray, extras: tuple[int, ...]) -> np.ndarray:
    """Drops a last sample that is no alpha; lays premultiplied on white.

    Args:
      array: unsigned integers [H, W] or [H, W, C].
      extras: the numbers of the tag ExtraSamples.

    Returns:
      [H, W], or [H, W, C] with straight alpha last if C is 2 or 4.
    """
    if array.ndim == 2 or array.shape[2] not in (2, 4):
        return array
    kind = extras[-1] if extras else None
    if kind == _STRAIGHT or array.dtype.kind != "u":
        return array
    if kind != _PREMULTIPLIED:
        return array[..., :-1]
    glass = np.iinfo(array.dtype).max - array[..., -1:]
    # Files that break the rule may hold more than alpha allows.
    return np.minimum(array[..., :-1], array[..., -1:]) + glass


def stated_mpp(path: str | os.PathLike) -> float | None:
    """Microns per pixel that a TIFF states, or None.

    Raises:
      InputError: its pixels are not square (more than 1 % apart).
    """
    import tifffile

    with tifffile.TiffFile(path) as tif:
        for source in _SOURCES:
            found = source(tif)
            if found and all(
                0 < value <= LARGEST_STATED_MPP for value in found
            ):
                break
        else:
            return None
    return square(*found, path)


def square(across: float, down: float, path: str | os.PathLike) -> float:
    """um/px of square pixels; raises InputError if more than 1 % apart."""
    if abs(across - down) > 0.01 * down:
        raise InputError(
            f"{path}: {across:g} um/px across but {down:g} down; square"
            " pixels are needed, or state --mpp"
        )
    return across


def stated_unless(
    given: float | None, read: Callable[[], float | None]
) -> float | None:
    """What `read` finds; None where it fails and the user states `given`."""
    try:
        return read()
    except Exception:
        if given is None:
            raise
        return None


def _from_ome(tif: "tifffile.TiffFile") -> tuple[float, float] | None:
    if not tif.ome_metadata:
        return None
    root = ElementTree.fromstring(tif.ome_metadata)
    pixels = next((e for e in root.iter() if e.tag.endswith("Pixels")), None)
    if pixels is None or "PhysicalSizeX" not in pixels.attrib:
        return None
    across = float(pixels.attrib["PhysicalSizeX"])
    down = float(pixels.attrib.get("PhysicalSizeY", across))
    # The OME schema's default unit is the micrometre.
    scale_x = _MICRONS.get(pixels.attrib.get("PhysicalSizeXUnit", "um"))
    scale_y = _MICRONS.get(pixels.attrib.get("PhysicalSizeYUnit", "um"))
    if not scale_x or not scale_y:
        return None
    return across * scale_x, down * scale_y


def _from_aperio(tif: "tifffile.TiffFile") -> tuple[float, float] | None:
    match = re.search(r"\bMPP\s*=\s*([\d.]+)", tif.pages.first.description)
    return (float(match[1]), float(match[1])) if match else None


def _from_imagej(tif: "tifffile.TiffFile") -> tuple[float, float] | None:
    unit = (tif.imagej_metadata or {}).get("unit")
    scale = _MICRONS.get(unit) if unit else None
    return _per_pixel(tif, scale)


def _from_resolution(tif: "tifffile.TiffFile") -> tuple[float, float] | None:
    import tifffile

    units = {tifffile.RESUNIT.INCH: 25400.0, tifffile.RESUNIT.CENTIMETER: 1e4}
    return _per_pixel(
        tif, units.get(tifffile.RESUNIT(tif.pages.first.resolutionunit))
    )


def _per_pixel(
    tif: "tifffile.TiffFile", scale: float | None
) -> tuple[float, float] | None:
    """Microns per pixel where the tags count pixels per `scale` microns."""
    tags = tif.pages.first.tags
    if not scale or "XResolution" not in tags or "YResolution" not in tags:
        return None
    across, down = tif.pages.first.resolution
    return (scale / across, scale / down) if across and down else None


_SOURCES: tuple[
    Callable[["tifffile.TiffFile"], tuple[float, float] | None], ...
] = (_from_ome, _from_aperio, _from_imagej, _from_resolution)
