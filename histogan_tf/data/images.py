"""Reads images and masks, whole or not at all; writes PNG.

In: PNG, BMP, JPEG and TIFF files (strips or tiles), told apart by their first
bytes, not by their name. Out: images uint8 RGB [H, W, 3]; masks as stored.

Images: 16 bits become 8 by round(value / 257), so 65535 becomes 255; grey is
repeated into three channels; transparency is laid on white, as slides' is (a
BMP's is dropped); EXIF rotation is ignored, as annotation programs draw on the
stored pixels. TIFFs of CMYK or of four grey channels are refused.
Masks: a PNG or TIFF palette gives its **indices**, or its colours where the
class table maps colours. A BMP palette always gives colours (grey ones grey).
JPEG masks are refused: their values are smeared.
Files cut short or damaged raise UnreadableError; JPEG has no checksum, so a
damaged middle of a JPEG goes unnoticed, but a missing end does not.
"""

import functools
import os
import struct
from collections.abc import Callable
from typing import BinaryIO

import cv2
import numpy as np

from histogan_tf.data import png, tiff
from histogan_tf.errors import InputError, UnreadableError
from histogan_tf.files import atomic_write

IMAGE_EXTENSIONS = (".png", ".bmp", ".jpg", ".jpeg", ".tif", ".tiff")
MASK_EXTENSIONS = (".png", ".bmp", ".tif", ".tiff")
# Of slides alone, which openslide reads.
SLIDE_EXTENSIONS = (
    *(".svs", ".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".svslide"),
    ".dcm",
)
_DEEP = 4095  # of 12 bits
_BMP, _JPEG = b"BM", b"\xff\xd8\xff"


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Reads an image as uint8 RGB [H, W, 3].

    Raises:
      UnreadableError: not a whole PNG, BMP, JPEG or TIFF image.
      InputError: samples that are not unsigned integers of up to 16 bits.
    """
    return as_rgb(_pixels(path, png.decode, _tiff_image), path)


def depth_note(path: str | os.PathLike, image: np.ndarray) -> str | None:
    """A line for the user where 16 bits hold but 12, which come out black.

    Args:
      path: the file.
      image: uint8 [H, W, 3], as `read_image` gave it.

    Raises:
      InputError: as `read_image`.
    """
    if image.max() > (_DEEP + 128) // 257:  # nearly always: no second look
        return None
    array = _pixels(path, png.decode, _tiff_image)
    if array.dtype != np.uint16 or not 0 < array.max() <= _DEEP:
        return None
    return (
        f"{path}: 16 bits a sample, but none above {array.max()}: nearly black;"
        " looks like 12 bits, scale them to all 16"
    )


def as_rgb(array: np.ndarray, path: str | os.PathLike) -> np.ndarray:
    """Pixels as uint8 RGB [H, W, 3]; see the module.

    Args:
      array: [H, W] or [H, W, C <= 4]; of 2 or 4 the last is straight alpha.
      path: the file, for the error.

    Raises:
      InputError: samples that are not unsigned integers of up to 16 bits;
        it names `path`.
    """
    if array.dtype == np.uint16:
        array = ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype != np.uint8:
        raise InputError(f"{path}: samples are {array.dtype}; 8 or 16 bits")
    if array.ndim == 2:
        array = array[..., None]
    if array.shape[2] in (2, 4):
        array = on_white(array)
    if array.shape[2] == 1:
        return np.repeat(array, 3, axis=2)
    return np.ascontiguousarray(array)


def on_white(pixels: np.ndarray) -> np.ndarray:
    """Lays uint8 [h, w, C] with straight alpha last on white: [h, w, C - 1]."""
    alpha = pixels[..., -1:]
    if (alpha == 255).all():
        return np.ascontiguousarray(pixels[..., :-1])
    alpha = alpha.astype(np.uint16)
    # At most 255 * 255; half of 255 rounds.
    mixed = pixels[..., :-1] * alpha + 255 * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)


def read_mask_raw(path: str | os.PathLike, colors: bool = False) -> np.ndarray:
    """Reads a mask's stored values, without any class table.

    Args:
      path: PNG, BMP or TIFF.
      colors: a palette gives its colours; else its indices.

    Returns:
      integers [H, W] (uint8, uint16 or wider), or RGB [H, W, 3].

    Raises:
      UnreadableError: not a whole image, or a TIFF compressed as JPEG.
      InputError: a JPEG, or samples that are no integers.
    """
    with _reading(path) as file:
        if file.read(3) == _JPEG:
            raise InputError(f"{path}: JPEG smears masks; use PNG, BMP or TIFF")
    decode_png = png.decode if colors else png.decode_indices
    array = _pixels(path, decode_png, _tiff_shown if colors else _tiff_values)
    if array.dtype.kind not in "ui":
        raise InputError(f"{path}: samples are {array.dtype}; integers needed")
    if array.ndim == 3:
        array = array[..., 0] if array.shape[2] < 3 else array[..., :3]
    return np.ascontiguousarray(array)


def write_png(path: str | os.PathLike, array: np.ndarray) -> None:
    """Writes uint8 or uint16 [H, W], or RGB [H, W, 3], atomically."""
    atomic_write(path, png.encode(array))


def read_mpp(path: str | os.PathLike) -> float | None:
    """Microns per pixel that the file states (TIFF only), or None.

    Raises:
      UnreadableError: a TIFF that is damaged.
      InputError: no such file, or pixels that are not square.
    """
    with _reading(path) as file:
        if file.read(4) not in tiff.SIGNATURES:
            return None
    try:
        return tiff.stated_mpp(path)
    except InputError:
        raise
    except Exception as error:
        raise UnreadableError(path, str(error)) from error


def _reading(path: str | os.PathLike) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error


def _pixels(
    path: str | os.PathLike,
    decode_png: Callable[[bytes], np.ndarray],
    decode_tiff: Callable[[str | os.PathLike], np.ndarray],
) -> np.ndarray:
    with _reading(path) as file:
        data = file.read()
    readers = {
        png.SIGNATURE: functools.partial(decode_png, data),
        _BMP: functools.partial(_decode_bmp, data),
        _JPEG: functools.partial(_decode_cv2, data),
    } | dict.fromkeys(tiff.SIGNATURES, functools.partial(decode_tiff, path))
    fitting = [r for start, r in readers.items() if data.startswith(start)]
    if not fitting:
        raise UnreadableError(path, "not a PNG, BMP, JPEG or TIFF image")
    try:
        array = fitting[0]()
    except Exception as error:
        # Codecs raise kinds of their own, struct.error and zlib.error too.
        raise UnreadableError(path, str(error) or repr(error)) from error
    if not array.size:
        raise UnreadableError(path, "empty image")
    return array.astype(np.uint8) if array.dtype == bool else array


def _decode_bmp(data: bytes) -> np.ndarray:
    (size,) = struct.unpack_from("<I", data, 2)
    if size > len(data):
        raise ValueError("cut short")
    return _decode_cv2(data)


def _decode_cv2(data: bytes) -> np.ndarray:
    # From memory cv2 gives None for a JPEG without its end; from a file it
    # would fill the rest with grey.
    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None:
        raise ValueError("cut short or damaged")
    if array.ndim == 2:
        return array
    return cv2.cvtColor(array[..., :3], cv2.COLOR_BGR2RGB)


def _tiff_values(path: str | os.PathLike) -> np.ndarray:
    return _exact(path).array


def _exact(path: str | os.PathLike) -> tiff.TiffPixels:
    pixels = tiff.read(path)
    tiff.check_exact(pixels.compression)
    return pixels


def _tiff_shown(path: str | os.PathLike) -> np.ndarray:
    return _shown(_exact(path))


def _tiff_image(path: str | os.PathLike) -> np.ndarray:
    pixels = tiff.read(path)
    shape = pixels.array.shape
    tiff.check_colours(pixels.photometric, shape[2] if len(shape) > 2 else 1)
    return tiff.without_extras(_shown(pixels), pixels.extras)


def _shown(pixels: tiff.TiffPixels) -> np.ndarray:
    inverted = pixels.photometric == tiff.WHITE_IS_ZERO
    return tiff.displayed(pixels.array, pixels.colormap, inverted)
