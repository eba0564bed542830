"""Stain: CIE Lab, the style of a tile, and its jitter.

In: RGB float32 [..., H, W, 3] in [-1, 1]. Out: Lab (L in [0, 100]), style
vectors, images in another stain. The colour conversion is tensorflow-io's;
this is the only module that imports it, and all its ops are stock ones.

Style is measured, not learned: mean and standard deviation of L, a, b over
a tile's tissue (Reinhard et al. 2001), standardised by `STYLE_CENTRE`,
`STYLE_SCALE` (roughly the mean and spread over H&E tiles) to numbers of order
one. Glass and lumen have no stain: what is light and grey is left out of the
measure and stays as it is in every stain.
"""

import tensorflow as tf
import tensorflow_io as tfio

STYLE_SIZE = 6
STYLE_CENTRE = (65.0, 25.0, -18.0, 15.0, 9.0, 6.0)
STYLE_SCALE = (10.0, 8.0, 6.0, 5.0, 4.0, 3.0)
# Weight of glass in a style: enough for tiles that are nothing else.
_LEAST = 1e-4


def to_lab(image: tf.Tensor) -> tf.Tensor:
    """RGB in [-1, 1] -> CIE Lab (D65)."""
    unit = tf.clip_by_value(image * 0.5 + 0.5, 0.0, 1.0)
    return tfio.experimental.color.rgb_to_lab(unit)


def from_lab(lab: tf.Tensor) -> tf.Tensor:
    """CIE Lab (D65) -> RGB, clipped to [-1, 1]."""
    rgb = tfio.experimental.color.lab_to_rgb(lab)
    return tf.clip_by_value(rgb, 0.0, 1.0) * 2.0 - 1.0


def stained(lab: tf.Tensor) -> tf.Tensor:
    """How much stain a pixel may have: Lab [..., 3] -> [..., 1], 0 to 1.

    0 where L >= 92 and chroma <= 6, 1 where L <= 82 or chroma >= 12.
    """
    light = tf.clip_by_value((lab[..., :1] - 82.0) / 10.0, 0.0, 1.0)
    # Not the root, which has no gradient at grey.
    chroma = tf.reduce_sum(tf.square(lab[..., 1:]), axis=-1, keepdims=True)
    grey = tf.clip_by_value((144.0 - chroma) / 108.0, 0.0, 1.0)
    return 1.0 - light * grey


def tissue_share(image: tf.Tensor) -> tf.Tensor:
    """How much of images [..., H, W, 3] bears stain: [...], 0 to 1."""
    return tf.reduce_mean(stained(to_lab(image)), axis=[-3, -2, -1])


def style_of(image: tf.Tensor) -> tf.Tensor:
    """Style [..., 6] of images [..., H, W, 3]; of all pixels without tissue."""
    lab = to_lab(image)
    weight = stained(lab) + _LEAST
    weight /= tf.reduce_mean(weight, axis=[-3, -2], keepdims=True)
    mean = tf.reduce_mean(weight * lab, axis=[-3, -2], keepdims=True)
    square = tf.reduce_mean(weight * tf.square(lab - mean), axis=[-3, -2])
    moments = tf.concat([mean[..., 0, 0, :], tf.sqrt(square)], axis=-1)
    return standardise(moments)


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
      Images like `image`, glass as it was; colours outside RGB are clipped.
    """
    found = _restain(image, old, new)
    found.set_shape(image.shape)
    return found


# Traced once: half a dozen calls of a run have 200 ops each.
@tf.function(
    input_signature=[
        tf.TensorSpec([None, None, None, 3]),
        tf.TensorSpec([None, STYLE_SIZE]),
        tf.TensorSpec([None, STYLE_SIZE]),
    ],
    autograph=False,
)
def _restain(image: tf.Tensor, old: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
    a, b = moments(old)[:, None, None], moments(new)[:, None, None]
    gain = b[..., 3:] / tf.maximum(a[..., 3:], 1e-3)
    lab = to_lab(image)
    moved = (lab - a[..., :3]) * gain + b[..., :3]
    return from_lab(lab + stained(lab) * (moved - lab))


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
