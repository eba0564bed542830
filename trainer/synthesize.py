r"""Masks in, tissue out: PNG images in any seed and style.

    python -m trainer.synthesize --run_dir R --masks P --output D \
        --seed 0 --samples 3 [--style_from IMG --style_mpp X]

Writes `<mask>_<seed>.png` at the run's finest um/px, and `synthesis.json`:
what seed, style and mask each file was made from; with --stages the coarser
images go to `stages/<k>/`. Where masks of different folders have one name,
theirs go before it: `p1/a_0.png` of `--masks 'cases/*/a.png'`.

Without --style_from a style is drawn from those of the training images by the
seed and the mask's name, so it does not depend on which other masks are given
(unless one has its name, as their folders are then part of it).

Annotations are masks too (QuPath's .geojson, ASAP's .xml): --reference is the
slide they were drawn on, or a folder of slides of their names; without one,
--canvas_size is its size in px of --mpp um/px. What is not annotated counts as
class 0.

Masks of more than 4096 x 4096 px at that um/px (or all, with --canvas) become
pyramidal OME-TIFFs, `<mask>_<seed>.ome.tif`, painted in windows in constant
memory: no seams, the same pixels whatever the window. TIFF masks, tiled ones
best, are read by windows.

The same command goes on where it was interrupted. With --runner beam images
are spread over Apache Beam's workers; same bytes.
"""

import functools
import json
import pathlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from absl import flags

from histogan_tf import input_files, program, running, work_folder
from histogan_tf.errors import InputError
from histogan_tf.progress_bar import progress_bar
from trainer import (
    canvas_masks,
    drawn_masks,
    large_images,
    runners,
    synthesize_canvas,
    unfinished,
)
from trainer.synthesize_all import Request, Style, Way, paint_all
from trainer.synthesize_image import AtOnce

if TYPE_CHECKING:
    import numpy as np

    from histogan_tf.run_dir import RunDir

flags.DEFINE_string("run_dir", None, "trained run")
flags.DEFINE_string(
    "masks", None, "a folder, a glob pattern in quotes or a file"
)
flags.DEFINE_string("output", None, "folder to make")
flags.DEFINE_float(
    "mpp",
    None,
    "um/px of the masks; else what their TIFFs state, or the run's finest",
    0.01,
    100,
)
flags.DEFINE_string(
    "reference", None, "slide that annotations were drawn on, or their folder"
)
flags.DEFINE_string(
    "canvas_size", None, "HEIGHTxWIDTH of annotations without a slide"
)
flags.DEFINE_bool(
    "class_ids",
    False,
    "masks hold the run's class ids, as trainer.segment writes them; else"
    " the run's classes.json maps their values",
)
flags.DEFINE_integer("seed", 0, "of the first image of each mask", 0, 2**62)
flags.DEFINE_integer("samples", 1, "images per mask, seeds from --seed up", 1)
flags.DEFINE_string("style_from", None, "image whose stain is taken")
flags.DEFINE_float(
    "style_mpp",
    None,
    "um/px of --style_from; else its TIFF states it",
    0.01,
    100,
)
flags.DEFINE_bool("stages", False, "write the image of every stage as well")
flags.DEFINE_bool(
    "canvas", None, "paint by windows; else if a mask exceeds 4096 x 4096 px"
)
flags.DEFINE_integer(
    "window", 1536, "side of a canvas's windows, a multiple of 512", 512
)
flags.DEFINE_integer(
    "jpeg_quality", 0, "of canvases, 1 to 100; 0: lossless", 0, 100
)
runners.define_flags()
flags.adopt_module_key_flags(runners)
flags.mark_flags_as_required(["run_dir", "masks", "output"])


def main() -> None:
    """Checks all masks, paints them, prints where they are."""
    from histogan_tf import run_dir
    from histogan_tf.data.images import MASK_EXTENSIONS

    for name in ("mpp", "style_mpp"):
        input_files.check_scale(name, flags.FLAGS[name].value)
    run = run_dir.open_run(flags.FLAGS.run_dir)
    unfinished.tell(run, run_dir.stage_names(run.config()))
    endings = (*MASK_EXTENSIONS, *drawn_masks.endings(flags.FLAGS.masks))
    names = input_files.find(flags.FLAGS.masks, endings)
    reader = mask_reader(run)
    if not canvas_wanted(reader, names):
        coarser = len(run.config().stages) - 1 if flags.FLAGS.stages else 0
        made = paint(run, reader, names, AtOnce(coarser))
        print(f"{flags.FLAGS.output}: {len(made)} images of {len(names)} masks")
        return
    made = paint(run, reader, names, canvases())
    print(f"{flags.FLAGS.output}: {len(made)} canvases of {len(names)} masks")
    as_ids, root = flags.FLAGS.class_ids, str(run.root)
    print(
        synthesize_canvas.view_line(flags.FLAGS.output, made[0], as_ids, root)
    )


