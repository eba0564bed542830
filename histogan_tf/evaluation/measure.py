"""Everything that is measured on a split: `metrics.json`.

In: a trained run and the labelled images of a split, at the run's finest
um/px. Out: the values of metrics.json, every one with its protocol.

- segmentation, objects: how real images are read, see `reading.py`.
- sliced_wasserstein: `fidelity.py`, two rows a stage (Karras et al.'s
  normalisation and the stricter one).
- mask_consistency: the judge reads the finest synthetic images; its Dice
  against the masks they were made from, beside its Dice on real images.
- fid, kid: of a feature network given by path, all images of the split.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from histogan_tf.evaluation import fidelity, reading, segmentation, tiles
from histogan_tf.evaluation.reading import Objects
from histogan_tf.evaluation.tiles import EvaluationTile
from histogan_tf.evaluation.trained import Trained
from histogan_tf.metrics import features
from histogan_tf.metrics.labels import class_ids
from histogan_tf.metrics.wasserstein import SwdSettings

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class MeasureSettings:
    """What `measure` is asked.

    `object_classes` are names (None: all but class 0 and the boundary), of
    whose predicted objects those below `min_object_um2` are left out;
    `swd_splits` counts halvings; `feature_network` is a path or None and
    `feature_size` the side in px of what it sees.
    """

    split: str = "test"
    seed: int = 0
    object_classes: tuple[str, ...] | None = None
    min_object_um2: float = 0.0
    swd: SwdSettings = dataclasses.field(default_factory=SwdSettings)
    swd_splits: int = 4
    feature_network: str | None = None
    feature_size: int = 299


def measure(
    trained: Trained,
    images: Sequence[EvaluationTile],
    settings: MeasureSettings,
    progress: Progress = lambda *_: None,
) -> dict[str, Any]:
    """The sections of metrics.json but for `protocol`.

    Args:
      trained: of `open_trained`.
      images: labelled images of the split, of `tiles.load`.
      settings: what to measure.
      progress: called with the work done, the work in all, and a text.

    Raises:
      InputError: an object class that does not exist, a bad feature network,
        or a split of images too small for the patches.
    """
    chosen = Objects(
        segmentation.object_classes(trained.table, settings.object_classes),
        settings.min_object_um2,
    )
    # Before the long work: what is wrong is told at once.
    network = _feature_network(settings)
    groups = fidelity.style_groups(len(images), settings.seed)
    if len(groups) > 1:
        factors = [trained.factor(stage) for stage in range(trained.stages)]
        fidelity.check([tile.image for tile in images], factors, settings.swd)
    steps = _Steps(progress, 2 * len(images) + trained.stages)
    out = reading.read(trained, images, chosen, steps.step)
    painted = _paint(trained, images, groups, settings.seed, steps)
    out["mask_consistency"] = _consistency(
        trained, images, painted, out["segmentation"]["judge"]
    )
    if len(groups) > 1:
        out["sliced_wasserstein"] = [
            row
            for stage in range(trained.stages)
            for row in _stage_rows(
                trained, images, painted, stage, groups, settings, steps
            )
        ]
    if network is not None and len(images) > 1:
        out |= _feature_scores(network, images, painted, settings)
    return out


def _feature_network(settings: MeasureSettings) -> Any:
    path = settings.feature_network
    if not path:
        return None
    network = features.load_network(path)
    features.check(network, path, settings.feature_size)
    return network


@dataclass
class _Steps:
    """Counts the work that is done."""

    progress: Progress
    total: int
    done: int = 0

    def step(self, text: str) -> None:
        self.done += 1
        self.progress(self.done, self.total, text)


def _paint(
    trained: Trained,
    images: Sequence[EvaluationTile],
    groups: fidelity.Groups,
    seed: int,
    steps: _Steps,
) -> list[list[np.ndarray]]:
    """For each tile its synthetic images, uint8, coarsest first."""
    out, donors = [], fidelity.style_donors(groups)
    for place, tile in enumerate(images):
        style = images[donors[place]].style
        mask = trained.known_mask(tile.image, tile.mask)
        out.append(trained.canvas.synthesise(mask, style, seed + place))
        steps.step(f"paint {tile.name}")
    return out


def _consistency(
    trained: Trained,
    images: Sequence[EvaluationTile],
    painted: Sequence[Sequence[np.ndarray]],
    on_real: dict[str, Any],
) -> dict[str, Any]:
    scores = segmentation.class_scores(
        [tile.mask for tile in images],
        [class_ids(trained.judge(made[-1])) for made in painted],
        trained.table.count,
    )
    entry = reading.scores_entry(
        scores,
        trained.table,
        trained.mpp(trained.stages - 1),
        "the judge (trained on real labelled images only) reads the finest"
        " synthetic images; against the masks they were made from",
    )
    keys = ("dice", "mean_dice", "image_dice", "mean_image_dice")
    return entry | {"real": {key: on_real[key] for key in keys}}


def _stage_rows(
    trained: Trained,
    images: Sequence[EvaluationTile],
    painted: Sequence[Sequence[np.ndarray]],
    stage: int,
    groups: fidelity.Groups,
    settings: MeasureSettings,
    steps: _Steps,
) -> list[dict[str, Any]]:
    factor, rows = trained.factor(stage), []
    pair = fidelity.Pair(
        [tiles.shrink_image(tile.image, factor) for tile in images],
        [made[stage] for made in painted],
    )
    for strict in (False, True):
        swd = dataclasses.replace(
            settings.swd, real_statistics=strict, seed=settings.seed
        )
        row = fidelity.distances(pair, groups, swd, settings.swd_splits)
        label = f"stage {stage}" + (", real statistics" if strict else "")
        place = {"stage": stage, "mpp": trained.mpp(stage), "label": label}
        rows.append(place | row)
    steps.step(f"distances of stage {stage}")
    return rows


def _feature_scores(
    network: Any,
    images: Sequence[EvaluationTile],
    painted: Sequence[Sequence[np.ndarray]],
    settings: MeasureSettings,
) -> dict[str, Any]:
    found = features.compare(
        network,
        [tile.image for tile in images],
        [made[-1] for made in painted],
        settings.feature_size,
        settings.seed,
    )
    protocol = (
        "all real against all synthetic images, finest stage;"
        f" {features.RESIZE}"
    )
    return {
        "fid": {
            "value": found.fid,
            "images": list(found.images),
            "network": settings.feature_network,
            "size": settings.feature_size,
            "protocol": protocol,
        },
        "kid": dataclasses.asdict(found.kid) | {"protocol": protocol},
    }
