"""The figures of the fidelity benchmark.

In: trained runs and the test images. Out: JSON values (`scores.json`) and a
sheet of pictures in `--output`, which must not leave it (the licence).

The sets, styles and floors are `histogan_tf.evaluation`'s, as in
`trainer.evaluate`: its numbers of the same run and data are the same.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks import fidelity_methods as methods
from benchmarks import machine, timed_training
from benchmarks.fidelity_methods import Stages, averages
from benchmarks.fidelity_training import MPP, Settings, steps_file, times_file
from histogan_tf import canvas, config_json, pictures, run_dir
from histogan_tf.evaluation import fidelity, reading, segmentation, tiles
from histogan_tf.evaluation.tiles import EvaluationTile
from histogan_tf.metrics.labels import class_ids
from histogan_tf.metrics.wasserstein import SwdSettings
from histogan_tf.run_dir import RunDir
from trainer.training_data import TrainingData

SPLITS = 4  # halvings of the test split, as trainer.evaluate
SHOWN = 6  # columns of the sheet of pictures
SHEET = "sheet.png"
STATISTICS = {"karras": False, "real statistics": True}
SETS = (
    "test A, whole images at the finest um/px (area average); noise seed ="
    " seed + the image's place in the records; each mask in the style of"
    " another test image; coarser images: the pyramid's own stages, 2 x 2"
    " averages of the real images and of the baselines'; masks of half A"
    " painted against real half B; floor: real A against real B"
)


def score(
    settings: Settings, pyramid: TrainingData, alone: TrainingData
) -> dict[str, Any]:
    """All figures, kept in scores.json, and the sheet of pictures."""
    path = settings.output / "scores.json"
    about = protocol(settings, pyramid, alone)
    known = machine.read_json(path)
    if known is not None and known["protocol"] == about:
        return known
    # As trainer.evaluate: a network trained in bfloat16 is read in float32.
    tf.keras.mixed_precision.set_global_policy("float32")
    config, data, seed = pyramid.config, pyramid.manifest, settings.seed
    images = tiles.load(data, "test", config)
    donors = fidelity.style_donors(fidelity.style_groups(len(images), seed))
    count = len(config.stages)
    colours, filled = methods.mean_coloured(data, config)
    made = {
        "pyramid": methods.painted(pyramid.run, data, donors, seed, count),
        "one stage": methods.painted(alone.run, data, donors, seed, count),
        "mean colour": filled,
    }
    judge = Judge(pyramid.run, config.finest_mpp, images)
    mpps = [config.stage_mpp(k) for k in range(count)]
    found = {
        "protocol": about,
        "mean_colours": colours.round(2).tolist(),
        "judge_on_real": judge.read([tile.image for tile in images]),
        "methods": {
            name: {
                "mask_consistency": judge.read([p[-1] for p in painted]),
                "sliced_wasserstein": wasserstein(images, painted, mpps, seed),
            }
            for name, painted in made.items()
        },
    }
    palette = data.classes.palette()
    pictures.save(settings.output / SHEET, sheet(images, made, palette))
    machine.write_json(path, found)
    return found


def sheet(
    images: Sequence[EvaluationTile],
    made: dict[str, list[Stages]],
    palette: np.ndarray,
) -> np.ndarray:
    """Real, mask and every method's finest image of a few tiles."""
    places = np.linspace(0, len(images), min(SHOWN, len(images)), False)
    chosen = [int(place) for place in places]
    rows = {
        "real": [images[i].image for i in chosen],
        "mask": [
            pictures.palette_image(images[i].mask, palette) for i in chosen
        ],
    } | {name: [p[i][-1] for i in chosen] for name, p in made.items()}
    return pictures.grid([*rows.values()], enlarge=2, labels=[*rows])


def protocol(
    settings: Settings, pyramid: TrainingData, alone: TrainingData
) -> dict[str, Any]:
    """What was trained on what, how long, and how it is measured."""
    data = pyramid.manifest
    groups = {name: list(data.groups(name)) for name in data.splits}
    seconds = {
        name: timed_training.seconds(times_file(source))
        for name, source in (("pyramid", pyramid), ("one stage", alone))
    }
    return {
        "data": {
            "folder": str(settings.data),
            "hash": data.hash,
            "native_mpp": MPP,
            "labelled_images": {
                name: len(split.labelled.images)
                for name, split in data.splits.items()
            },
            "patients": groups,
            "note": "train and test A share patients, as published;"
            " validation is apart from train, by patient, and unused here",
        },
        "seed": settings.seed,
        "preset": settings.preset,
        "scale_steps": settings.scale_steps,
        "minutes": settings.minutes,
        "config": config_json.to_dict(pyramid.config),
        "one_stage_config": config_json.to_dict(alone.config)["stages"][0],
        "one_stage_choice": machine.read_json(steps_file(settings)),
        "seconds": seconds,
        "seconds_note": "wall time of a phase from its first step to its last,"
        " with tracing and saving",
        "halvings": SPLITS,
        "sets": SETS,
    }


class Judge:
    """The segmenter trained on real images only, and the true masks."""

    def __init__(
        self, run: RunDir, mpp: float, images: Sequence[EvaluationTile]
    ):
        self.table, self.mpp, self.images = run.classes(), mpp, images
        network = run_dir.load_segmenter(run, "judge")
        self.segment = canvas.Reader(network)

    def read(self, images: Sequence[np.ndarray]) -> dict[str, Any]:
        """Scores of what it reads, against the tiles' masks."""
        scores = segmentation.class_scores(
            [tile.mask for tile in self.images],
            [class_ids(self.segment(image)) for image in images],
            self.table.count,
        )
        protocol = (
            "the judge, trained on real labelled images only, reads the images"
            " at the finest um/px; against the masks of the tiles"
        )
        return reading.scores_entry(scores, self.table, self.mpp, protocol)


def wasserstein(
    images: Sequence[EvaluationTile],
    painted: Sequence[Stages],
    mpps: Sequence[float],
    seed: int,
) -> dict[str, list[dict[str, Any]]]:
    """SWD, floor and ratio of a method by normalisation, a row a stage."""
    groups = fidelity.style_groups(len(images), seed)
    real = [averages(tile.image, len(mpps)) for tile in images]
    out: dict[str, list[dict[str, Any]]] = {}
    for name, strict in STATISTICS.items():
        settings = SwdSettings(real_statistics=strict, seed=seed)
        out[name] = []
        for stage, mpp in enumerate(mpps):
            pair = fidelity.Pair(
                [levels[stage] for levels in real],
                [levels[stage] for levels in painted],
            )
            row = fidelity.distances(pair, groups, settings, SPLITS)
            out[name].append({"stage": stage, "mpp": mpp} | row)
    return out
