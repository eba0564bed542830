"""Signatures that paint: class masks in, tissue out.

In: a `canvas.Canvas`; every signature here ends in its `paint`. Out: graphs
for `signatures.py`. Masks are class ids at the run's finest um/px, 255 counts
as class 0, as in `Canvas.synthesise`. Pixels equal the library's.

Windows. `generate_window` paints any part of an unbounded canvas; windows of
one seed and style fit together without a seam, in any order. The rule:
  - `halo` and `multiple` stand in the model card; `multiple` divides `halo`;
  - row and column, the window's first pixel without halo, may be negative;
    they, and the sides of `masks`, divide by `multiple`;
  - `masks` goes from row - halo, column - halo to `halo` beyond the window's
    other edges; the answer has no halo.
A window elsewhere is enlarged to the next multiples (`halo.aligned`) and the
answer cropped. A mask that ends is continued by mirroring it. The library
mirrors only 16 px of the coarsest stage (`Canvas.margin`), beyond which it sees
zeros: closer to the mask's own edge than halo minus margin, a window can
differ from `generate`.
"""

from dataclasses import dataclass

import tensorflow as tf

from histogan_tf import preprocess, rescale
from histogan_tf.canvas import Canvas
from histogan_tf.data import colour
from serving import image_codec
from serving.graphs import STRINGS, GraphFunction, graph

_INTEGERS = tf.TensorSpec([None], tf.int64)
_STYLES = tf.TensorSpec([None, colour.STYLE_SIZE], tf.float32)
_MASKS = tf.TensorSpec([None, None, None], tf.uint8)


@dataclass(frozen=True)
class GenerateSignatures:
    """The graphs of one pyramid.

    `halo` is rounded to the pyramid's multiple; `max_pixels` bounds masks and
    reference images.
    """

    canvas: Canvas
    halo: int
    max_pixels: int

    def graphs(self) -> dict[str, GraphFunction]:
        """Every signature by name."""
        return {
            "generate": graph(
                self.generate,
                mask_bytes=STRINGS,
                seed=_INTEGERS,
                style=_STYLES,
                reference_bytes=STRINGS,
            ),
            "generate_window": graph(
                self.generate_window,
                masks=_MASKS,
                row=_INTEGERS,
                column=_INTEGERS,
                seed=_INTEGERS,
                style=_STYLES,
            ),
        }

    def generate(
        self,
        mask_bytes: tf.Tensor,
        seed: tf.Tensor,
        style: tf.Tensor,
        reference_bytes: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """PNG masks -> `image_bytes`, RGB PNGs of the masks' sizes.

        Args:
          mask_bytes: 8-bit grey PNGs of class ids [B]; sizes may differ.
          seed: int64 [B].
          style: float32 [B, 6], as of `data/colour.py`; used where
            `reference_bytes` is "".
          reference_bytes: string [B]: "", or PNG or JPEG bytes of a tile at
            the run's finest um/px, whose stain is taken.
        """
        checks = [_same_count(mask_bytes, seed, style, reference_bytes)]
        with tf.control_dependencies(checks):
            mask_bytes = tf.identity(mask_bytes)
        images = tf.map_fn(
            lambda one: self._generate_one(*one),
            (mask_bytes, seed, style, reference_bytes),
            fn_output_signature=tf.TensorSpec([], tf.string),
            parallel_iterations=1,  # each fills the machine, and its memory
        )
        return {"image_bytes": images}

    def generate_window(
        self,
        masks: tf.Tensor,
        row: tf.Tensor,
        column: tf.Tensor,
        seed: tf.Tensor,
        style: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Masks with halo -> `images` uint8 [B, h, w, 3] without.

        The module's docstring has the rule for windows.

        Args:
          masks: uint8 [B, h + 2 halo, w + 2 halo] class ids.
          row, column: int64 [B], of each window's first pixel.
          seed: int64 [B], as of the whole canvas.
          style: float32 [B, 6], as of the whole canvas.
        """
        pyramid, halo = self.canvas.pyramid, self.halo
        checks = [
            _same_count(masks, row, column, seed, style),
            _finite(style),
            image_codec.check_size(tf.shape(masks)[1:], self.max_pixels),
            image_codec.check_ids(masks, pyramid.classes),
            self._on_grid("row", row),
            self._on_grid("column", column),
            self._checked_sides(masks),
        ]
        with tf.control_dependencies(checks):
            soft = preprocess.one_hot(masks, pyramid.classes)
        painted = self.canvas.paint(
            soft, style, seed, row - halo, column - halo
        )[-1]
        shape = tf.shape(masks)
        inside = painted[:, halo : shape[1] - halo, halo : shape[2] - halo]
        return {"images": preprocess.unit_to_uint8(inside)}

    def _generate_one(self, data, seed, style, reference):
        pyramid = self.canvas.pyramid
        mask = image_codec.decode_mask(data, pyramid.classes, self.max_pixels)
        style = tf.cond(
            tf.strings.length(reference) > 0,
            lambda: self._measured(reference),
            lambda: style,
        )
        with tf.control_dependencies([_finite(style)]):
            images = self.canvas.paint_masks(
                mask[None], style[None], seed[None]
            )
        return image_codec.encode(images[-1][0])

    def _measured(self, reference: tf.Tensor) -> tf.Tensor:
        """The style of a reference image, as in training."""
        config = self.canvas.pyramid.config
        image = image_codec.decode_image(reference, self.max_pixels)
        return rescale.style_tensor(
            image, config.finest_mpp, config.stage_mpp(0)
        )

    def _on_grid(self, name: str, first: tf.Tensor) -> tf.Operation:
        multiple = self.canvas.pyramid.multiple
        return tf.debugging.Assert(
            tf.reduce_all(first % multiple == 0),
            [
                tf.strings.format(
                    f"{name}: {{}} does not divide by {multiple}; enlarge the"
                    f" window to multiples of {multiple} and crop the answer",
                    first,
                )
            ],
        )

    def _checked_sides(self, masks: tf.Tensor) -> tf.Operation:
        multiple, least = self.canvas.pyramid.multiple, 2 * self.halo
        sides = tf.shape(masks)[1:]
        fits = tf.logical_and(sides % multiple == 0, sides > least)
        return tf.debugging.Assert(
            tf.reduce_all(fits),
            [
                tf.strings.format(
                    f"masks: sides {{}}; multiples of {multiple} above {least}"
                    f" (a halo of {self.halo} a side) are allowed",
                    sides,
                )
            ],
        )


def _same_count(*inputs: tf.Tensor) -> tf.Operation:
    counts = tf.stack([tf.shape(value)[0] for value in inputs])
    return tf.debugging.Assert(
        tf.reduce_all(counts == counts[0]),
        [
            tf.strings.format(
                "inputs hold {} elements; equal numbers are allowed", counts
            )
        ],
    )


def _finite(style: tf.Tensor) -> tf.Operation:
    return tf.debugging.Assert(
        tf.reduce_all(tf.math.is_finite(style)),
        ["style: finite numbers are allowed"],
    )
