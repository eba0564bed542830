"""The labelled images of a split, at the scales of a run.

In: a manifest, a split, the run's settings. Out: `EvaluationTile`s at the
run's finest um/px (area average, as training sees them), and from them the
images and masks of each coarser stage (2x2 averages, as the pyramid makes).

A pixel's class is the one with the largest share of its area; a pixel that
is ignored over more than half of its area is ignored (255).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from histogan_tf import preprocess
from histogan_tf.config import Config
from histogan_tf.data import dataset
from histogan_tf.data.classes import ClassTable
from histogan_tf.data.manifest import SPLITS, Manifest
from histogan_tf.errors import InputError


@dataclass(frozen=True)
class EvaluationTile:
    """One image and its truth at the finest um/px.

    image uint8 [H, W, 3], mask uint8 [H, W] (255 = ignore), style float32
    [6], measured at the coarsest stage as in training.
    """

    name: str
    image: np.ndarray
    mask: np.ndarray
    style: np.ndarray


def load(
    manifest: Manifest, split: str, config: Config, most: int | None = None
) -> list[EvaluationTile]:
    """What `each` gives, at once."""
    return list(each(manifest, split, config, most))


def each(
    manifest: Manifest, split: str, config: Config, most: int | None = None
) -> Iterator[EvaluationTile]:
    """Reads the labelled images of a split, in stored order.

    Args:
      manifest, split: whose images.
      config: the run's settings.
      most: of more images than that, every n-th is read.

    Raises:
      InputError: the split has none.
    """
    kind = manifest.split(split).labelled
    if not kind.images:
        others = [s for s in SPLITS if manifest.split(s).labelled.images]
        raise InputError(
            f"{manifest.folder}: split {split!r} has no labelled images;"
            f" splits with some: {', '.join(others) or 'none'}"
        )
    scale = dataset.Scale(
        config.finest_mpp, config.stage_mpp(0), manifest.classes.count
    )
    paths = manifest.shard_paths(split, "labelled")
    step = step_of(len(kind.images), most)
    read = dataset.every_nth(paths, scale, step)
    for info, tile in zip(
        kind.images[::step], read.as_numpy_iterator(), strict=True
    ):
        yield EvaluationTile(
            info.name,
            tile["image"],
            hard_mask(tile["labels"] / np.float32(255)),
            tile["style"],
        )


def step_of(count: int, most: int | None) -> int:
    """The n of every n-th of `count` images, so that at most `most` remain."""
    return max(1, -(-count // most)) if most else 1


def check_classes(run: ClassTable, data: ClassTable, source: str) -> None:
    """Raises InputError unless both tables name the same classes."""
    if run.names != data.names:
        raise InputError(
            f"{source}: its classes are {', '.join(data.names)}; the run's"
            f" are {', '.join(run.names)}"
        )


def hard_mask(shares: np.ndarray) -> np.ndarray:
    """Shares [H, W, N] of each pixel's area -> uint8 [H, W], 255 = ignore."""
    return preprocess.hard_mask(tf.constant(shares)).numpy()


def shrink_image(image: np.ndarray, factor: int) -> np.ndarray:
    """Block average of uint8 [H, W, 3] to [ceil(H / f), ceil(W / f), 3]."""
    return np.round(_blocks(image.astype(np.float32), factor)).astype(np.uint8)


def shrink_mask(mask: np.ndarray, factor: int, classes: int) -> np.ndarray:
    """The class that fills most of each block; uint8, sizes as above."""
    if factor == 1:
        return mask
    shares = mask[..., None] == np.arange(classes, dtype=np.uint8)
    return hard_mask(_blocks(shares.astype(np.float32), factor))


def _blocks(values: np.ndarray, factor: int) -> np.ndarray:
    """Block means; mirrored at the end, as `canvas.padding` does."""
    height, width, channels = values.shape
    pads = [(0, -height % factor), (0, -width % factor), (0, 0)]
    padded = np.pad(values, pads, mode="symmetric")
    tall, wide = padded.shape[0] // factor, padded.shape[1] // factor
    return padded.reshape(tall, factor, wide, factor, channels).mean((1, 3))
