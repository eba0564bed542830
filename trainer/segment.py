r"""Images in; class masks, overlays, areas and outlines out.

    python -m trainer.segment --run_dir R --images P --output D \
        [--mpp X] [--geojson] [--probabilities] [--views 8]

For each image, at its own size: `masks/<name>.png` (class ids),
`overlays/<name>.png`, with a boundary class `instances/<name>.csv` and, as
asked, `outlines/<name>.geojson` (QuPath annotations) and
`probabilities/<name>.tif` (float32, a page a class). For all: `areas.csv` and
`segmentation.json`. The final segmenter reads the image at the run's finest
um/px; its probabilities come back at the image's size.

Slides (SVS, NDPI, MRXS, ...), or with --canvas all images, are read by windows
in constant memory, and so is everything if one image exceeds 4096 x 4096 px.
Results are then at the run's finest um/px, see `segment_slides.py`; the same
command goes on where it was interrupted. With --runner beam slides are spread
over Apache Beam's workers; same bytes.
"""

import pathlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from absl import flags

from histogan_tf import input_files, program, running
from histogan_tf.errors import InputError, UnreadableError
from histogan_tf.files import stem_of
from histogan_tf.progress_bar import progress_bar
from trainer import (
    large_images,
    runners,
    segment_files,
    segment_networks,
    segment_slide,
    segment_slides,
    unfinished,
    view_command,
)

if TYPE_CHECKING:
    import numpy as np

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
flags.DEFINE_float(
    "min_object_um2", 0, "leave smaller objects out of outlines and tables", 0
)
flags.DEFINE_enum(
    "network",
    "segmenter",
    ["segmenter", "pyramid"],
    "who reads: the final segmenter, or the stages' own, coarse to fine",
)
flags.DEFINE_integer(
    "views",
    1,
    "show each image so many ways round, turned and mirrored, and average what"
    " the final segmenter says; 8 is all, at 8 times the price",
    1,
    8,
)
flags.DEFINE_bool(
    "canvas",
    None,
    "read by windows; else if a slide or more than 4096 x 4096 px are given",
)
flags.DEFINE_bool("tissue", True, "of slides, read the tissue alone")
flags.DEFINE_integer(
    "window", 1536, "side of a slide's windows, a multiple of 512", 512
)
flags.DEFINE_bool("skip_bad", False, "leave out unreadable files and go on")
runners.define_flags()
flags.adopt_module_key_flags(runners)
flags.mark_flags_as_required(["run_dir", "images", "output"])


@dataclass(frozen=True)
class Work:
    """What every image is treated with."""

    read: Callable[["np.ndarray"], "np.ndarray"]
    finest: float
    objects: segment_files.Objects


def main() -> None:
    """Checks all images, segments them, prints where the results are."""
    from histogan_tf import run_dir
    from histogan_tf.data import dicom_series, scale_notes
    from histogan_tf.data.slides import EXTENSIONS
    from histogan_tf.files import atomic_directory, check_free

    input_files.check_scale("mpp", flags.FLAGS.mpp)
    least = flags.FLAGS.min_object_um2
    input_files.check_finite("min_object_um2", least, "0 um2 or more")
    run = run_dir.open_run(flags.FLAGS.run_dir)
    name = flags.FLAGS.network
    segment_networks.check_views(run, name, flags.FLAGS.views)
    unfinished.tell(run, segment_networks.phases(run, name))
    listed = input_files.find(flags.FLAGS.images, EXTENSIONS)
    found = dicom_series.one_each(listed)
    if len(found) < len(listed):
        print(f"{len(listed) - len(found)} more files of DICOM slides left out")
    if slides_wanted(found, run.config().finest_mpp):
        segment_slides_of(run, found)
        return
    runners.check_local("images; slides or --canvas are spread")
    check_free(flags.FLAGS.output)
    work = prepare(run)
    with progress_bar("check") as show:
        paths, bad = input_files.readable(
            found, read_image, flags.FLAGS.skip_bad, show
        )
    for path in paths:
        for note in scale_notes.file_notes(path, flags.FLAGS.mpp, work.finest):
            print(note, file=sys.stderr)
    with (
        atomic_directory(flags.FLAGS.output) as folder,
        progress_bar("segment") as show,
    ):
        segment_files.make_folders(
            folder,
            masks=True,
            overlays=True,
            instances=bool(work.objects.table.boundary),
            outlines=flags.FLAGS.geojson,
            probabilities=flags.FLAGS.probabilities,
        )
        done = []
        for path in paths:
            done.append(segment_file(path, folder, work))
            show(len(done), len(paths), stem_of(path))
        segment_files.write_areas(folder, work.objects.table, done)
        segment_files.write_record(folder, run, done, bad)
    for error in bad:
        print(f"skipped {error}")
    print(f"{flags.FLAGS.output}: {len(paths)} images")


