r"""A synthetic set: new masks, tissue painted from them, as PNG and records.

    python -m trainer.augment --run_dir R --data D --output O --count 200 \
        [--recipes resampled,warped,recombined,predicted]

Masks come from the labelled training images of the records (resampled,
warped, recombined) or from the final segmenter's reading of the unlabelled
ones (predicted); each is painted in the stain of a training tile. A pair
whose image the judge, which has seen real labelled images only, cannot read
back (mean Dice below --consistency, or none as the mask is ignored all over) is
dropped and counted; when they are more than four times --count, those kept so
far are written.

Writes `images/<n>.png`, `masks/<n>.png` (class ids), `records/` (training
records of the pairs, as trainer.ingest writes them) and `augment.json`: how
each pair was made, its consistency, and how many were dropped. The same
command goes on where it was interrupted, and gives the same bytes.
"""

import json
import pathlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from absl import flags

from histogan_tf import program, work_folder
from histogan_tf.errors import InputError
from histogan_tf.progress_bar import progress_bar
from trainer import augment_masks, item_notes, unfinished
from trainer.augment_masks import Draw

if TYPE_CHECKING:
    from histogan_tf.data.manifest import Manifest
    from histogan_tf.evaluation.trained import Trained
    from histogan_tf.run_dir import RunDir

_ALL = ["resampled", "warped", "recombined", augment_masks.PREDICTED]
# Pairs dropped for each one wanted before it ends; of so many at most where
# none is good.
_PATIENCE, _FIRST = 4, 25

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

    run = run_dir.open_run(flags.FLAGS.run_dir)
    unfinished.tell(run, [*run_dir.stage_names(run.config()), "judge"])
    data = manifest.load(flags.FLAGS.data)
    work_folder.check_free(flags.FLAGS.output)
    with manifest.naming_damage(data):
        work = prepare(run, data)
    with (
        work_folder.lasting_directory(
            flags.FLAGS.output, identity(run, data)
        ) as folder,
        progress_bar("paint") as show,
    ):
        for kind in ("images", "masks"):
            (folder / kind).mkdir(exist_ok=True)
        kept, dropped = make_pairs(work, folder, show)
        write_records(folder, run)
        write_summary(folder, run, kept, dropped)
    if len(kept) < flags.FLAGS.count:
        print(
            f"only {len(kept)} of {flags.FLAGS.count} pairs; lower"
            " --consistency, or train the pyramid for longer",
            file=sys.stderr,
        )
    print(
        f"{flags.FLAGS.output}: {len(kept)} pairs kept, {len(dropped)} dropped"
        f" (mean Dice of the judge below {work.least:g})"
    )


def identity(run: "RunDir", data: "Manifest") -> dict[str, Any]:
    """What decides the pairs: the flags, the networks and the records."""
    from histogan_tf import run_dir

    phases = [*run_dir.stage_names(run.config()), "judge", "segmenter"]
    names = ("count", "recipes", "consistency", "max_masks", "seed")
    return {name: flags.FLAGS[name].value for name in names} | {
        "weights": run_dir.weights_hash(run, phases),
        "records": data.hash,
    }


def prepare(run: "RunDir", data: "Manifest") -> Work:
    """Loads the run's networks and the masks that recipes start from.

    Raises:
      InputError: an unknown recipe, other classes, or records without the
        images that a recipe needs.
    """
    from histogan_tf.evaluation import tiles, trained

    for name in flags.FLAGS.recipes or [""]:
        if name not in _ALL:
            raise InputError(f"--recipes {name!r}; allowed: {', '.join(_ALL)}")
    tiles.check_classes(run.classes(), data.classes, flags.FLAGS.data)
    opened = trained.open_trained(run)
    draws = augment_masks.draws(
        flags.FLAGS.recipes, run.config(), data, opened, flags.FLAGS.max_masks
    )
    styles = run.read_json(run.data_path)["styles"]
    return Work(opened, draws, styles, flags.FLAGS.consistency)


def make_pairs(
    work: Work, folder: pathlib.Path, show: Callable[[int, int, str], None]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Paints pairs until enough are good, or far too many are not.

    What an earlier start has tried is not tried again.

    Returns:
      Entries of the pairs that were kept, and of those that were dropped.

    Raises:
      InputError: not one is good.
    """
    wanted = flags.FLAGS.count
    kept: list[dict[str, Any]] = []
    dropped: list[dict[str, Any]] = []
    while len(kept) < wanted and len(dropped) <= _PATIENCE * wanted:
        attempt = len(kept) + len(dropped)
        note = item_notes.note(folder, f"{attempt:07}")
        entry = note.entry
        if entry is None:
            entry = make_pair(work, folder, len(kept), attempt)
            note.write({"attempt": attempt}, entry)
        (kept if "file" in entry else dropped).append(entry)
        show(len(kept), wanted, f"{len(dropped)} dropped")
        if not kept and len(dropped) > _PATIENCE * min(wanted, _FIRST):
            work_folder.give_up(folder)  # other flags are wanted next
            raise none_good(dropped)
    return kept, dropped


def make_pair(
    work: Work, folder: pathlib.Path, place: int, attempt: int
) -> dict[str, Any]:
    """Paints one pair; it is written, and has a "file", if it is good."""
    import numpy as np

    from histogan_tf.data import images
    from histogan_tf.metrics import segmentation
    from histogan_tf.metrics.labels import class_ids

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


def none_good(dropped: list[dict]) -> InputError:
    """Says that the pyramid's tissue does not obey its masks."""
    best = max(entry["consistency"] or 0.0 for entry in dropped)
    return InputError(
        f"--consistency {flags.FLAGS.consistency:g}: {len(dropped)} pairs were"
        f" dropped and none kept (the best has {best:.2f}); lower it, or train"
        " the pyramid for longer"
    )


def write_records(folder: pathlib.Path, run: "RunDir") -> None:
    """The pairs as training records of the run's classes."""
    from histogan_tf.data import ingest
    from histogan_tf.data.classes import IGNORE
    from histogan_tf.data.ingest_settings import IngestSettings

    table = run.classes().to_json()
    # The masks here hold ids, whatever the first masks held.
    table = {"classes": table["classes"], "ignore": [IGNORE]}
    for entry in table["classes"]:
        entry.pop("colors", None)
        entry["values"] = [entry["id"]]
    path = folder / "classes.json"
    path.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    work_folder.remove(folder / "records")  # an earlier start may have ended
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
    from histogan_tf import run_progress
    from histogan_tf.files import atomic_write

    value = {
        "command": program.command_line("trainer.augment"),
        "run_dir": str(run.root),
        "mpp": run.config().finest_mpp,
        "steps": run_progress.steps(run),
        "wanted": flags.FLAGS.count,
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
