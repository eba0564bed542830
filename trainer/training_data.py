"""What the phases of a run are made from, and whether it fits together.

In: the settings, the manifest of the records, the run directory. Out: tiles
at a scale, class weights; InputErrors where the records cannot feed the
settings.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf

from histogan_tf.config import Config
from histogan_tf.data import dataset
from histogan_tf.data.dataset import Scale, Tiles
from histogan_tf.data.manifest import ImageInfo, Kind, Manifest
from histogan_tf.data.scale_notes import NEAR
from histogan_tf.errors import InputError
from histogan_tf.models import losses
from histogan_tf.run_dir import RunDir

_BYTES_PER_MB = 1 << 20
# Of a tile, without which its stain is that of dust.
_TISSUE = 0.02


@dataclass(frozen=True)
class TrainingData:
    """What phases are made from."""

    config: Config
    manifest: Manifest
    run: RunDir

    def class_weights(self) -> list[float]:
        """Class weights over the labelled training images."""
        return losses.class_weights(
            list(self.manifest.class_pixels("train")),
            self.config.losses.class_weight_limit,
        )

    def styles(self) -> tf.Tensor:
        """Styles of all tiles that are trained on: float32 [M, 6]."""
        stored = self.run.read_json(self.run.data_path)["styles"]
        return tf.constant([one["style"] for one in stored], tf.float32)

    def known_kinds(self) -> list[str]:
        """Kinds of training tiles whose pixels the run may look at."""
        # Not of `self.config`: a phase may learn from fewer.
        return known_kinds(self.run.config())

    def scale(self, mpp: float) -> Scale:
        """A scale with this run's style scale and classes."""
        return Scale(mpp, self.config.stage_mpp(0), self.manifest.classes.count)

    def tiles(self, split: str, kind: str, mpp: float) -> Tiles | None:
        """Tiles of a split at a scale; None where there are none."""
        images = getattr(self.manifest.split(split), kind).images
        if not images:
            return None
        return dataset.load_tiles(
            self.manifest.shard_paths(split, kind),
            len(images),
            self.scale(mpp),
            cache=self._size(images, mpp) <= self._room,
        )

    def fitting(self, kind: str, mpp: float) -> Tiles | None:
        """Training tiles, every n-th, so many that `cache_mb` holds them.

        None where there are none.
        """
        images = getattr(self.manifest.split("train"), kind).images
        if not images:
            return None
        shares = -(-self._size(images, mpp) // max(1, self._room))
        step = max(1, min(len(images), shares))
        return self._every("train", kind, mpp, step)

    def sample(
        self, split: str, kind: str, mpp: float, most: int
    ) -> Tiles | None:
        """Every n-th tile of a split, `most` at most, and none is kept.

        None where there are none.
        """
        images = getattr(self.manifest.split(split), kind).images
        if not images:
            return None
        step = -(-len(images) // most)
        return self._every(split, kind, mpp, step)

    def _every(self, split: str, kind: str, mpp: float, step: int) -> Tiles:
        count = len(getattr(self.manifest.split(split), kind).images)
        shards = self.manifest.shard_paths(split, kind)
        tiles = dataset.every_nth(shards, self.scale(mpp), step)
        return Tiles(tiles, -(-count // step))

    def _size(self, images: Sequence[ImageInfo], mpp: float) -> int:
        return sum(cached_bytes(image, self.scale(mpp)) for image in images)

    @property
    def _room(self) -> int:
        return self.config.cache_mb * _BYTES_PER_MB


def known_kinds(config: Config) -> list[str]:
    """Kinds of tiles that are trained on: a share of 1 leaves one."""
    bare = ["unlabelled"] if config.labelled_share < 1 else []
    return ["labelled", *bare]


def styles(config: Config, manifest: Manifest) -> list[dict[str, Any]]:
    """Names and styles of the tiles that are trained on, for data.json.

    Tiles of hardly any tissue have no stain that others could be given; they
    are left out, unless all are such.
    """
    found = [
        one
        for kind in known_kinds(config)
        for one in dataset.styles(
            manifest.shard_paths("train", kind), config.stage_mpp(0)
        )
    ]
    return [
        {"name": name, "style": [round(float(v), 4) for v in style]}
        for name, style, share in found
        if share >= min(_TISSUE, max(one[2] for one in found))
    ]


def cached_bytes(image: ImageInfo, scale: Scale) -> int:
    """Memory of a decoded tile at a scale."""
    pixels = image.height * image.width * (image.mpp / scale.mpp) ** 2
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
    if not any(manifest.class_pixels("train")):
        raise InputError(
            f"{manifest.folder}: the labelled training masks are ignored all"
            " over; classes.json says which values are"
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
        f"stages.{k}.batch": (stage.batch, stage.thin)
        for k, stage in enumerate(config.stages)
    }
    last = config.segmenter
    batches["segmenter.batch"] = (last.batch, last.thin)
    batches["judge.batch"] = (config.judge.batch, 1)
    for name, (batch, thin) in batches.items():
        if batch % (thin * replicas):
            raise InputError(
                f"{name}: {batch} is not allowed on {replicas} devices; use a"
                f" multiple of {thin * replicas}"
            )


def _check_sizes(kind: Kind, mpp: float, crop: int) -> None:
    for image in kind.images:
        if image.mpp > mpp * (1 + NEAR):
            raise InputError(
                f"{image.name}: {image.mpp} um/px is coarser than the"
                f" {mpp} um/px wanted; raise finest_mpp"
            )
        shorter = min(image.height, image.width)
        side = dataset.resampled_side(shorter, image.mpp, mpp)
        if side < crop:
            raise InputError(
                f"{image.name}: {image.width}x{image.height} px at"
                f" {image.mpp} um/px gives {side} px at {mpp} um/px, less"
                f" than a crop of {crop}; use a smaller crop or leave it out"
            )
