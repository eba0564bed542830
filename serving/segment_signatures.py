"""Signatures that segment: images in, class masks, areas and scores out.

In: a `canvas.Reader` of the final segmenter, which every signature here ends
in. Out: graphs (`tf.function`) for `signatures.py`. Images are at the run's
finest um/px. Outputs equal the library's: masks byte for byte (decoded; the
PNG encoders differ), floats to 1e-5.

Images of a batch of bytes may differ in size; they are read one by one.
"""

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from histogan_tf import preprocess
from histogan_tf.canvas import Reader
from histogan_tf.data import dataset, records
from histogan_tf.data.dataset import Scale
from histogan_tf.metrics.segmentation import confusion_tensor
from serving import image_codec
from serving.graphs import STRINGS, GraphFunction, graph


@dataclass(frozen=True)
class SegmentSignatures:
    """The graphs of one segmenter.

    `scale` is the run's; `max_pixels` the largest image.
    """

    reader: Reader
    scale: Scale
    max_pixels: int

    def graphs(self) -> dict[str, GraphFunction]:
        """Every signature by name."""
        return {
            "segment": graph(self.segment, image_bytes=STRINGS),
            "segment_tensor": graph(
                self.segment_tensor, images=_images(tf.uint8)
            ),
            "segment_float": graph(
                self.segment_float, images=_images(tf.float32)
            ),
            "examples": graph(self.examples, examples=STRINGS),
        }

    def segment(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """PNG or JPEG bytes [B] -> `mask_bytes` [B] and `areas`.

        `mask_bytes` are PNGs of class ids, of the images' sizes; `areas`
        float32 [B, N] the share of each class of the image's pixels.
        """
        mask_bytes, areas = tf.map_fn(
            self._segment_one,
            image_bytes,
            fn_output_signature=(
                tf.TensorSpec([], tf.string),
                tf.TensorSpec([self.scale.classes], tf.float32),
            ),
            parallel_iterations=1,  # each fills the machine, and its memory
        )
        return {"mask_bytes": mask_bytes, "areas": areas}

    def segment_tensor(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """uint8 [B, H, W, 3] -> `probabilities` float32 [B, H, W, N]."""
        size = tf.shape(images)[1:3]
        with tf.control_dependencies([self._checked_size(size)]):
            return {"probabilities": self.reader.read_images(images)}

    def segment_float(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """As `segment_tensor`, of float32 images in [-1, 1]."""
        size = tf.shape(images)[1:3]
        # nan fails the comparison, too.
        fits = tf.reduce_all(tf.abs(images) <= 1.0 + 1e-3)
        within = tf.debugging.Assert(
            fits, ["images: values must be in [-1, 1]; bytes are x/127.5 - 1"]
        )
        with tf.control_dependencies([self._checked_size(size), within]):
            return {"probabilities": self.reader.read(images)}

    def examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Serialised tiles (`data/records.py`) [B] -> scores.

        A tile is averaged to the run's scale as in training and evaluation.

        Returns:
          `confusion` float32 [B, N, N] (row: true class), counts of pixels;
          `pixel_counts` float32 [B, N] of the true classes; `dice` float32
          [B, N], nan where a class is in neither mask.
        """
        classes = self.scale.classes
        confusion = tf.map_fn(
            self._score_one,
            examples,
            fn_output_signature=tf.TensorSpec([classes, classes], tf.float32),
            parallel_iterations=1,
        )
        true, found = (tf.reduce_sum(confusion, axis) for axis in (2, 1))
        both = tf.linalg.diag_part(confusion)
        return {
            "confusion": confusion,
            "pixel_counts": true,
            # 0 / 0 is nan, as in `metrics/segmentation.py`.
            "dice": 2.0 * both / (true + found),
        }

    def _segment_one(self, data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image = image_codec.decode_image(data, self.max_pixels)
        mask = self._mask(image)
        ids = tf.cast(tf.reshape(mask, [-1]), tf.int32)
        count = self.scale.classes
        counts = tf.math.bincount(ids, minlength=count, maxlength=count)
        areas = tf.cast(counts, tf.float32) / tf.cast(tf.size(ids), tf.float32)
        return image_codec.encode(mask[..., None]), areas

    def _score_one(self, serialized: tf.Tensor) -> tf.Tensor:
        fields, classes = records.parse(serialized), self.scale.classes
        with tf.control_dependencies(self._checked_fields(fields)):
            fields = {name: tf.identity(v) for name, v in fields.items()}
        tile = records.decode_pixels(fields)
        with tf.control_dependencies(self._checked_tile(tile)):
            tile = {name: tf.identity(value) for name, value in tile.items()}
        tile = dataset.at_scale(tile, self.scale)
        shares = tf.cast(tile["labels"], tf.float32) / 255.0
        truth = preprocess.hard_mask(shares)
        confusion = confusion_tensor(truth, self._mask(tile["image"]), classes)
        # float32 counts to 2**24 exactly, and is what REST clients know.
        return tf.cast(confusion, tf.float32)

    def _mask(self, image: tf.Tensor) -> tf.Tensor:
        """Class ids uint8 [H, W] of one image."""
        return preprocess.class_ids(self.reader.read_images(image[None])[0])

    def _checked_size(self, size: tf.Tensor) -> tf.Operation:
        return image_codec.check_size(size, self.max_pixels)

    def _checked_fields(self, fields: dict[str, tf.Tensor]) -> list[Any]:
        """Asserts sizes before anything is decoded or enlarged."""
        factor = fields["mpp"] / self.scale.mpp
        size = tf.cast(image_codec.png_size(fields["image"]), tf.float32)
        scaled = tf.cast(tf.math.ceil(size * factor), tf.int64)
        masked = tf.strings.length(fields["mask"]) > 0
        mask = tf.where(masked, fields["mask"], fields["image"])
        return [
            *image_codec.check_png(fields["image"], self.max_pixels),
            *image_codec.check_png(mask, self.max_pixels),
            # mpp of nan or 0 gives a size that is not allowed, either.
            self._checked_size(scaled),
        ]

    def _checked_tile(self, tile: dict[str, tf.Tensor]) -> list[Any]:
        image, mask = tf.shape(tile["image"])[:2], tf.shape(tile["mask"])
        alike = tf.debugging.Assert(
            tf.reduce_all(image == mask),
            ["examples: image and mask differ in size"],
        )
        return [alike, image_codec.check_ids(tile["mask"], self.scale.classes)]


def _images(kind: tf.DType) -> tf.TensorSpec:
    return tf.TensorSpec([None, None, None, 3], kind)
