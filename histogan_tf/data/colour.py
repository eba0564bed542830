"""Stain: CIE Lab, the style of a tile, and its jitter.

In: RGB float32 [..., H, W, 3] in [-1, 1]. Out: Lab (L in [0, 100]), style
vectors, images in another stain. The colour conversion is tensorflow-io's;
this is the only module that imports it, and all its ops are stock ones.

Style is measured, not learned: mean and standard deviation of L, a, b over
a tile (Reinhard et al. 2001), standardised by `STYLE_CENTRE`, `STYLE_SCALE`
(roughly the mean and spread over H&E tiles) to numbers of order one.
"""

import tensorflow as tf
import tensorflow_io as tfio

STYLE_SIZE = 6
STYLE_CENTRE = (65.0, 25.0, -18.0, 15.0, 9.0, 6.0)
STYLE_SCALE = (10.0, 8.0, 6.0, 5.0, 4.0, 3.0)


def to_lab(image: tf.Tensor) -> tf.Tensor:
    """RGB in [-1, 1] -> CIE Lab (D65)."""
    unit = tf.clip_by_value(image * 0.5 + 0.5, 0.0, 1.0)
    return tfio.experimental.color.rgb_to_lab(unit)


def from_lab(lab: tf.Tensor) -> tf.Tensor:
    """CIE Lab (D65) -> RGB, clipped to [-1, 1]."""
    rgb = tfio.experimental.color.lab_to_rgb(lab)
    return tf.clip_by_value(rgb, 0.0, 1.0) * 2.0 - 1.0


def style_of(image: tf.Tensor) -> tf.Tensor:
    """Style [..., 6] of images [..., H, W, 3]."""
    lab = to_lab(image)
    mean = tf.reduce_mean(lab, axis=[-3, -2])
    deviation = tf.math.reduce_std(lab, axis=[-3, -2])
    return standardise(tf.concat([mean, deviation], axis=-1))


def standardise(moments: tf.Tensor) -> tf.Tensor:
    """Lab means and deviations [..., 6] -> style."""
    return (moments - tf.constant(STYLE_CENTRE)) / tf.constant(STYLE_SCALE)


def moments(style: tf.Tensor) -> tf.Tensor:
    """Style -> Lab means and deviations [..., 6]; inverse of the above."""
    return style * tf.constant(STYLE_SCALE) + tf.constant(STYLE_CENTRE)


def restain(image: tf.Tensor, old: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
    """Moves images from style `old` to style `new` (Reinhard et al. 2001).

    Args:
      image: [B, H, W, 3] in [-1, 1], crops of tiles of style `old`.
      old, new: [B, 6].

    Returns:
      Images like `image`; colours outside RGB are clipped.
    """
    a, b = moments(old)[:, None, None], moments(new)[:, None, None]
    gain = b[..., 3:] / tf.maximum(a[..., 3:], 1e-3)
    lab = (to_lab(image) - a[..., :3]) * gain + b[..., :3]
    return from_lab(lab)


def jitter(
    image: tf.Tensor, style: tf.Tensor, draws: tf.Tensor, amount: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Random stain: moves Lab means and scales Lab deviations.

    Args:
      image: [B, H, W, 3]; style: [B, 6] of the tiles they were cut from.
      draws: [B, 6], mean 0 and variance 1.
      amount: size of the jitter; 0 leaves images unchanged.

    Returns:
      The images in their new stain, and the new styles.
    """
    old = moments(style)
    mean = old[:, :3] + amount * draws[:, :3] * tf.constant(STYLE_SCALE[:3])
    deviation = old[:, 3:] * tf.exp(amount * draws[:, 3:])
    new = standardise(tf.concat([mean, deviation], axis=-1))
    return restain(image, style, new), new
