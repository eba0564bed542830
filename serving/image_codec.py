"""Encoded images and masks inside a graph, in stock TensorFlow ops.

In: the bytes of one PNG or JPEG, scalar strings. Out: uint8 images [H, W, 3]
and masks [H, W] as the library's `data/images.py` reads them: 16 bits become 8
by round(v / 257), grey is repeated, transparency is laid on white, palettes
give colours, EXIF rotation is ignored. Masks are 8-bit grey PNG of class ids.

The size stands in the header and is checked before anything is decoded, so a
file of 10 kB that would fill 2 GB is refused at once. What is refused raises
INVALID_ARGUMENT with a text that says what was found and what is allowed.
"""

import tensorflow as tf

from histogan_tf.data import png
from histogan_tf.data.classes import IGNORE

_HEADER = 26  # bytes of a PNG up to bit depth and colour type
_JPEG = b"\xff\xd8\xff"
_GREY = 0


def decode_image(data: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """Pixels of a PNG or JPEG.

    Args:
      data: scalar string.
      max_pixels: larger images are refused.

    Returns:
      uint8 [H, W, 3].
    """
    image = tf.cond(
        _starts(data, png.SIGNATURE),
        lambda: _decode_png(data, max_pixels),
        lambda: _decode_jpeg(data, max_pixels),
    )
    return tf.ensure_shape(image, [None, None, 3])


def decode_mask(data: tf.Tensor, classes: int, max_pixels: int) -> tf.Tensor:
    """Class ids of an 8-bit grey PNG.

    Args:
      data: scalar string.
      classes: N; ids are 0..N-1, and 255 = ignore.
      max_pixels: larger masks are refused.

    Returns:
      uint8 [H, W].
    """
    with tf.control_dependencies(check_png(data, max_pixels)):
        depth, kind = tf.unstack(_png_header(data)[24:26])
        plain = tf.logical_and(depth == 8, kind == _GREY)
    checked = tf.debugging.Assert(
        plain,
        [
            tf.strings.format(
                "mask: PNG of bit depth {} and colour type {}; 8-bit grey"
                " (8 and 0) of class ids is allowed",
                (depth, kind),
            )
        ],
    )
    with tf.control_dependencies([checked]):
        mask = tf.io.decode_png(data, channels=1)[..., 0]
    with tf.control_dependencies([check_ids(mask, classes)]):
        return tf.ensure_shape(tf.identity(mask), [None, None])


def encode(pixels: tf.Tensor) -> tf.Tensor:
    """PNG bytes (scalar string) of uint8 [H, W, C]."""
    # The fastest level: painted noise shrinks no further by trying harder.
    return tf.io.encode_png(pixels, compression=1)


def png_size(data: tf.Tensor) -> tf.Tensor:
    """Height and width that a PNG's header claims, int64 [2]."""
    powers = tf.constant([1 << 24, 1 << 16, 1 << 8, 1], tf.int64)
    both = tf.reshape(_png_header(data)[16:24], [2, 4])
    return tf.reverse(tf.reduce_sum(both * powers, axis=-1), [0])


def check_png(data: tf.Tensor, max_pixels: int) -> list[tf.Operation]:
    """Asserts that bytes are a PNG of an allowed size."""
    known = tf.debugging.Assert(
        _starts(data, png.SIGNATURE), ["not a PNG; send PNG bytes"]
    )
    return [known, _fits(png_size(data), max_pixels)]


def check_ids(mask: tf.Tensor, classes: int) -> tf.Operation:
    """Asserts that a uint8 mask holds 0..classes-1 and 255 alone."""
    wrong = tf.logical_and(mask >= classes, mask != IGNORE)
    worst = tf.reduce_max(tf.where(wrong, mask, tf.zeros_like(mask)))
    return tf.debugging.Assert(
        tf.logical_not(tf.reduce_any(wrong)),
        [
            tf.strings.format(
                f"mask: {{}} is no class id; 0 to {classes - 1} and {IGNORE}"
                " (ignored) are allowed",
                worst,
            )
        ],
    )


def check_size(size: tf.Tensor, max_pixels: int) -> tf.Operation:
    """Asserts that an image of integer [H, W] is neither empty nor large."""
    return _fits(tf.cast(size, tf.int64), max_pixels)


def _fits(size: tf.Tensor, max_pixels: int) -> tf.Operation:
    area = tf.reduce_prod(size)
    return tf.debugging.Assert(
        tf.logical_and(area >= 1, area <= max_pixels),
        [
            tf.strings.format(
                "image of {} x {} pixels (height x width); 1 to"
                f" {max_pixels} pixels are allowed, send larger ones in tiles",
                (size[0], size[1]),
            )
        ],
    )


def _decode_png(data: tf.Tensor, max_pixels: int) -> tf.Tensor:
    with tf.control_dependencies([_fits(png_size(data), max_pixels)]):
        depth = _png_header(data)[24]
    # The decoder gives those without alpha the largest value of their depth.
    opaque = tf.cast(tf.where(depth < 8, 2**depth - 1, 255), tf.uint8)
    image = tf.cond(
        depth == 16,
        lambda: _to_8_bits(tf.io.decode_png(data, 4, tf.uint16)),
        lambda: tf.io.decode_png(data, 4),
    )
    return tf.cond(
        tf.reduce_all(image[..., 3] == opaque),
        lambda: image[..., :3],
        lambda: _on_white(tf.cast(image, tf.int32)),
    )


def _on_white(image: tf.Tensor) -> tf.Tensor:
    """Lays int32 RGBA on white: uint8 RGB; half of 255 rounds."""
    alpha = image[..., 3:]
    mixed = image[..., :3] * alpha + 255 * (255 - alpha)
    return tf.cast((mixed + 127) // 255, tf.uint8)


def _to_8_bits(image: tf.Tensor) -> tf.Tensor:
    return tf.cast((tf.cast(image, tf.int32) + 128) // 257, tf.uint8)


def _decode_jpeg(data: tf.Tensor, max_pixels: int) -> tf.Tensor:
    known = tf.debugging.Assert(
        _starts(data, _JPEG), ["image: neither PNG nor JPEG; send one of them"]
    )
    with tf.control_dependencies([known]):
        size = tf.cast(tf.image.extract_jpeg_shape(data)[:2], tf.int64)
    with tf.control_dependencies([_fits(size, max_pixels)]):
        # As accurate as the library's decoder; TensorFlow's default is not.
        return tf.io.decode_jpeg(data, 3, dct_method="INTEGER_ACCURATE")


def _starts(data: tf.Tensor, start: bytes) -> tf.Tensor:
    return tf.strings.substr(data, 0, len(start)) == start


def _png_header(data: tf.Tensor) -> tf.Tensor:
    """The first bytes, int64 [26]; zeros beyond the end of a shorter file."""
    start = tf.strings.substr(data, 0, _HEADER)
    raw = tf.io.decode_raw(start, tf.uint8, fixed_length=_HEADER)
    return tf.cast(raw, tf.int64)