def canvases() -> synthesize_canvas.ByWindows:
    """How the flags want canvases."""
    if flags.FLAGS.stages:
        raise InputError("--stages: canvases have the finest stage alone")
    window = large_images.checked_window(flags.FLAGS.window)
    return synthesize_canvas.ByWindows(window, flags.FLAGS.jpeg_quality)


def paint(
    run: "RunDir",
    reader: canvas_masks.MaskReader,
    names: dict[pathlib.Path, str],
    way: Way,
) -> list[dict[str, Any]]:
    """Checks and paints all masks; returns the images' entries."""
    from histogan_tf import run_dir

    work_folder.check_free(flags.FLAGS.output)
    weights = run_dir.weights_hash(run, run_dir.stage_names(run.config()))
    style, made = style_source(run), list[dict[str, Any]]()
    with progress_bar("check") as show:
        check = functools.partial(way.check, reader)
        input_files.readable(names, check, None, show)
    notes = print_notes(reader, list(names))

    def record(folder: pathlib.Path, entries: list[dict[str, Any]]) -> None:
        write_record(folder, run, entries, notes)
        made.extend(entries)

    request = Request(
        output=flags.FLAGS.output,
        class_ids=flags.FLAGS.class_ids,
        first=flags.FLAGS.seed,
        samples=flags.FLAGS.samples,
    )
    runner = runners.chosen(running.here, request.output)
    paint_all(run, names, reader, style, request, way, weights, record, runner)
    return made


def print_notes(
    reader: canvas_masks.MaskReader, paths: list[pathlib.Path]
) -> list[str]:
    """Tells, and returns, what was mended and what was assumed."""
    drawn = filter(drawn_masks.has_drawn_ending, paths)
    notes = [n for path in drawn for n in reader.drawn.labels(path).notes]
    notes += reader.scale_notes(paths)
    for note in notes:
        print(note)
    return notes


def mask_reader(run: "RunDir") -> canvas_masks.MaskReader:
    """Reads masks as class ids at the run's finest um/px."""
    table, finest = run.classes(), run.config().finest_mpp
    as_ids = flags.FLAGS.class_ids
    return canvas_masks.MaskReader(
        (lambda raw, path: canvas_masks.check_ids(raw, path, table))
        if as_ids
        else table.map_mask,
        table.by_color and not as_ids,
        flags.FLAGS.mpp,
        finest,
        drawn_masks.DrawnMasks(
            table,
            flags.FLAGS.reference,
            drawn_masks.size_of(flags.FLAGS.canvas_size),
            flags.FLAGS.mpp,
        ),
    )


def canvas_wanted(
    reader: canvas_masks.MaskReader, paths: Iterable[pathlib.Path]
) -> bool:
    """Whether --canvas says so or, without it, some mask is large."""
    if flags.FLAGS.canvas is not None:
        return flags.FLAGS.canvas
    return any(reader.large(path) for path in paths)


def style_source(run: "RunDir") -> Style:
    """A function from a mask's name and a seed to a style and its name.

    Raises:
      InputError: --style_from has no um/px, or the run keeps no styles.
    """
    import numpy as np

    from histogan_tf import rescale, styles
    from histogan_tf.data import images

    source = flags.FLAGS.style_from
    if source:
        image = images.read_image(source)
        mpp = flags.FLAGS.style_mpp or images.read_mpp(source)
        if mpp is None:
            raise InputError(
                f"{source}: no um/px in the file; state it with --style_mpp"
            )
        fixed = rescale.style_of(image, mpp, run.config().stage_mpp(0))
        return lambda name, seed: (source, fixed)
    pool = run.read_json(run.data_path).get("styles")
    if not pool:
        raise InputError(
            f"{run.data_path}: no training styles; state --style_from"
        )

    def draw(name: str, seed: int) -> tuple[str, "np.ndarray"]:
        chosen = pool[styles.drawn(name, seed, len(pool))]
        return chosen["name"], np.asarray(chosen["style"], np.float32)

    return draw


def write_record(
    folder: pathlib.Path,
    run: "RunDir",
    made: list[dict[str, Any]],
    notes: list[str],
) -> None:
    """Writes synthesis.json; `notes` are those of `print_notes`."""
    from histogan_tf import run_progress
    from histogan_tf.files import atomic_write

    value = {
        "command": runners.command("trainer.synthesize"),
        "run_dir": str(run.root),
        "mpp": run.config().finest_mpp,
        "steps": run_progress.steps(run),
        "images": made,
        "notes": notes,
    }
    text = json.dumps(value, indent=1) + "\n"
    atomic_write(folder / "synthesis.json", text.encode())


if __name__ == "__main__":
    program.run(main, ops_at_once=1)
