"""Images of any size through the pyramid: synthesise and segment.

In: a uint8 class mask [H, W] or a uint8 RGB image [H, W, 3] at the finest
um/px. Out: uint8 images, uint8 masks, float32 probabilities of that size.

The mask is mirrored beyond the border by `margin` pixels, and so is the
image, so that no edge shows in the result; beyond the margin, which is less
than the halo (`halo.py`), networks see zeros. Noise belongs to absolute rows
and columns (`noise.py`).

Everything between bytes and bytes is in graphs of stock ops, which exports
(`serving`) hold as they are.
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from histogan_tf import preprocess
from histogan_tf.data import colour
from histogan_tf.models.segmenter import SegmentationNetwork, read_twice
from histogan_tf.pyramid import Pyramid

_IMAGES = tf.TensorSpec([None, None, None, 3], tf.uint8)
_UNIT_IMAGES = tf.TensorSpec([None, None, None, 3], tf.float32)
_MASKS = tf.TensorSpec([None, None, None], tf.uint8)
_STYLES = tf.TensorSpec([None, colour.STYLE_SIZE], tf.float32)
_INTEGERS = tf.TensorSpec([None], tf.int64)


@dataclass(frozen=True)
class Padding:
    """Pixels added above, below, left and right: integers or tensors."""

    top: int
    bottom: int
    left: int
    right: int

    def pad(self, values: tf.Tensor, axis: int = 0) -> tf.Tensor:
        """Mirrors beyond the border; rows at `axis`, columns after it."""
        rows = preprocess.mirror(values, self.top, self.bottom, axis)
        return preprocess.mirror(rows, self.left, self.right, axis + 1)

    def crop(self, values: tf.Tensor) -> tf.Tensor:
        """Takes the padding off [H, W, ...] again."""
        height, width = values.shape[:2]
        return values[
            self.top : height - self.bottom, self.left : width - self.right
        ]


def padding(shape: tf.Tensor, multiple: int, margin: int) -> Padding:
    """For [H, W, ...]: `margin` or more a side, sizes divide by `multiple`."""
    height, width = shape[0], shape[1]
    margin = -(-margin // multiple) * multiple
    return Padding(
        margin,
        margin + -height % multiple,
        margin,
        margin + -width % multiple,
    )


def border(stages: int) -> int:
    """Mirrored border of a pyramid's canvas: 16 px of the coarsest stage."""
    return 16 * 2 ** (stages - 1)


def segmenter_border(stride: int) -> int:
    """That of one segmenter by itself: 4 px of its coarsest level."""
    return 4 * stride


class Canvas:
    """A pyramid ready for images of any size.

    `paint` is `Pyramid.paint` as a graph, rows and columns int64 [B];
    `paint_masks` maps uint8 masks [B, H, W], styles [B, 6] and seeds int64
    [B] to uint8 images, coarsest first; `segment_images` uint8 images
    [B, H, W, 3] to probabilities, coarsest first.
    """

    def __init__(self, pyramid: Pyramid):
        """Traces nothing yet; one graph serves all sizes."""
        self.pyramid = pyramid
        soft = tf.TensorSpec([None, None, None, pyramid.classes], tf.float32)
        # Nothing here is for AutoGraph, which doubles the time of tracing.
        self.paint = tf.function(
            pyramid.paint,
            input_signature=[soft, _STYLES, *[_INTEGERS] * 3],
            autograph=False,
        )
        self.paint_masks = tf.function(
            self._paint_masks,
            input_signature=[_MASKS, _STYLES, _INTEGERS],
            autograph=False,
        )
        self.segment_images = tf.function(
            self._segment_images, input_signature=[_IMAGES], autograph=False
        )

    @property
    def margin(self) -> int:
        """Mirrored border, see `border`."""
        return border(len(self.pyramid.stages))

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
        images = self.paint_masks(
            mask[None],
            np.asarray(style, np.float32)[None],
            np.array([seed], np.int64),
        )
        return [x[0].numpy() for x in images]

    def segment(self, image: np.ndarray) -> list[np.ndarray]:
        """Probabilities of every stage's segmenter, coarsest first.

        Args:
          image: uint8 RGB [H, W, 3] at the finest um/px.

        Returns:
          float32 [h, w, N] per stage; the last is of the image's size.
        """
        return [p[0].numpy() for p in self.segment_images(image[None])]

    def _paint_masks(self, masks, styles, seeds):
        shape = tf.shape(masks)
        pad = padding(shape[1:], self.pyramid.multiple, self.margin)
        soft = preprocess.one_hot(pad.pad(masks, 1), self.pyramid.classes)
        row, column = (
            tf.fill(shape[:1], tf.constant(-n, tf.int64))
            for n in (pad.top, pad.left)
        )
        painted = self.paint(soft, styles, seeds, row, column)
        return [
            preprocess.unit_to_uint8(x)
            for x in self._unpadded(painted, pad, shape)
        ]

    def _segment_images(self, images):
        shape = tf.shape(images)
        pad = padding(shape[1:], self.pyramid.multiple, self.margin)
        found = self.pyramid.segment(preprocess.to_unit(pad.pad(images, 1)))
        return self._unpadded(found, pad, shape)

    def _unpadded(self, stages, pad, shape):
        """Every stage's values without padding, for [B, H, W, ...]."""
        out, shrink = [], 2 ** (len(stages) - 1)
        for values in stages:
            top, left = pad.top // shrink, pad.left // shrink
            height, width = -(-shape[1] // shrink), -(-shape[2] // shrink)
            out.append(values[:, top : top + height, left : left + width])
            shrink //= 2
        return out


class Reader:
    """One segmenter alone, ready for images of any size.

    `read` maps float32 images [B, H, W, 3] in [-1, 1] to probabilities
    float32 [B, H, W, N]; `read_images` uint8 images. Both are graphs.
    """

    def __init__(self, network: SegmentationNetwork, refines: bool = False):
        """Traces nothing yet; one graph serves all sizes.

        `refines`: it is of a stage above 0, see `segmenter.read_twice`.
        """
        self.network, self.refines = network, refines
        self.read = tf.function(
            self._read, input_signature=[_UNIT_IMAGES], autograph=False
        )
        self.read_images = tf.function(
            lambda images: self.read(preprocess.to_unit(images)),
            input_signature=[_IMAGES],
            autograph=False,
        )

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Maps uint8 [H, W, 3] to float32 [H, W, N]."""
        return self.read_images(image[None])[0].numpy()

    def _read(self, images):
        shape, stride = tf.shape(images), self.network.stride
        if self.refines:
            stride = max(2, stride)
        pad = padding(shape[1:], stride, segmenter_border(stride))
        padded = pad.pad(images, 1)
        logits = (
            read_twice(self.network, padded)
            if self.refines
            else self.network(padded, None)
        )
        inside = logits[
            :, pad.top : pad.top + shape[1], pad.left : pad.left + shape[2]
        ]
        return tf.nn.softmax(inside)


def unit_to_uint8(image: np.ndarray) -> np.ndarray:
    """[-1, 1] -> uint8, rounded."""
    values = tf.constant(np.asarray(image, np.float32))
    return preprocess.unit_to_uint8(values).numpy()
