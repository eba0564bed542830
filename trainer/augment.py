r"""A synthetic set: new masks, tissue painted from them, as PNG and records.

    python -m trainer.augment --run_dir R --data D --output O --count 200 \
        [--recipes resampled,warped,recombined,predicted]

Masks come from the labelled training images of the records (resampled,
warped, recombined) or from the final segmenter's reading of the unlabelled
ones (predicted); each is painted in the stain of a training tile. A pair
whose image the judge, which has seen real labelled images only, cannot read
back (mean Dice below --consistency, or none as the mask is ignored all over) is
dropped and counted.

Writes `images/<n>.png`, `masks/<n>.png` (class ids), `records/` (training
records of the pairs, as trainer.ingest writes them) and `augment.json`: how
each pair was made, its consistency, and how many were dropped.
"""

import functools
import json
import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from absl import flags

from histogan_tf import program
from histogan_tf.errors import InputError
from histogan_tf.progress_bar import progress_bar

if TYPE_CHECKING:
    import numpy as np

    from histogan_tf.data.manifest import Manifest
    from histogan_tf.evaluation.trained import Trained
    from histogan_tf.mask_recipes import NamedMask
    from histogan_tf.run_dir import RunDir

PREDICTED = "predicted"
_ALL = ["resampled", "warped", "recombined", PREDICTED]
# Pairs tried for each one wanted, before it is said that too few are good.
_PATIENCE = 4

flags.DEFINE_string("run_dir", None, "trained run")
flags.DEFINE_string("data", None, "records whose training masks are used")
flags.DEFINE_string("output", None, "folder to make")
flags.DEFINE_integer("count", 100, "pairs to write", 1)
flags.DEFINE_list("recipes", _ALL[:3], f"of {', '.join(_ALL)}; in turn")
flags.DEFINE_float(
    "consistency",
    0.6,
    "least mean Dice of the judge's reading of an image and its mask",
    0,
    1,
)
flags.DEFINE_integer(
    "max_masks",
    1000,
    "that recipes start from; of more in the records, every n-th",
    1,
)
flags.DEFINE_integer("seed", 0, "of all draws", 0)
flags.mark_flags_as_required(["run_dir", "data", "output"])

Draw = Callable[["np.random.Generator"], "NamedMask"]


@dataclass(frozen=True)
class Work:
    """What a pair is made with; `styles` are the training tiles'."""

    trained: "Trained"
    draws: dict[str, Draw]
    styles: list[dict[str, Any]]
    least: float


def main() -> None:
    """Paints pairs until --count are good, writes them and their records."""
    from histogan_tf import run_dir
    from histogan_tf.data import manifest
    from histogan_tf.files import atomic_directory

    run = run_dir.open_run(flags.FLAGS.run_dir)
    work = prepare(run, manifest.load(flags.FLAGS.data))
    wanted = flags.FLAGS.count
    with (
        atomic_directory(flags.FLAGS.output) as folder,
        progress_bar("paint") as show,
    ):
        for kind in ("images", "masks"):
            (folder / kind).mkdir()
        kept: list[dict[str, Any]] = []
        dropped: list[dict[str, Any]] = []
        while len(kept) < wanted:
            entry = make_pair(work, folder, len(kept), len(kept + dropped))
            (kept if "file" in entry else dropped).append(entry)
            show(len(kept), wanted, f"{len(dropped)} dropped")
            if len(dropped) > _PATIENCE * wanted:
                raise too_few(kept, dropped)
        write_records(folder, run)
        write_summary(folder, run, kept, dropped)
    print(
        f"{flags.FLAGS.output}: {len(kept)} pairs kept, {len(dropped)} dropped"
        f" (mean Dice of the judge below {work.least:g})"
    )


def prepare(run: "RunDir", data: "Manifest") -> Work:
    """Loads the run's networks and the masks that recipes start from.

    Raises:
      InputError: an unknown recipe, other classes, or records without the
        images that a recipe needs.
    """
    from histogan_tf.evaluation import tiles, trained

    for name in flags.FLAGS.recipes:
        if name not in _ALL:
            raise InputError(f"--recipes {name!r}; allowed: {', '.join(_ALL)}")
    tiles.check_classes(run.classes(), data.classes, flags.FLAGS.data)
    opened = trained.open_trained(run)
    draws = _draws(run, data, opened)
    styles = run.read_json(run.data_path)["styles"]
    return Work(opened, draws, styles, flags.FLAGS.consistency)


def _draws(
    run: "RunDir", data: "Manifest", opened: "Trained"
) -> dict[str, Draw]:
    """The recipes that are wanted, with the masks that they start from."""
    from histogan_tf.evaluation import tiles
    from histogan_tf.mask_recipes import IGNORE, RECIPES, NamedMask, resampled

    most, draws = flags.FLAGS.max_masks, dict[str, Draw]()
    wanted = [name for name in flags.FLAGS.recipes if name != PREDICTED]
    if wanted:
        known = [
            NamedMask(tile.name, tile.mask)
            for tile in tiles.each(data, "train", run.config(), most)
            if (tile.mask != IGNORE).any()
        ]
        if not known:
            raise InputError(
                f"{flags.FLAGS.data}: the training masks are ignored all over;"
                f" --recipes {PREDICTED} needs none"
            )
        draws = {n: functools.partial(RECIPES[n], known) for n in wanted}
    if PREDICTED in flags.FLAGS.recipes:
        masks = predicted_masks(run, data, opened, most)
        draws[PREDICTED] = functools.partial(resampled, masks)
    # In the order of the flag, by which recipes take turns.
    return {name: draws[name] for name in flags.FLAGS.recipes}


