"""The explicit list of phases of a run.

In: the settings, the manifest of the records, the run directory.
Out: stage 0, 1, ..., then the final segmenter, then the judge, each with its
model, its data and its folder. Stages are independent of one another; the
final segmenter needs all stages; the judge needs real labels only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import tensorflow as tf

from histogan_tf import run_dir
from histogan_tf.config import (
    AugmentConfig,
    Config,
    NetworkConfig,
    SegmenterConfig,
)
from histogan_tf.data import colour, dataset
from histogan_tf.data.dataset import CropSettings, Scale, Tiles
from histogan_tf.data.manifest import ImageInfo, Kind, Manifest
from histogan_tf.errors import InputError
from histogan_tf.models import losses, noise
from histogan_tf.models.segmenter_model import Paint, SegmenterModel
from histogan_tf.models.stage import StageModel, labelled_count
from histogan_tf.run_dir import RunDir
from trainer.loop import Phase

_BYTES_PER_MB = 1 << 20
_STYLE = 3001  # stream of noise, see `painter`
# Seeds of the phases after the stages, which take 0, 1, ...
_SEGMENTER, _JUDGE, _SEEDS = 62, 63, 64


@dataclass(frozen=True)
class Source:
    """What phases are made from."""

    config: Config
    manifest: Manifest
    run: RunDir

    def weights(self) -> list[float]:
        """Class weights over the labelled training images."""
        return losses.class_weights(
            list(self.manifest.class_pixels("train")),
            self.config.losses.class_weight_limit,
        )

    def scale(self, mpp: float) -> Scale:
        """A scale with this run's style scale and classes."""
        return Scale(mpp, self.config.stage_mpp(0), self.manifest.classes.count)

    def tiles(self, split: str, kind: str, mpp: float) -> Tiles | None:
        """Tiles of a split at a scale; None where there are none."""
        images = getattr(self.manifest.split(split), kind).images
        if not images:
            return None
        size = sum(cached_bytes(i, mpp, self.scale(mpp)) for i in images)
        return dataset.load_tiles(
            self.manifest.shard_paths(split, kind),
            len(images),
            self.scale(mpp),
            cache=size <= self.config.cache_mb * _BYTES_PER_MB,
        )


def cached_bytes(image: ImageInfo, mpp: float, scale: Scale) -> int:
    """Memory of a decoded tile at `mpp`."""
    pixels = image.height * image.width * (image.mpp / mpp) ** 2
    return int(pixels * (3 + scale.classes))


def effective(config: Config, manifest: Manifest) -> Config:
    """The settings with a batch all labelled where nothing is unlabelled."""
    if manifest.split("train").unlabelled.images:
        return config
    return replace(config, labelled_share=1.0)


def check_data(config: Config, manifest: Manifest) -> None:
    """Raises InputError when the records cannot feed these settings."""
    train = manifest.split("train")
    if not train.labelled.images:
        raise InputError(
            f"{manifest.folder}: no labelled training image; the pyramid"
            " needs one or more"
        )
    sizes = [
        (config.stage_mpp(k), stage.crop)
        for k, stage in enumerate(config.stages)
    ]
    sizes += [(config.finest_mpp, config.segmenter.crop)]
    sizes += [(config.finest_mpp, config.judge.crop)]
    for mpp, crop in sizes:
        for kind in (train.labelled, train.unlabelled):
            _check_sizes(kind, mpp, crop)


def check_replicas(config: Config, replicas: int) -> None:
    """Raises InputError when a batch cannot be shared out evenly."""
    batches = {
        f"stages.{k}.batch": stage.batch
        for k, stage in enumerate(config.stages)
    }
    batches["segmenter.batch"] = config.segmenter.batch
    batches["judge.batch"] = config.judge.batch
    for name, batch in batches.items():
        if batch % replicas:
            raise InputError(
                f"{name}: {batch} is not allowed on {replicas} devices; use a"
                f" multiple of {replicas}"
            )


def _check_sizes(kind: Kind, mpp: float, crop: int) -> None:
    for image in kind.images:
        if image.mpp > mpp * 1.01:
            raise InputError(
                f"{image.name}: {image.mpp} um/px is coarser than the"
                f" {mpp} um/px wanted; raise finest_mpp"
            )
        side = round(min(image.height, image.width) * image.mpp / mpp)
        if side < crop:
            raise InputError(
                f"{image.name}: {image.width}x{image.height} px at"
                f" {image.mpp} um/px gives {side} px at {mpp} um/px, less"
                f" than a crop of {crop}; use a smaller crop or leave it out"
            )


def phases(source: Source) -> list[Phase]:
    """All phases in the order of training."""
    config = source.config
    stages = [stage_phase(source, k) for k in range(len(config.stages))]
    alone = replace(source, config=replace(config, labelled_share=1.0))
    return [
        *stages,
        segmenter_phase(
            source, "segmenter", config.segmenter, painter, _SEGMENTER
        ),
        segmenter_phase(alone, "judge", config.judge, no_painter, _JUDGE),
    ]


