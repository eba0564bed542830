"""The three ways to paint a mask that the fidelity benchmark compares.

In: the masks of a split, trained runs, training images. Out: for each mask
an image per stage of the pyramid, uint8, coarsest first.

- pyramid: the run under test; each stage's own image.
- one stage: one network of the same kind at the finest um/px (`one_stage`);
  the coarser images are averages of its image.
- mean colour: every class in its mean colour over the labelled training
  images, soft masks blended; coarser images likewise.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from histogan_tf import run_dir
from histogan_tf.canvas import Canvas
from histogan_tf.config import Config, NetworkConfig, StageConfig
from histogan_tf.data import dataset
from histogan_tf.data.manifest import Manifest
from histogan_tf.evaluation import tiles
from histogan_tf.run_dir import RunDir

Stages = list[np.ndarray]


def one_stage(config: Config, steps: int) -> Config:
    """The pyramid's settings with one stage at the finest um/px.

    Its networks have every level of resolution that the pyramid has, each
    as wide and as deep as the pyramid's widest network there. Crop and batch
    are those of the finest stage; the reconstruction's weight is that of
    stage 0, which paints from the mask alone too.
    """
    finest = config.stages[-1]
    generator, critic = (
        _joined([getattr(stage, name) for stage in config.stages])
        for name in ("generator", "critic")
    )
    multiple = max(generator.stride, critic.stride)
    stage = StageConfig(
        crop=-(-finest.crop // multiple) * multiple,
        batch=finest.batch,
        steps=steps,
        reconstruction=config.stages[0].reconstruction,
        generator=generator,
        critic=critic,
        segmenter=finest.segmenter,
    )
    return replace(config, stages=(stage,))


def _joined(networks: Sequence[NetworkConfig]) -> NetworkConfig:
    """One network over the levels of all; `networks` coarsest first."""
    widths: dict[int, int] = {}
    for shrink, network in enumerate(reversed(networks)):
        for level, width in enumerate(network.widths, shrink):
            widths[level] = max(width, widths.get(level, 0))
    blocks = max(network.blocks for network in networks)
    return NetworkConfig(tuple(widths[k] for k in sorted(widths)), blocks)


def painted(
    run: RunDir,
    manifest: Manifest,
    donors: Sequence[int],
    seed: int,
    stages: int,
) -> list[Stages]:
    """What a run paints from the test masks, each in its donor's style."""
    # By the run's own settings: they say at which um/px style is measured.
    images = tiles.load(manifest, "test", run.config())
    canvas = Canvas(run_dir.load_pyramid(run))
    out = []
    for place, tile in enumerate(images):
        style = images[donors[place]].style
        made = canvas.synthesise(tile.mask, style, seed + place)
        out.append(made if len(made) == stages else averages(made[-1], stages))
    return out


def averages(image: np.ndarray, stages: int) -> Stages:
    """A finest image [H, W, 3] averaged to each stage, coarsest first."""
    return [
        tiles.shrink_image(image, 2 ** (stages - 1 - k)) for k in range(stages)
    ]


def mean_coloured(
    manifest: Manifest, config: Config
) -> tuple[np.ndarray, list[Stages]]:
    """The classes' colours, float64 [N, 3] of 0..255, and masks in them."""
    colours = class_colours(
        (tile["image"], tile["labels"])
        for tile in _tiles(manifest, "train", config)
    )
    filled = [
        averages(fill(tile["labels"], colours), len(config.stages))
        for tile in _tiles(manifest, "test", config)
    ]
    return colours, filled


def class_colours(pairs) -> np.ndarray:
    """Mean colour of each class, weighted by its share of each pixel.

    Args:
      pairs: of image uint8 [H, W, 3] and labels uint8 [H, W, N], where 255
        is all of the pixel.

    Returns:
      float64 [N, 3]; black for a class that never occurs.
    """
    sums: np.ndarray | float = 0.0
    shares: np.ndarray | float = 0.0
    for image, labels in pairs:
        weights = labels.reshape(-1, labels.shape[-1]).astype(np.float64)
        sums = sums + weights.T @ image.reshape(-1, 3).astype(np.float64)
        shares = shares + weights.sum(axis=0)
    return sums / np.maximum(shares, 1.0)[:, None]


def fill(labels: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Labels uint8 [H, W, N] in the classes' colours, blended.

    What is ignored (the missing rest of 255) counts as class 0, as it does
    for the pyramid.
    """
    shares = labels.astype(np.float64) / 255.0
    shares[..., 0] += 1.0 - shares.sum(axis=-1)
    return np.clip(np.round(shares @ colours), 0, 255).astype(np.uint8)


def _tiles(manifest: Manifest, split: str, config: Config):
    scale = dataset.Scale(
        config.finest_mpp, config.stage_mpp(0), manifest.classes.count
    )
    count = len(manifest.split(split).labelled.images)
    shards = manifest.shard_paths(split, "labelled")
    read = dataset.load_tiles(shards, count, scale, cache=False)
    return read.dataset.as_numpy_iterator()
