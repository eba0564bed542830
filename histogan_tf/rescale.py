"""Between an image's own um/px and a run's.

In: uint8 images and masks of any um/px. Out: the same at a run's scale, as
training sees them; and class probabilities back at the image's own size.
"""

from collections.abc import Callable

import cv2
import numpy as np
import tensorflow as tf

from histogan_tf import preprocess
from histogan_tf.data import colour, dataset


def image_to(image: np.ndarray, mpp: float, target: float) -> np.ndarray:
    """Area average of uint8 [H, W, 3] from `mpp` to `target` um/px."""
    if mpp == target:
        return image
    resampled = dataset.resample(tf.constant(image), mpp, target)
    return preprocess.to_uint8(resampled).numpy()


def mask_to(mask: np.ndarray, mpp: float, target: float) -> np.ndarray:
    """Nearest neighbours of uint8 [H, W] from `mpp` to `target` um/px."""
    height, width = (max(1, round(n * mpp / target)) for n in mask.shape)
    return cv2.resize(
        mask, (width, height), interpolation=cv2.INTER_NEAREST_EXACT
    )


def style_of(image: np.ndarray, mpp: float, coarsest: float) -> np.ndarray:
    """Style float32 [6] of uint8 [H, W, 3], measured as in training.

    Args:
      image: a tile.
      mpp: its um/px.
      coarsest: um/px of the run's coarsest stage.
    """
    # A graph, as exports are: op by op the last bits differ.
    measure = tf.function(
        lambda pixels: style_tensor(pixels, mpp, coarsest),
        input_signature=[tf.TensorSpec([None, None, 3], tf.uint8)],
        autograph=False,
    )
    return measure(image).numpy()


def style_tensor(image: tf.Tensor, mpp: float, coarsest: float) -> tf.Tensor:
    """`style_of` in stock TensorFlow ops."""
    small = dataset.resample(image, mpp, coarsest)
    return colour.style_of(preprocess.to_unit(small))


def read_at(
    read: Callable[[np.ndarray], np.ndarray],
    image: np.ndarray,
    mpp: float,
    target: float,
) -> np.ndarray:
    """Probabilities of an image by a network of another um/px.

    Args:
      read: uint8 [h, w, 3] -> float32 [h, w, N].
      image: uint8 [H, W, 3].
      mpp: um/px of the image.
      target: um/px of the network.

    Returns:
      float32 [H, W, N], linear between the network's pixels.
    """
    found = read(image_to(image, mpp, target))
    height, width = image.shape[:2]
    if found.shape[:2] == (height, width):
        return found
    # cv2 averages areas in four channels at most, hence one by one.
    smaller = height < found.shape[0]
    kind = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    layers = [
        cv2.resize(layer, (width, height), interpolation=kind)
        for layer in np.ascontiguousarray(np.moveaxis(found, -1, 0))
    ]
    return np.stack(layers, axis=-1)
