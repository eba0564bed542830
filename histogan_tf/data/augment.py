"""Random crops, paired geometry and stain jitter, from stateless seeds.

In: tiles at a stage's scale: image uint8 [h, w, 3], labels uint8 [h, w, N]
(255 = all of the pixel is this class), style float32 [6]; a seed int64 per
crop. Out: image float32 [B, c, c, 3] in [-1, 1], labels float32
[B, c, c, N], style [B, 6].

The same seed gives the same crop, on any machine layout. Image and labels
share every geometric draw. Elastic warp (Simard et al. 2003) by TensorFlow
Addons; stain jitter by `colour`.
"""

import math
import warnings

import tensorflow as tf

from histogan_tf.config import AugmentConfig
from histogan_tf.data import colour
from histogan_tf.models import noise
from histogan_tf.models.noise import Stream
from histogan_tf.preprocess import to_unit

with warnings.catch_warnings():
    # Addons announces its end of life on every import.
    warnings.simplefilter("ignore")
    from tensorflow_addons.image import interpolate_bilinear

Batch = dict[str, tf.Tensor]

_KNOTS = 4


def crop(tile: Batch, seed: tf.Tensor, size: int, zoom: float) -> Batch:
    """A random square of a tile, enlarged or shrunk by up to `zoom`.

    Args:
      tile: see the module; both sides must be >= `size`.
      seed: int64 scalar.
      size: side c of the crop in pixels.
      zoom: largest factor either way; 1 copies pixels unchanged.

    Returns:
      uint8-valued float32 image [c, c, 3] and labels [c, c, N], style, seed.
    """
    draws = noise.uniform(seed[None], Stream.CROP_PLACE, 3)[0]
    both = tf.concat([tile["image"], tile["labels"]], axis=-1)
    shape = tf.shape(both)
    shortest = tf.minimum(shape[0], shape[1])
    factor = tf.exp((2.0 * draws[2] - 1.0) * math.log(zoom))
    side = tf.cast(tf.round(size * factor), tf.int32)
    side = tf.minimum(side, shortest)
    room = tf.cast(shape[:2] - side + 1, tf.float32)
    corner = tf.cast(tf.floor(draws[:2] * room), tf.int32)
    window = tf.slice(
        both, tf.concat([corner, [0]], 0), tf.stack([side, side, -1])
    )
    window = tf.cast(window, tf.float32)
    if zoom > 1:
        window = tf.image.resize(window, [size, size], "bilinear")
    channels = tile["labels"].shape[-1]
    window = tf.ensure_shape(window, [size, size, 3 + channels])
    return {
        "image": window[..., :3],
        "labels": window[..., 3:],
        "style": tile["style"],
        "seed": seed,
    }


def augment(batch: Batch, settings: AugmentConfig) -> Batch:
    """Geometry and stain of a batch of crops; see the module."""
    both = tf.concat(
        [to_unit(batch["image"]), batch["labels"] / 255.0], axis=-1
    )
    if settings.flips:
        both = _turn(both, batch["seed"])
    if settings.warp > 0 or settings.rotation > 0:
        both = _bend(both, batch["seed"], settings)
    image, style = both[..., :3], batch["style"]
    if settings.stain > 0:
        draws = noise.uniform(
            batch["seed"], Stream.CROP_STAIN, colour.STYLE_SIZE
        )
        draws = (draws * 2.0 - 1.0) * 3.0**0.5
        image, style = colour.jitter(image, style, draws, settings.stain)
    return {
        "image": image,
        "labels": both[..., 3:],
        "style": style,
        "seed": batch["seed"],
    }


def _turn(both: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """One of the eight symmetries of the square, per image.

    Mirrors rows, then columns, then swaps them. One gather of pixels: a
    tenth of the time of three reversals.
    """
    size, channels = both.shape[1], both.shape[-1]
    draws = noise.uniform(seed, Stream.CROP_TURN, 3)[..., None, None] < 0.5
    row, column = tf.range(size)[:, None], tf.range(size)[None, :]
    swap = draws[:, 2]
    first, second = tf.where(swap, column, row), tf.where(swap, row, column)
    first = tf.where(draws[:, 0], size - 1 - first, first)
    second = tf.where(draws[:, 1], size - 1 - second, second)
    place = tf.reshape(first * size + second, [-1, size * size])
    pixels = tf.reshape(both, [-1, size * size, channels])
    return tf.reshape(tf.gather(pixels, place, batch_dims=1), tf.shape(both))


def _bend(
    both: tf.Tensor, seed: tf.Tensor, settings: AugmentConfig
) -> tf.Tensor:
    """Elastic displacement and rotation in one: pixels blur only once."""
    size = both.shape[1]
    flow = tf.zeros([1, size, size, 2])
    if settings.warp > 0:
        flow += _elastic(seed, size) * (settings.warp * size)
    if settings.rotation > 0:
        flow += _rotation(seed, size, math.radians(settings.rotation))
    bent = _bent(both, flow)
    bent.set_shape(both.shape)
    return bent


# Traced once for crops of all sizes, and without AutoGraph, which takes
# seconds to read Addons' code and changes nothing.
@tf.function(input_signature=[tf.TensorSpec([None] * 4)] * 2, autograph=False)
def _bent(image: tf.Tensor, flow: tf.Tensor) -> tf.Tensor:
    """Each pixel from where it is less its flow, bilinear: like `image`."""
    rows, columns = tf.range(tf.shape(image)[1]), tf.range(tf.shape(image)[2])
    place = tf.stack(tf.meshgrid(rows, columns, indexing="ij"), axis=-1)
    source = tf.cast(place, flow.dtype) - flow
    points = tf.reshape(source, [tf.shape(image)[0], -1, 2])
    pixels = interpolate_bilinear.python_function(image, points)
    return tf.reshape(pixels, tf.shape(image))


def _elastic(seed: tf.Tensor, size: int) -> tf.Tensor:
    """Smooth displacement, deviation about 1: [B, size, size, 2]."""
    knots = tf.range(_KNOTS)
    flow = noise.field(seed, Stream.CROP_WARP, knots, knots, 2)
    return tf.image.resize(flow, [size, size], "bicubic")


def _rotation(seed: tf.Tensor, size: int, most: float) -> tf.Tensor:
    """From a pixel's source, of an image turned about its middle, to it.

    Args:
      seed: int64 [B]; each image's angle is drawn by its own.
      size: of the images.
      most: largest angle either way, in radians.

    Returns:
      float32 [B, size, size, 2], rows and columns; sources are mirrored into
      the image.
    """
    draws = noise.uniform(seed, Stream.CROP_ANGLE)[..., None]
    angle = (2.0 * draws - 1.0) * most
    middle = (size - 1) / 2
    place = tf.range(size, dtype=tf.float32) - middle
    row, column = place[None, :, None], place[None, None, :]
    sine, cosine = tf.sin(angle), tf.cos(angle)

    def mirrored(place: tf.Tensor) -> tf.Tensor:
        place = tf.math.floormod(place + middle, 2.0 * size)
        return tf.minimum(place, 2.0 * size - 1.0 - place) - middle

    rows = mirrored(row * cosine - column * sine)
    columns = mirrored(row * sine + column * cosine)
    return tf.stack([row - rows, column - columns], -1)