def stage_phase(source: Source, index: int) -> Phase:
    """The phase of one stage of the pyramid."""
    config, stage = source.config, source.config.stages[index]
    name = run_dir.stage_name(index)
    crops = _crops(source, stage.crop, stage.batch, index, config.augment)
    networks = (stage.generator, stage.critic, stage.critic, stage.segmenter)
    return Phase(
        name,
        source.run.phase(name),
        stage.steps,
        stage.batch,
        lambda: StageModel(config, index, source.weights()),
        _batches(source, config.stage_mpp(index), crops),
        seed=crops.seed + 1,
        work=work(stage.crop, stage.batch, (*networks, stage.segmenter)),
    )


def segmenter_phase(
    source: Source,
    name: str,
    settings: SegmenterConfig,
    paint: Callable[[Source], Paint],
    salt: int,
) -> Phase:
    """The phase of a segmenter by itself, at the finest scale."""
    config = source.config
    crops = _crops(
        source, settings.crop, settings.batch, salt, settings.augment
    )
    networks = [settings.network]
    if settings.synthetic:
        networks += [settings.network, config.stages[-1].generator]
    return Phase(
        name,
        source.run.phase(name),
        settings.steps,
        settings.batch,
        lambda: SegmenterModel(
            config, settings, source.weights(), paint(source)
        ),
        _batches(source, config.finest_mpp, crops),
        seed=crops.seed + 1,
        work=work(settings.crop, settings.batch, networks),
    )


def work(crop: int, batch: int, networks: Sequence[NetworkConfig]) -> float:
    """About what a step costs: millions of multiplications, but for a factor.

    Convolutions cost pixels times channels squared, a quarter of the pixels
    at each level.
    """
    channels = sum(
        n.blocks * width**2 / 4**level
        for n in networks
        for level, width in enumerate(n.widths)
    )
    return batch * crop**2 * channels / 1e6


def painter(source: Source) -> Paint:
    """The trained pyramid's finest image as a function of masks.

    Each mask is painted in the stain of a training tile drawn by its seed
    (and jittered like one), so that stain tells nothing of the classes.
    """
    pyramid = run_dir.load_pyramid(source.run)
    stored = source.run.read_json(source.run.data_path)["styles"]
    styles = tf.constant([s["style"] for s in stored], tf.float32)
    jitter = source.config.augment.stain

    def paint(mask: tf.Tensor, style: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        del style
        drawn = drawn_styles(styles, seed, jitter)
        return pyramid.paint(mask, drawn, seed)[-1]

    # Makes the variables, which a traced step must find in place.
    side, one = pyramid.multiple, tf.zeros([1], tf.int64)
    blank = tf.zeros([1, side, side, pyramid.classes])
    paint(blank, tf.zeros([1, colour.STYLE_SIZE]), one)
    return paint


def drawn_styles(
    styles: tf.Tensor, seed: tf.Tensor, jitter: float
) -> tf.Tensor:
    """A style for each seed: one of `styles` [M, 6], its Lab mean jittered.

    Args:
      styles: float32 [M, 6]; seed: int64 [B].
      jitter: as `AugmentConfig.stain`.

    Returns:
      float32 [B, 6]. An image's style depends on its own seed alone, so it
      is the same on any number of replicas.
    """
    draws = noise.uniform(seed, _STYLE, 4)
    count = tf.cast(tf.shape(styles)[0], tf.float32)
    chosen = tf.gather(styles, tf.cast(draws[:, 0] * count, tf.int32))
    moved = (draws[:, 1:] * 2.0 - 1.0) * 3.0**0.5 * jitter
    return chosen + tf.pad(moved, [[0, 0], [0, 3]])


def no_painter(source: Source) -> Paint:
    """For a segmenter that sees real images only."""
    del source

    def refuse(mask, style, seed):
        raise ValueError("this segmenter takes no painted images")

    return refuse


def _crops(
    source: Source, size: int, batch: int, salt: int, augment: AugmentConfig
) -> CropSettings:
    labelled = labelled_count(batch, source.config.labelled_share)
    # 22 bits, as the crops' own seeds leave no room for more.
    seed = source.config.seed
    seed = (seed ^ seed >> 16) % 2**16 * _SEEDS + salt
    return CropSettings(size, batch, labelled, seed, augment)


def _batches(
    source: Source, mpp: float, crops: CropSettings
) -> Callable[[int], tf.data.Dataset]:
    """Batches of a phase as a function of the first step."""

    def batches(start: int) -> tf.data.Dataset:
        labelled = source.tiles("train", "labelled", mpp)
        assert labelled is not None  # see check_data
        return dataset.training_batches(
            labelled,
            source.tiles("train", "unlabelled", mpp),
            crops,
            start,
        )

    return batches
