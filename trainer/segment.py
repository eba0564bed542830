r"""Images in; class masks, overlays, areas and outlines out.

    python -m trainer.segment --run_dir R --images P --output D \
        [--mpp X] [--geojson] [--probabilities]

For each image, at its own size: `masks/<name>.png` (class ids),
`overlays/<name>.png` and, as asked, `outlines/<name>.geojson` (QuPath
annotations) and `probabilities/<name>.tif` (float32, a page a class). For
all: `areas.csv` and `segmentation.json`. The final segmenter reads the image
at the run's finest um/px; its probabilities come back at the image's size.
"""

import csv
import io
import json
import pathlib
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from absl import flags

from histogan_tf import program
from histogan_tf.errors import InputError
from histogan_tf.progress_bar import progress_bar
from trainer import input_files

if TYPE_CHECKING:
    import numpy as np

    from histogan_tf.data.classes import ClassTable
    from histogan_tf.run_dir import RunDir

flags.DEFINE_string("run_dir", None, "trained run")
flags.DEFINE_string(
    "images", None, "a folder, a glob pattern in quotes or a file"
)
flags.DEFINE_string("output", None, "folder to make")
flags.DEFINE_float(
    "mpp", None, "um/px of all images; else their TIFFs state it", 0.01, 100
)
flags.DEFINE_bool("probabilities", False, "write each class's probability")
flags.DEFINE_bool("geojson", False, "write the objects' outlines")
flags.DEFINE_list(
    "object_classes",
    None,
    "classes to outline; else all but class 0 and the boundary",
)
flags.DEFINE_bool("skip_bad", False, "leave out unreadable files and go on")
flags.mark_flags_as_required(["run_dir", "images", "output"])


@dataclass(frozen=True)
class Work:
    """What every image is treated with."""

    read: Callable[["np.ndarray"], "np.ndarray"]
    finest: float
    table: "ClassTable"
    outlined: tuple[int, ...]


def main() -> None:
    """Checks all images, segments them, prints where the results are."""
    from histogan_tf import run_dir
    from histogan_tf.data.images import IMAGE_EXTENSIONS
    from histogan_tf.files import atomic_directory

    input_files.check_scale("mpp", flags.FLAGS.mpp)
    run = run_dir.open_run(flags.FLAGS.run_dir)
    work = prepare(run)
    found = input_files.find(flags.FLAGS.images, IMAGE_EXTENSIONS)
    with progress_bar("check") as show:
        paths, bad = input_files.readable(
            found, read_image, flags.FLAGS.skip_bad, show
        )
    with (
        atomic_directory(flags.FLAGS.output) as folder,
        progress_bar("segment") as show,
    ):
        make_folders(folder)
        done = []
        for path in paths:
            done.append(segment_file(path, folder, work))
            show(len(done), len(paths), path.stem)
        write_areas(folder, work.table, done)
        skipped = [{"file": str(b.path), "reason": b.reason} for b in bad]
        write_record(folder, run, done, skipped)
    for error in bad:
        print(f"skipped {error}")
    print(f"{flags.FLAGS.output}: {len(paths)} images")


def prepare(run: "RunDir") -> Work:
    """Loads the final segmenter."""
    from histogan_tf import run_dir
    from histogan_tf.canvas import segment_with
    from histogan_tf.evaluation import segmentation

    table = run.classes()
    outlined = segmentation.object_classes(table, flags.FLAGS.object_classes)
    network = run_dir.load_segmenter(run)
    return Work(
        segment_with(network, table.count),
        run.config().finest_mpp,
        table,
        outlined,
    )


def read_image(path: pathlib.Path) -> tuple["np.ndarray", float]:
    """An image and its um/px.

    Raises:
      InputError: neither the file nor --mpp states um/px.
    """
    from histogan_tf.data import images

    image = images.read_image(path)
    mpp = flags.FLAGS.mpp or images.read_mpp(path)
    if mpp is None:
        raise InputError(f"{path}: no um/px in the file; state it with --mpp")
    return image, mpp


def make_folders(folder: pathlib.Path) -> None:
    """Makes a folder for each kind of result that is asked for."""
    asked = {
        "masks": True,
        "overlays": True,
        "outlines": flags.FLAGS.geojson,
        "probabilities": flags.FLAGS.probabilities,
    }
    for name in (name for name, wanted in asked.items() if wanted):
        (folder / name).mkdir()


def segment_file(
    path: pathlib.Path, folder: pathlib.Path, work: Work
) -> dict[str, Any]:
    """Writes one image's results; returns its entry of segmentation.json."""
    import numpy as np

    from histogan_tf import outlines, pictures, rescale
    from histogan_tf.data import images

    image, mpp = read_image(path)
    shares = rescale.read_at(work.read, image, mpp, work.finest)
    mask = shares.argmax(axis=-1).astype(np.uint8)
    png = f"{path.stem}.png"
    images.write_png(folder / "masks" / png, mask)
    shown = pictures.overlay(image, mask, work.table.palette())
    images.write_png(folder / "overlays" / png, shown)
    if flags.FLAGS.geojson:
        found = outlines.feature_collection(mask, work.table, work.outlined)
        target = folder / "outlines" / f"{path.stem}.geojson"
        write_text(target, json.dumps(found))
    if flags.FLAGS.probabilities:
        target = folder / "probabilities" / f"{path.stem}.tif"
        write_probabilities(target, shares)
    counts = np.bincount(mask.ravel(), minlength=work.table.count)
    return {
        "name": path.stem,
        "file": str(path),
        "height": image.shape[0],
        "width": image.shape[1],
        "mpp": mpp,
        "class_pixels": counts.tolist(),
    }


def write_probabilities(path: pathlib.Path, shares: "np.ndarray") -> None:
    """Writes float32 [H, W, N] as a TIFF of N pages."""
    import numpy as np
    import tifffile

    from histogan_tf.files import atomic_write

    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        np.ascontiguousarray(np.moveaxis(shares, -1, 0)),
        photometric="minisblack",
        compression="zlib",
        metadata=None,
    )
    atomic_write(path, buffer.getvalue())


def write_areas(
    folder: pathlib.Path, table: "ClassTable", done: list[dict[str, Any]]
) -> None:
    """Writes areas.csv: a row for each class of each image."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "class_id", "class", "pixels", "mm2"])
    for entry in done:
        for info in table.classes:
            pixels = entry["class_pixels"][info.id]
            area = pixels * (entry["mpp"] / 1000.0) ** 2
            row = [entry["name"], info.id, info.name, pixels, f"{area:.9g}"]
            writer.writerow(row)
    write_text(folder / "areas.csv", text.getvalue())


def write_record(
    folder: pathlib.Path,
    run: "RunDir",
    done: list[dict[str, Any]],
    skipped: list[dict[str, str]],
) -> None:
    """Writes segmentation.json."""
    command = ["python", "-m", "trainer.segment", *sys.argv[1:]]
    value = {
        "command": shlex.join(command),
        "run_dir": str(run.root),
        "network_mpp": run.config().finest_mpp,
        "classes": list(run.classes().names),
        "images": done,
        "skipped": skipped,
    }
    write_text(folder / "segmentation.json", json.dumps(value, indent=1) + "\n")


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes UTF-8, whole or not at all."""
    from histogan_tf.files import atomic_write

    atomic_write(path, text.encode())


if __name__ == "__main__":
    program.run(main)
