"""The trained stages together: masks become tissue, tissue becomes masks.

In: the averaged networks of every stage, coarsest first. Out: images per
stage from a mask at the finest scale; probabilities per stage from an image.

Tensors only, of sizes that every level divides (`Pyramid.multiple`);
`canvas.py` pads and crops images of any size.
"""

from dataclasses import dataclass

import tensorflow as tf

from histogan_tf.config import Config
from histogan_tf.data import colour
from histogan_tf.models import layers
from histogan_tf.models.generator import Generator, noise_fields
from histogan_tf.models.segmenter import Segmenter
from histogan_tf.models.stage import Networks


@dataclass(frozen=True)
class Pyramid:
    """Averaged networks of all stages, coarsest first."""

    config: Config
    classes: int
    stages: tuple[Networks, ...]

    @property
    def multiple(self) -> int:
        """Heights and widths at the finest scale divide by this."""
        return self.config.multiple("generator", "segmenter")

    def make_variables(self) -> None:
        """Makes all variables, which checkpoints and traced steps look for."""
        side, one = self.multiple, tf.zeros([1], tf.int64)
        blank = tf.zeros([1, side, side, self.classes])
        self.paint(blank, tf.zeros([1, colour.STYLE_SIZE]), one)
        self.segment(tf.zeros([1, side, side, 3]))

    def paint(
        self,
        mask: tf.Tensor,
        style: tf.Tensor,
        seed: tf.Tensor,
        row: tf.Tensor | int = 0,
        column: tf.Tensor | int = 0,
    ) -> list[tf.Tensor]:
        """Tissue for a mask, at every stage.

        Args:
          mask: float32 [B, H, W, N] soft one-hot, complete, finest scale.
          style: [B, 6], see `colour`.
          seed: int64 [B].
          row, column: the mask's absolute origin, multiples of `multiple`;
            integers, or tensors [B].

        Returns:
          Images in [-1, 1], [B, H / 2**j, W / 2**j, 3], coarsest first.
        """
        masks = layers.levels_of(mask, len(self.stages))[::-1]
        image: tf.Tensor | None = None
        out: list[tf.Tensor] = []
        for index, networks in enumerate(self.stages):
            shape, shrink = tf.shape(masks[index]), len(self.stages) - 1 - index
            noises = noise_fields(
                seed,
                index,
                _positions(row, 2**shrink, shape[1]),
                _positions(column, 2**shrink, shape[2]),
                len(self.config.stages[index].generator.widths),
                self.config.noise_channels,
            )
            coarse = None if image is None else layers.double(image)
            painted = networks.generator(masks[index], noises, style, coarse)
            image = tf.clip_by_value(painted, -1.0, 1.0)
            out.append(image)
        return out

    def segment(self, image: tf.Tensor) -> list[tf.Tensor]:
        """Probabilities per stage, each refining the coarser stage's.

        Args:
          image: [B, H, W, 3] in [-1, 1], finest scale.

        Returns:
          float32 [B, H / 2**j, W / 2**j, N], coarsest first.
        """
        images = layers.levels_of(image, len(self.stages))[::-1]
        opinion, out = None, []
        for index, networks in enumerate(self.stages):
            logits = networks.segmenter(images[index], opinion)
            out.append(tf.nn.softmax(logits))
            opinion = layers.double(out[-1])
        return out


def _positions(
    first: tf.Tensor | int, shrink: int, size: tf.Tensor
) -> tf.Tensor:
    """`size` positions of a coarser grid: [size], or [B, size]."""
    start = tf.convert_to_tensor(first)[..., None] // shrink
    return start + tf.range(size, dtype=start.dtype)


def blank_networks(config: Config, index: int, classes: int) -> Networks:
    """Networks of a stage, unbuilt, to restore weights into."""
    stage = config.stages[index]
    return Networks(
        Generator(stage.generator, residual=index > 0),
        Segmenter(stage.segmenter, classes, stage.segmenter_patch),
    )
