"""Pseudo-labels: pyramid and judge read the tiles that nobody labelled.

In: a run whose stages and judge are trained, its unlabelled tiles at the
finest scale. Out: the same tiles, kept in memory, with their probabilities as
soft labels (Lee 2013).

An opinion is half the pyramid's, the mean over all stages, which see the
tissue at different scales and so err in different places, and half that of
the judge, which has seen no painted tissue. It is the mean over the tile as
it is and in the stains of other tiles (Reinhard et al. 2001; means of several
views: Radosavovic et al. 2018): the networks have learnt each mask in many
stains, so what they say in one stain only is noise. Whole tiles are read, as
networks see more of their surroundings than a crop holds.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from histogan_tf import preprocess, run_dir
from histogan_tf.canvas import Canvas, Reader, segment_with
from histogan_tf.data import colour, dataset
from histogan_tf.data.dataset import Tiles
from histogan_tf.models import other_stain
from trainer.sources import Source

_STAINS = 5
_STYLE = 3002  # stream of noise, see `teaching.painter`


@dataclass(frozen=True)
class Teachers:
    """The trained networks that label tiles.

    They read a tile in `stains` other stains, drawn from `styles`, those of
    all training tiles, float32 [M, 6].
    """

    pyramid: Canvas
    judge: Reader
    styles: tf.Tensor
    stains: int

    def opinion(
        self, image: np.ndarray, style: np.ndarray, place: int
    ) -> np.ndarray:
        """What both say of a tile, the mean over its stains.

        Args:
          image: uint8 [H, W, 3] at the finest um/px, of `style` [6].
          place: the tile's number, by which other stains are drawn.

        Returns:
          float32 [H, W, N], probabilities.
        """
        views = [image, *self._restained(image, style, place)]
        return np.mean([self._read(view) for view in views], axis=0)

    def _restained(
        self, image: np.ndarray, style: np.ndarray, place: int
    ) -> Iterator[np.ndarray]:
        seeds = np.arange(self.stains, dtype=np.int64) + place * self.stains
        drawn = other_stain.drawn_styles(self.styles, seeds, _STYLE, 0.0)
        unit = preprocess.to_unit(image[None])
        for new in drawn:
            moved = colour.restain(unit, style[None], new[None])
            yield preprocess.unit_to_uint8(moved)[0].numpy()

    def _read(self, image: np.ndarray) -> np.ndarray:
        size = image.shape[:2]
        stages = self.pyramid.segment_images(image[None])
        full = [tf.image.resize(p, size, "bilinear") for p in stages]
        pyramid = tf.add_n(full) / float(len(full))
        judge = self.judge.read_images(image[None])
        return ((pyramid + judge) / 2.0)[0].numpy()


def teachers(source: Source) -> Teachers:
    """Those of a run whose stages and judge are trained."""
    run = source.run
    judge = run_dir.load_segmenter(run, "judge")
    return Teachers(
        Canvas(run_dir.load_pyramid(run)),
        segment_with(judge, run.classes().count),
        source.styles(),
        # Networks that know one stain only are asked in that alone.
        _STAINS if source.config.losses.restain else 0,
    )


def labelled(by: Teachers, tiles: Tiles) -> Tiles:
    """Unlabelled tiles at the finest scale with soft labels."""

    def read() -> Iterator[dict[str, np.ndarray]]:
        for place, tile in enumerate(tiles.dataset.as_numpy_iterator()):
            found = by.opinion(tile["image"], tile["style"], place)
            labels = preprocess.to_uint8(255.0 * found).numpy()
            yield tile | {"labels": labels}

    return dataset.kept(read(), tiles.count)
