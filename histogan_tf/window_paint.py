"""Any window of a canvas of any size: a mask becomes tissue.

In: a mask `Source` at the run's finest um/px, a window, a seed and a style.
Out: the window's image, the same pixels as `Canvas.synthesise` gives for the
whole (float32: to 1e-4; uint8: to one grey level), in constant memory.

Each stage paints what the next one needs (`regions.py`). The mask is mirrored
beyond the border as far as the Canvas does it, 16 px of the coarsest stage.
"""

import numpy as np
import tensorflow as tf

from histogan_tf import canvas, halo, preprocess, regions, sources
from histogan_tf.config import Config
from histogan_tf.data import colour
from histogan_tf.models import layers
from histogan_tf.models.generator import noise_fields
from histogan_tf.pyramid import Pyramid
from histogan_tf.regions import Box, Layout, Need
from histogan_tf.sources import Source
from histogan_tf.tensor_boxes import cut, start_of


class WindowPainter:
    """A pyramid that paints windows; one graph serves all.

    `paint` is that graph: ids uint8 [h, w], the int64 [stages, 3, 4] boxes of
    `regions.to_array`, origin int64 [2] of `ids`, seed int64 [], style [6] ->
    images float32 [h, w, 3] in [-1, 1] of each stage's result box, coarsest
    first.
    """

    def __init__(self, pyramid: Pyramid):
        """Traces nothing yet."""
        self.pyramid = pyramid
        self.layout = Layout(
            tuple(paint_needs(pyramid.config)),
            pyramid.multiple,
            canvas.border(len(pyramid.stages)),
        )
        # Nothing here is for AutoGraph, which doubles the time of tracing.
        self.paint = tf.function(
            self._paint,
            autograph=False,
            input_signature=[
                tf.TensorSpec([None, None], tf.uint8),
                tf.TensorSpec([len(pyramid.stages), 3, 4], tf.int64),
                tf.TensorSpec([2], tf.int64),
                tf.TensorSpec([], tf.int64),
                tf.TensorSpec([colour.STYLE_SIZE], tf.float32),
            ],
        )

    def synthesize_window(
        self,
        mask_source: Source,
        row: int,
        column: int,
        height: int,
        width: int,
        seed: int,
        style: np.ndarray,
    ) -> np.ndarray:
        """Tissue of one window of the canvas.

        Args:
          mask_source: uint8 class ids of the canvas; 255 becomes class 0.
          row, column: of the window's first pixel.
          height, width: of the window, which lies inside the canvas.
          seed: any integer, the same for all windows of a canvas.
          style: float32 [6], the same for all windows, see `colour.style_of`.

        Returns:
          uint8 RGB [height, width, 3].

        Raises:
          InputError: the window is empty or leaves the canvas, or the mask
            holds an id that is no class.
        """
        window = Box(row, row + height, column, column + width)
        ids = self.mask_around(mask_source, window)
        return canvas.unit_to_uint8(
            self.stages(mask_source, window, ids, seed, style)[-1]
        )

    def mask_around(self, mask_source: Source, window: Box) -> np.ndarray:
        """The mask that a window's stages see, uint8 [h, w], mirrored."""
        sources.check_window(mask_source, window)
        ids = sources.mirrored(mask_source, self._plan(mask_source, window)[1])
        sources.check_ids(ids, self.pyramid.classes)
        return ids

    def stages(
        self,
        mask_source: Source,
        window: Box,
        ids: np.ndarray,
        seed: int,
        style: np.ndarray,
    ) -> list[np.ndarray]:
        """Images of the window at every stage, coarsest first.

        Args:
          mask_source: class ids of the whole canvas, at the finest um/px.
          window: of the canvas, finest px.
          ids: what `mask_around` gave, perhaps in another thread.
          seed: of the canvas's noise.
          style: float32 [6].

        Returns:
          float32 [h, w, 3] in [-1, 1]; a coarser stage's image covers all
          of its pixels that the window touches.
        """
        found, box = self._plan(mask_source, window)
        images = self.paint(
            ids,
            regions.to_array(found),
            np.array([box.top, box.left], np.int64),
            np.int64(seed),
            np.asarray(style, np.float32),
        )
        shrinks = [2**k for k in reversed(range(len(found)))]
        return [
            image[window.coarser(shrink).slices(region.result)].numpy()
            for image, region, shrink in zip(
                images, found, shrinks, strict=True
            )
        ]

    def _plan(
        self, mask_source: Source, window: Box
    ) -> tuple[list[regions.StageRegion], Box]:
        return self.layout.plan(mask_source.height, mask_source.width, window)

    def _paint(self, ids, boxes, origin, seed, style):
        count = len(self.pyramid.stages)
        soft = preprocess.one_hot(ids[None], self.pyramid.classes)
        masks = layers.levels_of(soft, count)[::-1]
        image, out = None, []
        for index in range(count):
            result, body, seen = tf.unstack(boxes[index])
            shrink = 2 ** (count - 1 - index)
            start = origin // shrink
            mask = cut(masks[index], start, seen)
            if image is not None:
                previous = boxes[index - 1, 0]
                image = cut(layers.double(image), 2 * start_of(previous), body)
            painted = self._stage(index, mask, seen, body, image, seed, style)
            image = cut(painted, start_of(body), result)
            out.append(image[0])
        return out

    def _stage(self, index, mask, seen, body, coarse, seed, style):
        """One stage's image over `body`; `mask` covers `seen`."""
        generator = self.pyramid.stages[index].generator
        config = self.pyramid.config
        levels = len(config.stages[index].generator.widths)
        with layers.after(coarse):
            maps = generator.surroundings(mask, levels)
            masks = [
                cut(values, start_of(seen) // 2**level, body // 2**level)
                for level, values in enumerate(maps)
            ]
            noises = noise_fields(
                seed[None],
                index,
                tf.range(body[0], body[1]),
                tf.range(body[2], body[3]),
                levels,
                config.noise_channels,
            )
        painted = generator.paint(masks, noises, style[None], coarse)
        return tf.clip_by_value(painted, -1.0, 1.0)


def paint_needs(config: Config) -> list[Need]:
    """What each stage's generator takes around a window, coarsest first."""
    return [
        Need(max(2, stage.generator.stride), body, mask)
        for stage, (mask, body) in (
            (stage, halo.stage_reach(config, index))
            for index, stage in enumerate(config.stages)
        )
    ]