def predicted_masks(
    run: "RunDir", data: "Manifest", opened: "Trained", most: int
) -> list["NamedMask"]:
    """The final segmenter's masks of unlabelled training images."""
    from histogan_tf.data import dataset
    from histogan_tf.evaluation import tiles
    from histogan_tf.evaluation.trained import class_ids
    from histogan_tf.mask_recipes import NamedMask

    images = data.split("train").unlabelled.images
    if not images:
        raise InputError(
            f"{flags.FLAGS.data}: no unlabelled training images; leave"
            f" {PREDICTED} out of --recipes"
        )
    config, step = run.config(), tiles.step_of(len(images), most)
    read = dataset.every_nth(
        data.shard_paths("train", "unlabelled"),
        dataset.Scale(
            config.finest_mpp, config.stage_mpp(0), data.classes.count
        ),
        step,
    )
    return [
        NamedMask(info.name, class_ids(opened.segmenter(tile["image"])))
        for info, tile in zip(
            images[::step], read.as_numpy_iterator(), strict=True
        )
    ]


def make_pair(
    work: Work, folder: pathlib.Path, place: int, attempt: int
) -> dict[str, Any]:
    """Paints one pair; it is written, and has a "file", if it is good."""
    import numpy as np

    from histogan_tf.data import images
    from histogan_tf.evaluation.trained import class_ids
    from histogan_tf.metrics import segmentation

    rng = np.random.default_rng([flags.FLAGS.seed, attempt])
    names = list(work.draws)
    recipe = names[attempt % len(names)]
    drawn = work.draws[recipe](rng)
    style = work.styles[int(rng.integers(len(work.styles)))]
    seed = int(rng.integers(2**31))
    image = work.trained.canvas.synthesise(
        drawn.mask, np.asarray(style["style"], np.float32), seed
    )[-1]
    found = class_ids(work.trained.judge(image))
    matrix = segmentation.confusion_matrix(
        drawn.mask, found, work.trained.table.count
    )
    consistency = float(segmentation.mean_present(segmentation.dice(matrix)))
    entry = {
        "recipe": recipe,
        "mask": drawn.name,
        "style": style["name"],
        "seed": seed,
        # JSON knows no nan.
        "consistency": None if np.isnan(consistency) else round(consistency, 4),
    }
    if not consistency >= work.least:
        return entry
    file = f"{place:05}.png"
    images.write_png(folder / "images" / file, image)
    images.write_png(folder / "masks" / file, drawn.mask)
    return {"file": file} | entry


def too_few(kept: list[dict], dropped: list[dict]) -> InputError:
    """Says that the pyramid's tissue does not obey its masks."""
    best = max(entry["consistency"] or 0.0 for entry in dropped)
    return InputError(
        f"--consistency {flags.FLAGS.consistency:g}: {len(dropped)} pairs were"
        f" dropped and {len(kept)} kept (best dropped {best:.2f}); lower it, or"
        " train the pyramid for longer"
    )


def write_records(folder: pathlib.Path, run: "RunDir") -> None:
    """The pairs as training records of the run's classes."""
    from histogan_tf.data import ingest
    from histogan_tf.data.ingest_settings import IngestSettings
    from histogan_tf.mask_recipes import IGNORE

    table = run.classes().to_json()
    # The masks here hold ids, whatever the first masks held.
    table = {"classes": table["classes"], "ignore": [IGNORE]}
    for entry in table["classes"]:
        entry.pop("colors", None)
        entry["values"] = [entry["id"]]
    path = folder / "classes.json"
    path.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    ingest.ingest(
        IngestSettings(
            images=str(folder / "images"),
            masks=str(folder / "masks"),
            classes=str(path),
            output=str(folder / "records"),
            mpp=run.config().finest_mpp,
            validation=0.0,
            command=program.command_line("trainer.augment"),
        )
    )


def write_summary(
    folder: pathlib.Path, run: "RunDir", kept: list[dict], dropped: list[dict]
) -> None:
    """Writes augment.json."""
    from histogan_tf.files import atomic_write

    value = {
        "command": program.command_line("trainer.augment"),
        "run_dir": str(run.root),
        "mpp": run.config().finest_mpp,
        "kept": len(kept),
        "dropped": len(dropped),
        "least_consistency": flags.FLAGS.consistency,
        "pairs": kept,
        "dropped_pairs": dropped,
    }
    text = json.dumps(value, indent=1, allow_nan=False) + "\n"
    atomic_write(folder / "augment.json", text.encode())


if __name__ == "__main__":
    program.run(main)
