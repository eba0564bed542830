"""The figures of the fidelity benchmark.

In: trained runs and the test images. Out: JSON values (`scores.json`) and a
sheet of pictures in `--output`, which must not leave it (the licence).

The sets, styles and floors are `histogan_tf.evaluation`'s, as in
`trainer.evaluate`: its numbers of the same run and data are the same.
"""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks import fidelity_methods as methods
from benchmarks import machine, timed_training
from benchmarks.fidelity_methods import Stages, averages
from benchmarks.fidelity_training import MPP, Settings, times_file
from histogan_tf import canvas, config_json, pictures, run_dir
from histogan_tf.data.classes import ClassTable
from histogan_tf.evaluation import fidelity, measure, segmentation, tiles
from histogan_tf.evaluation.tiles import EvaluationTile
from histogan_tf.evaluation.trained import class_ids
from histogan_tf.metrics.wasserstein import SwdSettings
from trainer import phases, strategies
from trainer.phases import Source

SPLITS = 4  # halvings of the test split, as trainer.evaluate
SHOWN = 6  # columns of the sheet of pictures
STATISTICS = {"karras": False, "real statistics": True}


def score(settings: Settings, pyramid, alone) -> dict[str, Any]:
    """All figures, and the sheet of pictures; from scores.json if there."""

    path = settings.output / "scores.json"
    known = machine.read_json(path)
    if known is not None:
        return known
    config, manifest, seed = pyramid.config, pyramid.manifest, settings.seed
    images = tiles.load(manifest, "test", config)
    groups = fidelity.style_groups(len(images), seed)
    donors, count = fidelity.style_donors(groups), len(config.stages)
    colours, filled = methods.mean_coloured(manifest, config)
    made = {
        "pyramid": methods.painted(pyramid.run, manifest, donors, seed, count),
        "one stage": methods.painted(alone.run, manifest, donors, seed, count),
        "mean colour": filled,
    }
    judge = canvas.segment_with(
        run_dir.load_segmenter(pyramid.run, "judge"), manifest.classes.count
    )
    table, finest = manifest.classes, config.finest_mpp
    mpps = [config.stage_mpp(k) for k in range(count)]
    found = {
        "protocol": protocol(settings, pyramid, alone, colours),
        "judge_on_real": scores.consistency(
            judge, [tile.image for tile in images], images, table, finest
        ),
        "methods": {
            name: {
                "mask_consistency": scores.consistency(
                    judge, [p[-1] for p in painted], images, table, finest
                ),
                "sliced_wasserstein": scores.wasserstein(
                    images, painted, mpps, seed, SPLITS
                ),
            }
            for name, painted in made.items()
        },
    }
    _sheet(settings.output / "sheet.png", images, made, table.palette())
    machine.write_json(path, found)
    return found


def _sheet(path: pathlib.Path, images, made, palette) -> None:
    """Real, mask and every method's finest image; stays in --output."""
    import numpy as np


    places = np.linspace(0, len(images), min(SHOWN, len(images)), False)
    chosen = [int(place) for place in places]
    rows = {
        "real": [images[i].image for i in chosen],
        "mask": [pictures.palette_image(images[i].mask, palette) for i in chosen],
    } | {name: [p[i][-1] for i in chosen] for name, p in made.items()}
    sheet = pictures.grid([*rows.values()], enlarge=2, labels=[*rows])
    pictures.save(path, sheet)


def protocol(settings: Settings, pyramid, alone, colours) -> dict[str, Any]:
    """What was trained on what, how long, and how it was measured."""

    manifest, output = pyramid.manifest, settings.output
    return {
        "data": str(settings.data),
        "data_hash": manifest.hash,
        "images": {
            name: len(split.labelled.images)
            for name, split in manifest.splits.items()
        },
        "patients": {name: manifest.groups(name) for name in manifest.splits},
        "native_mpp": MPP,
        "seed": settings.seed,
        "preset": settings.preset,
        "scale_steps": settings.scale_steps,
        "minutes": settings.minutes,
        "config": config_json.to_dict(pyramid.config),
        "one_stage_config": config_json.to_dict(alone.config)["stages"][0],
        "steps": {
            "pyramid": [stage.steps for stage in pyramid.config.stages],
            "one stage": alone.config.stages[0].steps,
            "judge": pyramid.config.judge.steps,
        },
        "seconds": {
            "pyramid": timed_training.seconds(_times(output / "pyramid")),
            "one stage": timed_training.seconds(_times(output / "one_stage")),
        },
        "one_stage_steps": machine.read_json(output / "one_stage.steps.json"),
        "generator_parameters": {
            "pyramid": _parameters(pyramid),
            "one stage": _parameters(alone),
        },
        "mean_colours": colours.round(2).tolist(),
        "halvings": SPLITS,
        "sets": "test A whole, at the finest um/px (area average); noise seed"
        " = seed + the image's place in the records; each mask in the style of"
        " another test image; coarser images: the pyramid's own stages,"
        " 2 x 2 averages of the real images and of the baselines'; masks of"
        " half A painted against real half B, floor: real A against real B",
        "seconds_of_training": "wall time of the stage phases from the first"
        " step to the last, with tracing and saving, on one machine",
        "note": "train and test A share patients (as published); validation"
        " patients are in neither training nor these figures",
    }


def _parameters(source) -> list[int]:
    """Weights of each stage's generator."""

    return [
        int(phases.stage_phase(source, k).build().generator.count_params())
        for k in range(len(source.config.stages))
    ]


def consistency(
    judge: Callable[[np.ndarray], np.ndarray],
    images: Sequence[np.ndarray],
    tiles: Sequence[EvaluationTile],
    table,
    mpp: float,
) -> dict[str, Any]:
    """What the judge reads in images, against the tiles' masks."""
    scores = segmentation.class_scores(
        [tile.mask for tile in tiles],
        [class_ids(judge(image)) for image in images],
        table.count,
    )
    protocol = (
        "the judge (trained on real labelled images only) reads the images at"
        " the finest um/px; against the masks of the tiles"
    )
    return measure.scores_entry(scores, table, mpp, protocol)


def wasserstein(
    tiles: Sequence[EvaluationTile],
    painted: Sequence[Stages],
    mpps: Sequence[float],
    seed: int,
    splits: int,
) -> dict[str, list[dict[str, Any]]]:
    """SWD, floor and ratio of a method by normalisation, a row a stage."""
    groups = fidelity.style_groups(len(tiles), seed)
    real = [averages(tile.image, len(mpps)) for tile in tiles]
    out: dict[str, list[dict[str, Any]]] = {}
    for name, strict in STATISTICS.items():
        settings = SwdSettings(real_statistics=strict, seed=seed)
        out[name] = []
        for stage, mpp in enumerate(mpps):
            pair = fidelity.Pair(
                [images[stage] for images in real],
                [images[stage] for images in painted],
            )
            row = fidelity.distances(pair, groups, settings, splits)
            out[name].append({"stage": stage, "mpp": mpp} | row)
    return out


