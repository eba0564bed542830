"""Images of any size through the pyramid: synthesise and segment.

In: a uint8 class mask [H, W] or a uint8 RGB image [H, W, 3] at the finest
um/px. Out: uint8 images, uint8 masks, float32 probabilities of that size.

The mask is mirrored beyond the border by `margin` pixels, and so is the
image, so that no network sees the edge of the tile and none shows in the
result. Noise belongs to absolute rows and columns (`noise.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from histogan_tf.data import colour
from histogan_tf.models.segmenter import Segmenter, no_opinion
from histogan_tf.pyramid import Pyramid

IGNORE = 255


@dataclass(frozen=True)
class Padding:
    """Pixels added above, below, left and right."""

    top: int
    bottom: int
    left: int
    right: int

    def pad(self, values: np.ndarray) -> np.ndarray:
        """Mirrors [H, W, ...] beyond its border (as often as it takes)."""
        pairs = [(self.top, self.bottom), (self.left, self.right)]
        pairs += [(0, 0)] * (values.ndim - 2)
        return np.pad(values, pairs, mode="symmetric")

    def crop(self, values: np.ndarray, shrink: int = 1) -> np.ndarray:
        """Takes the padding off [H / shrink, W / shrink, ...] again."""
        height, width = values.shape[:2]
        return values[
            self.top // shrink : height - self.bottom // shrink,
            self.left // shrink : width - self.right // shrink,
        ]


def padding(shape: tuple[int, ...], multiple: int, margin: int) -> Padding:
    """For [H, W, ...]: `margin` or more a side, sizes divide by `multiple`."""
    height, width = shape[:2]
    margin = -(-margin // multiple) * multiple
    return Padding(
        margin,
        margin + -height % multiple,
        margin,
        margin + -width % multiple,
    )


class Canvas:
    """A pyramid (and a final segmenter) ready for images of any size."""

    def __init__(self, pyramid: Pyramid):
        """Traces nothing yet; one graph serves all sizes."""
        self.pyramid = pyramid
        classes = pyramid.classes
        spec = tf.TensorSpec([1, None, None, classes], tf.float32)
        self._paint = tf.function(
            pyramid.paint,
            input_signature=[
                spec,
                tf.TensorSpec([1, colour.STYLE_SIZE], tf.float32),
                tf.TensorSpec([1], tf.int64),
                tf.TensorSpec([], tf.int32),
                tf.TensorSpec([], tf.int32),
            ],
        )
        self._segment = tf.function(
            pyramid.segment,
            input_signature=[tf.TensorSpec([1, None, None, 3], tf.float32)],
        )

    @property
    def margin(self) -> int:
        """Mirrored border: 16 px of the coarsest stage."""
        return 16 * 2 ** (len(self.pyramid.stages) - 1)

    def synthesise(
        self, mask: np.ndarray, style: np.ndarray, seed: int
    ) -> list[np.ndarray]:
        """Tissue for a mask, at every stage.

        Args:
          mask: uint8 [H, W] class ids at the finest um/px; 255 becomes
            class 0.
          style: float32 [6], see `colour.style_of`.
          seed: any integer; the same seed gives the same pixels.

        Returns:
          uint8 RGB images, coarsest first; the last is [H, W, 3].
        """
        pad = padding(mask.shape, self.pyramid.multiple, self.margin)
        filled = np.where(mask == IGNORE, 0, mask)
        soft = np.eye(self.pyramid.classes, dtype=np.float32)[pad.pad(filled)]
        images = self._paint(
            soft[None],
            np.asarray(style, np.float32)[None],
            np.array([seed], np.int64),
            -pad.top,
            -pad.left,
        )
        return [
            to_uint8(_unpadded(x[0].numpy(), pad, mask.shape, shrink))
            for x, shrink in zip(images, self._shrinks(), strict=True)
        ]

    def segment(self, image: np.ndarray) -> list[np.ndarray]:
        """Probabilities of every stage's segmenter, coarsest first.

        Args:
          image: uint8 RGB [H, W, 3] at the finest um/px.

        Returns:
          float32 [h, w, N] per stage; the last is of the image's size.
        """
        pad = padding(image.shape, self.pyramid.multiple, self.margin)
        unit = pad.pad(image).astype(np.float32) / 127.5 - 1.0
        return [
            _unpadded(p[0].numpy(), pad, image.shape[:2], shrink)
            for p, shrink in zip(
                self._segment(unit[None]), self._shrinks(), strict=True
            )
        ]

    def _shrinks(self) -> list[int]:
        count = len(self.pyramid.stages)
        return [2 ** (count - 1 - k) for k in range(count)]


def segment_with(
    network: Segmenter, classes: int
) -> Callable[[np.ndarray], np.ndarray]:
    """A function from uint8 images of any size to probabilities.

    Returns:
      Maps uint8 [H, W, 3] to float32 [H, W, N] by one segmenter alone.
    """

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3])])
    def probabilities(image: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(network(image, no_opinion(image, classes)))

    def segment(image: np.ndarray) -> np.ndarray:
        pad = padding(image.shape, network.stride, 4 * network.stride)
        unit = pad.pad(image).astype(np.float32) / 127.5 - 1.0
        return pad.crop(probabilities(unit[None])[0].numpy())

    return segment


def to_uint8(image: np.ndarray) -> np.ndarray:
    """[-1, 1] -> uint8, rounded."""
    values = (np.asarray(image, np.float32) + 1.0) * 127.5
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def _unpadded(values, pad, shape, shrink):
    top, left = pad.top // shrink, pad.left // shrink
    height, width = -(-shape[0] // shrink), -(-shape[1] // shrink)
    return values[top : top + height, left : left + width]
