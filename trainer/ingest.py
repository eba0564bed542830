r"""Images and masks, or slides and annotations, in; a folder of records out.

    python -m trainer.ingest --images 'glas/images/train_*' \
        --masks 'glas/labels/train_*' --mask_suffix _anno --mpp 0.62 \
        --classes histogan_tf/data/class_tables/glas.json --output D

    python -m trainer.ingest --images 'slides/*.svs' \
        --annotations 'qupath/*.geojson' --classes classes.json --output D \
        --unlabelled 'more/*.svs' --tile_px 1024 --tile_mpp 0.5

Prints the splits, the groups held out and the class shares. The work is that
of `histogan_tf.data.ingest` and, with --annotations, `slide_ingest`. Ingest
of slides that was interrupted goes on with the same command. With --runner beam
the images or slides are spread over Apache Beam's workers; same bytes.
"""

import dataclasses
import sys
from typing import TYPE_CHECKING, Any

from absl import flags

from histogan_tf import program
from histogan_tf.errors import InputError
from histogan_tf.progress_bar import progress_bar
from trainer import records_summary, runners

if TYPE_CHECKING:
    from collections.abc import Callable

    from histogan_tf.data.manifest import Manifest

    Progress = Callable[[int, int, str], None]

_TEXTS = {
    "images": "labelled images or slides: a folder, a glob pattern in quotes or"
    " a file",
    "masks": "their masks, paired by file name, and by the folders that"
    " wildcards stand for where names repeat",
    "annotations": "instead of --masks: the slides' annotations (GeoJSON of"
    " QuPath, XML of ASAP, masks or label TIFFs), paired by file name",
    "classes": "class table, JSON",
    "output": "folder of records to make",
    "instances": "instance masks (0 background), for the boundary class",
    "unlabelled": "images without masks",
    "test_images": "labelled images of the test split",
    "test_masks": "their masks",
    "test_instances": "their instance masks",
    "group_by": "pattern; its first (group), found in the image's name, is the"
    " patient; with a slash, found in the path",
    "groups": "CSV table whose first column names the images",
    "group_column": "column of --groups that names the patient",
}
for _name, _help in _TEXTS.items():
    flags.DEFINE_string(_name, None, _help)
flags.DEFINE_float("mpp", None, "um/px of all images; else the files state it")
flags.DEFINE_float("boundary_um", None, "width of the boundary class, um")
flags.DEFINE_enum(
    "split",
    "train",
    ["train", "validation", "test"],
    "where --images go; only train holds out validation images",
)
flags.DEFINE_float(
    "validation",
    0.15,
    "share of the labelled images held out, by whole groups (patients)",
)
flags.DEFINE_integer(
    "max_labelled",
    None,
    "training images that keep their masks, drawn by --seed; the others become"
    " unlabelled",
)
flags.DEFINE_string(
    "mask_suffix", "", 'ending of mask names, as in "_anno" of a_anno.png'
)
flags.DEFINE_bool("skip_bad", False, "leave out unreadable files and go on")
flags.DEFINE_float("shard_mb", 64.0, "size at which a shard is closed, MiB")
flags.DEFINE_integer("workers", 2, "threads that read")
flags.DEFINE_integer("seed", 0, "of all draws")
flags.DEFINE_integer(
    "tile_px", 1024, "slides: side of a tile, px; holds the coarsest crop"
)
flags.DEFINE_float(
    "tile_mpp", None, "slides: um/px of the tiles; else the slide's own"
)
flags.DEFINE_float(
    "tissue", 0.1, "slides: share of tissue that an unannotated tile needs"
)
runners.define_flags()
flags.adopt_module_key_flags(runners)
flags.mark_flags_as_required(["images", "classes", "output"])


def main() -> None:
    """Reads the flags, ingests with a progress bar, prints a summary."""
    if bool(flags.FLAGS.masks) == bool(flags.FLAGS.annotations):
        raise InputError(
            "state either --masks (of images) or --annotations (of slides)"
        )
    with progress_bar("ingest") as show:
        made, notes = (slides if flags.FLAGS.annotations else tiles)(show)
    records_summary.show(made)
    for note in notes:
        print(note)


def tiles(show: "Progress") -> tuple["Manifest", tuple[str, ...]]:
    """Ingests images with their masks."""
    from histogan_tf import running
    from histogan_tf.data import ingest

    settings = ingest.IngestSettings(**values(ingest.IngestSettings, "--masks"))
    local = running.in_threads(settings.workers)
    run = runners.chosen(local, settings.output)
    notes: list[str] = []
    made = ingest.ingest(settings, show, run, notes.append)
    return made, (*notes, *ingest.unlearnt(made))


def slides(show: "Progress") -> tuple["Manifest", tuple[str, ...]]:
    """Ingests slides with their annotations."""
    from histogan_tf import running
    from histogan_tf.data import slide_ingest

    settings = slide_ingest.SlideSettings(
        **values(slide_ingest.SlideSettings, "--annotations")
    )
    run = runners.chosen(running.here, settings.output)
    result = slide_ingest.ingest_slides(settings, show, run)
    return result.manifest, result.notes


def values(kind: type, way: str) -> dict[str, Any]:
    """The flags that are fields of `kind`, and the command.

    Raises:
      InputError: a flag is stated that has no place in this way of ingest.
    """
    fields = {f.name for f in dataclasses.fields(kind)} - {"command"}
    own = flags.FLAGS.get_key_flags_for_module(sys.modules[__name__])
    for flag in own:
        known = flag.name in fields or flag.name in runners.NAMES
        if not (known or flag.using_default_value):
            raise InputError(f"--{flag.name}: not with {way}")
    return {name: flags.FLAGS[name].value for name in fields} | {
        "command": runners.command("trainer.ingest")
    }


if __name__ == "__main__":
    program.run(main)
