"""Pseudo-labels: the trained pyramid reads the tiles that nobody labelled.

In: a run whose stages are trained, its unlabelled tiles at the finest scale.
Out: the same tiles, kept in memory, with the pyramid's probabilities as
their soft labels (Lee 2013; means of several views of an image: Radosavovic
et al. 2018).

The opinion is the mean over all stages, which see the tissue at different
scales and so err in different places, and over mirrored views. Whole tiles
are read, as a stage sees more of their surroundings than a crop holds. Over
all tiles, the classes are held to their expected shares (`class_shares.py`).
"""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from histogan_tf import class_shares, preprocess, run_dir
from histogan_tf.canvas import Canvas
from histogan_tf.data import dataset
from histogan_tf.data.dataset import Tiles
from trainer.sources import Source

Tile = dict[str, np.ndarray]

_SAMPLES = 1_000_000  # pixels that decide the shares


def labelled_by_pyramid(source: Source, tiles: Tiles) -> Tiles:
    """Tiles with the pyramid's soft labels in the place of none.

    Args:
      source: its run holds all trained stages.
      tiles: unlabelled, at the finest scale.
    """
    canvas = Canvas(run_dir.load_pyramid(source.run))
    read = [
        tile | {"labels": bytes_of(opinion(canvas, tile["image"]))}
        for tile in tiles.dataset.as_numpy_iterator()
    ]
    if source.config.segmenter.align:
        shares = class_shares.flattened(source.manifest.class_pixels("train"))
        return dataset.kept(aligned(read, shares), tiles.count)
    return dataset.kept(read, tiles.count)


def aligned(tiles: list[Tile], shares: np.ndarray) -> Iterator[Tile]:
    """Tiles whose labels, over all of them, have these class shares.

    Args:
      tiles: with soft labels, uint8 [h, w, N].
      shares: [N], adding up to 1.
    """
    count = sum(tile["labels"][..., 0].size for tile in tiles)
    every = -(-count // _SAMPLES)
    some = [t["labels"].reshape(-1, len(shares))[::every] for t in tiles]
    offset = class_shares.offsets(np.concatenate(some) / 255.0, shares)
    for tile in tiles:
        found = class_shares.moved(tile["labels"] / 255.0, offset)
        yield tile | {"labels": bytes_of(found)}


def bytes_of(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities as soft labels, uint8: 255 is all of a pixel."""
    return preprocess.to_uint8(255.0 * probabilities).numpy()


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