def slides_wanted(paths: list[pathlib.Path], finest: float) -> bool:
    """Whether --canvas says so or, without it, there are slides.

    An image that is large at the run's `finest` um/px is as good as a slide.
    """
    from histogan_tf.data import images

    def large(path: pathlib.Path) -> bool:
        if path.suffix.lower() not in images.IMAGE_EXTENSIONS:
            return True
        # The check of all images says what is wrong with an unreadable one.
        area = large_images.pixels(path)
        if not area:
            return False
        mpp = flags.FLAGS.mpp or images.read_mpp(path) or finest
        return area * max(1.0, mpp / finest) ** 2 > large_images.LARGE

    if flags.FLAGS.canvas is not None:
        return flags.FLAGS.canvas
    return any(map(large, paths))


def segment_slides_of(run: "RunDir", paths: list[pathlib.Path]) -> None:
    """Segments by windows; prints where the results are."""
    from histogan_tf.evaluation import segmentation

    table, values = run.classes(), flags.FLAGS
    request = segment_slide.Request(
        output=values.output,
        mpp=values.mpp,
        window=large_images.checked_window(values.window),
        tissue=values.tissue,
        geojson=values.geojson,
        probabilities=values.probabilities,
        skip_bad=values.skip_bad,
        outlined=segmentation.object_classes(table, values.object_classes),
        min_object_um2=values.min_object_um2,
    )
    finished, skipped = list[dict[str, Any]](), list[UnreadableError]()

    def record(
        folder: pathlib.Path,
        done: list[dict[str, Any]],
        bad: list[UnreadableError],
    ) -> None:
        segment_files.write_areas(folder, table, done)
        segment_files.write_record(folder, run, done, bad)
        finished.extend(done)
        skipped.extend(bad)

    network = segment_networks.by_window(run, values.network, values.views)
    count = segment_slides.segment_all(
        paths,
        network,
        request,
        record,
        runners.chosen(running.here, values.output),
    )
    for error in skipped:
        print(f"skipped {error}")
    for entry in finished:
        if not any(entry["class_pixels"]):
            print(f"{entry['file']}: no tissue found; --notissue reads all")
        if (entry["objects_mpp"] or 0) > entry["mpp"]:
            print(
                f"{entry['file']}: objects are found at"
                f" {entry['objects_mpp']:g} um/px, as the slide is large"
            )
    print(f"{values.output}: {count} slides")
    for entry in finished[:1]:
        folder = view_command.folder(values.output, entry["name"])
        given = {"segmentation": values.output, "mpp": values.mpp}
        print(
            view_command.line(entry["file"], folder, run_dir=run.root, **given)
        )


def prepare(run: "RunDir") -> Work:
    """Loads the final segmenter."""
    from histogan_tf.evaluation import segmentation

    table = run.classes()
    outlined = segmentation.object_classes(table, flags.FLAGS.object_classes)
    return Work(
        segment_networks.by_image(run, flags.FLAGS.network, flags.FLAGS.views),
        run.config().finest_mpp,
        segment_files.Objects(
            table, outlined, flags.FLAGS.min_object_um2, flags.FLAGS.geojson
        ),
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


def segment_file(
    path: pathlib.Path, folder: pathlib.Path, work: Work
) -> dict[str, Any]:
    """Writes one image's results; returns its entry of segmentation.json."""
    import numpy as np

    from histogan_tf import pictures, rescale
    from histogan_tf.data import images
    from histogan_tf.metrics.labels import class_ids

    image, mpp = read_image(path)
    shares = rescale.read_at(work.read, image, mpp, work.finest)
    mask = class_ids(shares)
    png = f"{stem_of(path)}.png"
    images.write_png(folder / "masks" / png, mask)
    shown = pictures.overlay(image, mask, work.objects.table.palette())
    images.write_png(folder / "overlays" / png, shown)
    segment_files.write_objects(folder, stem_of(path), mask, mpp, work.objects)
    if flags.FLAGS.probabilities:
        target = folder / "probabilities" / f"{stem_of(path)}.tif"
        segment_files.write_probabilities(target, shares)
    counts = np.bincount(mask.ravel(), minlength=work.objects.table.count)
    return {
        "name": stem_of(path),
        "file": str(path),
        "height": image.shape[0],
        "width": image.shape[1],
        "mpp": mpp,
        "class_pixels": counts.tolist(),
    }


if __name__ == "__main__":
    program.run(main, ops_at_once=1)
