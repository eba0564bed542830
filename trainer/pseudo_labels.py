"""Pseudo-labels: the trained pyramid reads the tiles that nobody labelled.

In: a run whose stages are trained, its unlabelled tiles at the finest scale.
Out: the same tiles, kept in memory, with the pyramid's probabilities as
their soft labels (Lee 2013; means of several views of an image: Radosavovic
et al. 2018).

The opinion is the mean over all stages, which see the tissue at different
scales and so err in different places, and over mirrored views. Whole tiles
are read, as a stage sees more of their surroundings than a crop holds.
"""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from histogan_tf import preprocess, run_dir
from histogan_tf.canvas import Canvas
from histogan_tf.data import dataset
from histogan_tf.data.dataset import Tiles
from trainer.sources import Source


def labelled_by_pyramid(source: Source, tiles: Tiles) -> Tiles:
    """Tiles with the pyramid's soft labels in the place of none.

    Args:
      source: its run holds all trained stages.
      tiles: unlabelled, at the finest scale.
    """
    canvas = Canvas(run_dir.load_pyramid(source.run))

    def read() -> Iterator[dict[str, np.ndarray]]:
        for tile in tiles.dataset.as_numpy_iterator():
            found = opinion(canvas, tile["image"])
            labels = preprocess.to_uint8(255.0 * found).numpy()
            yield tile | {"labels": labels}

    return dataset.kept(read(), tiles.count)


def opinion(canvas: Canvas, image: np.ndarray) -> np.ndarray:
    """Probabilities of the whole pyramid, as it is and upside down.

    Args:
      canvas: a trained pyramid.
      image: uint8 [H, W, 3] at the finest um/px.

    Returns:
      float32 [H, W, N].
    """
    size = image.shape[:2]
    views = np.stack([image, image[::-1, ::-1]])
    stages = canvas.segment_images(views)
    full = [tf.image.resize(p, size, "bilinear") for p in stages]
    both = tf.add_n(full) / float(len(full))
    return ((both[0] + both[1, ::-1, ::-1]) / 2.0).numpy()
