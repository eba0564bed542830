"""How a run's networks read the labelled images of a split.

In: the networks, images with masks at the run's finest um/px. Out: two
sections of metrics.json, every value with its protocol.

- segmentation: Dice and IoU of the final segmenter (shown each image several
  ways round too, if asked), of the judge (trained on real labelled images
  only) and of each stage of the pyramid's cascade.
- objects: the GlaS challenge's scores of the final segmenter.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from histogan_tf.data.classes import ClassTable
from histogan_tf.evaluation import segmentation, tiles
from histogan_tf.evaluation.tiles import EvaluationTile
from histogan_tf.evaluation.trained import Read, Trained
from histogan_tf.metrics.labels import class_ids
from histogan_tf.metrics.segmentation import SegmentationScores


@dataclass(frozen=True)
class Objects:
    """What objects are: ids of the classes that they are made of together.

    Predicted ones of less than `least_um2` are left out.
    """

    classes: tuple[int, ...]
    least_um2: float = 0.0


def read(
    trained: Trained,
    images: Sequence[EvaluationTile],
    wanted: Objects,
    step: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """The sections `segmentation` and, with classes for them, `objects`.

    `step` hears of each image that is read.
    """
    readers = _readers(trained)
    found: dict[str, list[np.ndarray]] = {name: [] for name in readers}
    stages = []
    for tile in images:
        for name, (ask, _) in readers.items():
            found[name].append(class_ids(ask(tile.image)))
        stages.append(
            [class_ids(p) for p in trained.canvas.segment(tile.image)]
        )
        step(f"segment {tile.name}")
    truths = [tile.mask for tile in images]
    count, finest = trained.table.count, trained.mpp(trained.stages - 1)

    def entry(truths, predicted, mpp, protocol):
        scores = segmentation.class_scores(truths, predicted, count)
        return scores_entry(scores, trained.table, mpp, protocol)

    table = {
        name: entry(truths, found[name], finest, protocol)
        for name, (_, protocol) in readers.items()
    }
    for stage in range(trained.stages):
        factor = trained.factor(stage)
        table[f"stage {stage}"] = entry(
            [tiles.shrink_mask(mask, factor, count) for mask in truths],
            [masks[stage] for masks in stages],
            trained.mpp(stage),
            "the pyramid's cascade up to this stage; image and mask averaged"
            f" {factor} x {factor} from the finest scale",
        )
    out: dict[str, Any] = {"segmentation": table}
    if wanted.classes:
        out["objects"] = {
            name: _objects(trained, truths, found[name], wanted, finest)
            for name in readers
            if name != "judge"
        }
    return out


def _readers(trained: Trained) -> dict[str, tuple[Read, str]]:
    """Who reads at the finest scale, by name, with its protocol."""
    protocol = "the final segmenter, real images"
    out = {"segmenter": (trained.segmenter, protocol)}
    if trained.turned:
        many = f"{trained.views} views"
        protocol += f"; mean of {many}, turned and mirrored"
        out[f"segmenter, {many}"] = (trained.turned, protocol)
    judge = "trained on real labelled images only; real images"
    return out | {"judge": (trained.judge, judge)}


def scores_entry(
    scores: SegmentationScores, table: ClassTable, mpp: float, protocol: str
) -> dict[str, Any]:
    """Per-class scores as they stand in metrics.json."""
    return scores.to_json() | {
        "classes": list(table.names),
        "mpp": mpp,
        "protocol": protocol,
    }


def _objects(
    trained: Trained,
    truths: Sequence[np.ndarray],
    predicted: Sequence[np.ndarray],
    wanted: Objects,
    mpp: float,
) -> dict[str, Any]:
    edge = trained.table.boundary
    scores = segmentation.object_scores(
        truths,
        predicted,
        wanted.classes,
        edge.id if edge else None,
        mpp,
        wanted.least_um2,
    )
    merged = [trained.table.names[i] for i in wanted.classes]
    names = ", ".join(merged)
    kept = f", grown over class {edge.name!r}" if edge else ""
    least = "no smallest size"
    if wanted.least_um2:
        least = f"predicted ones of {wanted.least_um2:g} um2 or more"
    return dataclasses.asdict(scores) | {
        "classes": merged,
        "protocol": "GlaS challenge (Sirinukunwattana et al. 2017), pooled;"
        f" objects, true and predicted: 8-connected parts of {names}{kept};"
        f" at {mpp:g} um/px, {least}",
    }
