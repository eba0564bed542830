r"""A trained run and labelled images in, metrics.json and report.html out.

    python -m trainer.evaluate --run_dir R --data D --split test

The measures and their protocol are `histogan_tf.evaluation.measure`'s; the
protocol is written beside every number. The same run, data and seed give the
same metrics.json.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

from histogan_tf import input_files, program
from histogan_tf.progress_bar import progress_bar
from trainer import segment_networks, unfinished

if TYPE_CHECKING:
    from histogan_tf.data.manifest import ImageInfo, Manifest
    from histogan_tf.evaluation.measure import MeasureSettings
    from histogan_tf.run_dir import RunDir

flags.DEFINE_string("run_dir", None, "trained run; the results go into it")
flags.DEFINE_string("data", None, "folder of records that ingest wrote")
flags.DEFINE_enum(
    "split",
    "test",
    ["train", "validation", "test"],
    "whose labelled images are measured",
)
flags.DEFINE_integer(
    "max_images",
    500,
    "of a larger split every n-th is measured: all are held in memory, some 25"
    " bytes a pixel",
    2,
)
flags.DEFINE_integer("seed", 0, "of all draws", lower_bound=0)
flags.DEFINE_list(
    "object_classes",
    None,
    "classes that objects are made of; else all but class 0 and the boundary",
)
flags.DEFINE_float(
    "min_object_um2", 0, "leave smaller predicted objects out of the scores", 0
)
flags.DEFINE_integer(
    "views",
    1,
    "measure the final segmenter as `segment --views` reads too, in another"
    " row: each image so many ways round",
    1,
    8,
)
flags.DEFINE_integer("examples", 4, "columns of the report's pictures", 1, 64)
flags.DEFINE_integer(
    "swd_splits", 4, "halvings of the split to average over", 1, 1000
)
flags.DEFINE_integer(
    "swd_patches", 128, "patches an image and level", lower_bound=1
)
flags.DEFINE_integer("swd_repeats", 4, "times that directions are drawn", 1)
flags.DEFINE_integer("swd_directions", 128, "random directions at a time", 1)
flags.DEFINE_integer(
    "swd_levels", None, "Laplacian levels; else down to 16 px", 1
)
flags.DEFINE_string(
    "feature_network",
    None,
    "network for FID and KID: SavedModel folder, .keras or .h5",
)
flags.DEFINE_integer("feature_size", 299, "side in px of what it sees", 8)
flags.mark_flags_as_required(["run_dir", "data"])


def main() -> None:
    """Measures, writes metrics.json and the report, prints a summary."""
    from histogan_tf import run_dir, run_progress
    from histogan_tf.data import manifest
    from histogan_tf.evaluation import grids, measure, tiles, trained
    from histogan_tf.report.write import write

    least = flags.FLAGS.min_object_um2
    input_files.check_finite("min_object_um2", least, "0 um2 or more")
    run = run_dir.open_run(flags.FLAGS.run_dir)
    data = manifest.load(flags.FLAGS.data)
    tiles.check_classes(run.classes(), data.classes, flags.FLAGS.data)
    views = flags.FLAGS.views
    segment_networks.check_views(run, segment_networks.SEGMENTER, views)
    unfinished.tell(run, run_progress.wanted(run.config()))
    settings = measure_settings()
    finest = run.config().finest_mpp
    labelled = data.split(settings.split).labelled.images
    step = tiles.step_of(len(labelled), flags.FLAGS.max_images)
    if note := coarse_note(labelled[::step], finest):
        print(note, file=sys.stderr)
    with manifest.naming_damage(data), progress_bar("load") as show:
        images = tiles.load(
            data, settings.split, run.config(), flags.FLAGS.max_images
        )
        networks = trained.open_trained(run, views)
        metrics = measure.measure(networks, images, settings, show)
        about = protocol(run, data, settings, len(images))
        metrics = {"protocol": about} | metrics
        pictures = grids.grids(
            networks, images, flags.FLAGS.examples, settings.seed, show
        )
    run.write_json(run.metrics_path, metrics)
    page = write(run, pictures, metrics)
    print_summary(metrics)
    print(f"{run.metrics_path}\n{page}")


def coarse_note(measured: "Sequence[ImageInfo]", wanted: float) -> str | None:
    """`scale_notes.coarse_note` of the coarsest image, if any is too coarse."""
    from histogan_tf.data import scale_notes

    if not measured:
        return None
    coarsest = max(measured, key=lambda image: image.mpp)
    return scale_notes.coarse_note(coarsest.name, coarsest.mpp, wanted)


def measure_settings() -> "MeasureSettings":
    """The flags as settings."""
    from histogan_tf.evaluation.measure import MeasureSettings
    from histogan_tf.metrics.wasserstein import SwdSettings

    values = flags.FLAGS
    names = values.object_classes
    return MeasureSettings(
        split=values.split,
        seed=values.seed,
        object_classes=None if names is None else tuple(names),
        min_object_um2=values.min_object_um2,
        swd=SwdSettings(
            levels=values.swd_levels,
            patches_per_image=values.swd_patches,
            repeats=values.swd_repeats,
            directions=values.swd_directions,
        ),
        swd_splits=values.swd_splits,
        feature_network=values.feature_network,
        feature_size=values.feature_size,
    )


def protocol(
    run: "RunDir", data: "Manifest", settings: "MeasureSettings", count: int
) -> dict[str, Any]:
    """What holds for every number of metrics.json, of `count` images."""
    from histogan_tf import run_progress

    config = run.config()
    trained_on = run.read_json(run.data_path)["hash"]
    return {
        "command": program.command_line("trainer.evaluate"),
        "split": settings.split,
        "images": count,
        "images_of_the_split": len(data.split(settings.split).labelled.images),
        "seed": settings.seed,
        "mpp": config.finest_mpp,
        "data_hash": data.hash,
        "same_records_as_training": data.hash == trained_on,
        "steps": run_progress.steps(run),
        "resize": "images: area average from their own um/px to the run's"
        " finest; masks: the class of the largest area share; coarser stages:"
        " 2 x 2 averages of these",
        "synthetic": "one image per mask (its ignored pixels as the judge reads"
        " the tile), noise seed = seed + its place in the"
        " records; style of another image of the split"
        + ("" if count > 3 else " (fewer than 4 images: its own style)"),
    }


def print_summary(metrics: dict[str, Any]) -> None:
    """Prints the headline numbers."""
    for name, scores in metrics["segmentation"].items():
        print(f"Dice of {name}: {_number(scores['mean_dice'])}")
    for name, scores in metrics.get("objects", {}).items():
        line = f"object Dice of {name}: {_number(scores['object_dice'])}"
        if len(scores["classes"]) > 1:
            merged = ", ".join(scores["classes"])
            line += f" ({merged} merged into one foreground)"
        print(line)
    consistency = metrics["mask_consistency"]
    print(
        f"mask consistency, Dice: {_number(consistency['mean_dice'])}"
        f" (the judge on real images:"
        f" {_number(consistency['real']['mean_dice'])})"
    )
    rows = metrics.get("sliced_wasserstein")
    if rows is None:
        print("sliced Wasserstein: needs two labelled images or more")
    for row in rows or []:
        ratios = ", ".join(_number(r) for r in row["ratio"])
        print(f"sliced Wasserstein / floor, {row['label']}: {ratios}")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    program.run(main)
