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
Results are then at the run's finest um/px, see `segment_slide.py`.

Where images of different folders have one name, theirs go before it:
`masks/p1/a.png` of `--images 'cases/*/a.png'`.

The same command goes on where it was interrupted. With --runner beam images
are spread over Apache Beam's workers; same bytes.
"""

import pathlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from absl import flags

from histogan_tf import input_files, program, running
from histogan_tf.errors import UnreadableError
from trainer import (
    large_images,
    runners,
    segment_all,
    segment_files,
    segment_networks,
    unfinished,
    view_command,
)
from trainer.segment_image import ImageItem
from trainer.segment_item import Item, Network, Request
from trainer.segment_slide import SlideItem, SlideRequest

if TYPE_CHECKING:
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


def main() -> None:
    """Checks all images, segments them, prints where the results are."""
    from histogan_tf import run_dir
    from histogan_tf.data import dicom_series
    from histogan_tf.data.slides import EXTENSIONS

    input_files.check_scale("mpp", flags.FLAGS.mpp)
    least = flags.FLAGS.min_object_um2
    input_files.check_finite("min_object_um2", least, "0 um2 or more")
    run = run_dir.open_run(flags.FLAGS.run_dir)
    name = flags.FLAGS.network
    segment_networks.check_views(run, name, flags.FLAGS.views)
    unfinished.tell(run, segment_networks.phases(run, name))
    listed = input_files.find(flags.FLAGS.images, EXTENSIONS)
    found = {path: listed[path] for path in dicom_series.one_each(listed)}
    if len(found) < len(listed):
        print(f"{len(listed) - len(found)} more files of DICOM slides left out")
    if slides_wanted(found, run.config().finest_mpp):
        tell_of_slides(run, segment_slides(run, found))
    else:
        done = segment_images(run, found)
        print(f"{flags.FLAGS.output}: {len(done)} images")


def slides_wanted(paths: Iterable[pathlib.Path], finest: float) -> bool:
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


def segment_images(
    run: "RunDir", names: dict[pathlib.Path, str]
) -> list[dict[str, Any]]:
    """Segments images as they are; returns their entries."""
    values = flags.FLAGS
    network = segment_networks.by_image(run, values.network, values.views)
    return segment(run, names, ImageItem, network, asked(run))


def segment_slides(
    run: "RunDir", names: dict[pathlib.Path, str]
) -> list[dict[str, Any]]:
    """Segments by windows; returns the slides' entries."""
    values = flags.FLAGS
    request = SlideRequest(
        **vars(asked(run)),
        window=large_images.checked_window(values.window),
        tissue=values.tissue,
    )
    network = segment_networks.by_window(run, values.network, values.views)
    return segment(run, names, SlideItem, network, request)


def asked(run: "RunDir") -> Request:
    """What the flags ask for of images of either kind."""
    from histogan_tf.evaluation import segmentation

    table, values = run.classes(), flags.FLAGS
    return Request(
        output=values.output,
        mpp=values.mpp,
        geojson=values.geojson,
        probabilities=values.probabilities,
        skip_bad=values.skip_bad,
        outlined=segmentation.object_classes(table, values.object_classes),
        min_object_um2=values.min_object_um2,
    )


def segment(
    run: "RunDir",
    names: dict[pathlib.Path, str],
    kind: type[Item],
    network: Network,
    request: Request,
) -> list[dict[str, Any]]:
    """Segments all, tells what was skipped, returns the others' entries."""
    finished, skipped = list[dict[str, Any]](), list[UnreadableError]()

    def record(
        folder: pathlib.Path,
        done: list[dict[str, Any]],
        bad: list[UnreadableError],
    ) -> None:
        segment_files.write_areas(folder, run.classes(), done)
        segment_files.write_record(folder, run, done, bad)
        finished.extend(done)
        skipped.extend(bad)

    runner = runners.chosen(running.here, request.output)
    segment_all.segment_all(names, kind, network, request, record, runner)
    for error in skipped:
        print(f"skipped {error}")
    return finished


def tell_of_slides(run: "RunDir", finished: list[dict[str, Any]]) -> None:
    """Prints what is to be known of slides, and how to look at the first."""
    output = flags.FLAGS.output
    for entry in finished:
        if not any(entry["class_pixels"]):
            print(f"{entry['file']}: no tissue found; --notissue reads all")
        if (entry["objects_mpp"] or 0) > entry["mpp"]:
            print(
                f"{entry['file']}: objects are found at"
                f" {entry['objects_mpp']:g} um/px, as the slide is large"
            )
    print(f"{output}: {len(finished)} slides")
    for entry in finished[:1]:
        folder = view_command.folder(output, entry["name"])
        given = {"segmentation": output, "mpp": flags.FLAGS.mpp}
        print(
            view_command.line(entry["file"], folder, run_dir=run.root, **given)
        )


if __name__ == "__main__":
    program.run(main, ops_at_once=1)
