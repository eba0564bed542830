"""What the demo trains on: a known data set's layout, or a phantom.

In: a folder. Out: the settings of its ingest. Each layout is one check and
one function; a folder of none of them is ingested by `trainer.ingest`.
"""

import pathlib
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass

from histogan_tf.data.ingest_settings import IngestSettings
from histogan_tf.data.phantom import CLASSES_FILE
from histogan_tf.errors import InputError

TABLES = CLASSES_FILE.parent

IMAGES = 40  # phantoms
# 41 px at the demo's coarsest 10 um/px: more than a crop of stage 0.
SIDE, MPP = 336, 1.24


@dataclass(frozen=True)
class Layout:
    """A known layout: its files in words, the check, the settings."""

    files: str
    fits: Callable[[pathlib.Path], bool]
    build: Callable[[pathlib.Path, pathlib.Path, int], IngestSettings]


def is_glas(folder: pathlib.Path) -> bool:
    """GlaS (Sirinukunwattana et al. 2017), PNG, with its table of grades."""
    return (
        (folder / "Grade.csv").is_file()
        and any((folder / "images").glob("train_*.png"))
        and any((folder / "labels").glob("train_*_anno.png"))
    )


def glas(
    folder: pathlib.Path, records: pathlib.Path, labelled: int
) -> IngestSettings:
    """Its training images, two classes, patients held out."""
    return IngestSettings(
        images=str(folder / "images" / "train_*.png"),
        masks=str(folder / "labels" / "train_*_anno.png"),
        mask_suffix="_anno",
        classes=str(TABLES / "glas.json"),
        groups=str(folder / "Grade.csv"),
        group_column="patient ID",
        mpp=0.62,
        max_labelled=labelled,
        output=str(records),
    )


def is_gleason(folder: pathlib.Path) -> bool:
    """Prostate tiles of Gleason patterns, JPEG, class ids in PNG."""
    return any((folder / "images").glob("*.jpg")) and any(
        (folder / "masks").glob("*.png")
    )


def gleason(
    folder: pathlib.Path, records: pathlib.Path, labelled: int
) -> IngestSettings:
    """All tiles, five classes; the um/px is a guess, and is said to be.

    They are eight, so all are labelled.
    """
    del labelled
    print("gleason: the files state no um/px; 0.5, of a 20x scan, is assumed")
    return IngestSettings(
        images=str(folder / "images"),
        masks=str(folder / "masks"),
        classes=str(TABLES / "gleason.json"),
        mpp=0.5,
        output=str(records),
    )


LAYOUTS = (
    Layout(
        "GlaS: Grade.csv, images/train_*.png, labels/train_*_anno.png",
        is_glas,
        glas,
    ),
    Layout("Gleason tiles: images/*.jpg, masks/*.png", is_gleason, gleason),
)


def recognise(
    folder: pathlib.Path, records: pathlib.Path, labelled: int
) -> IngestSettings:
    """How to ingest a data set of a known layout.

    Raises:
      InputError: there is no such folder, or it has none of the layouts.
    """
    if not folder.is_dir():
        raise InputError(f"--data {folder}: no such folder")
    for layout in LAYOUTS:
        if layout.fits(folder):
            return layout.build(folder, records, labelled)
    known = "; ".join(layout.files for layout in LAYOUTS)
    raise InputError(
        f"--data {folder}: a layout that is not known; allowed are {known};"
        " for others use trainer.ingest and trainer.train"
    )


def phantom(
    folder: pathlib.Path, records: pathlib.Path, labelled: int
) -> IngestSettings:
    """Paints the phantoms that are not in the folder yet."""
    todo = [s for s in range(IMAGES) if not _mask(folder, s).exists()]
    if todo:
        print(f"painting {len(todo)} phantoms into {folder}", flush=True)
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    with futures.ProcessPoolExecutor(2) as pool:
        list(pool.map(_paint, [folder] * len(todo), todo))
    return IngestSettings(
        images=str(folder / "images"),
        masks=str(folder / "masks"),
        classes=str(CLASSES_FILE),
        mpp=MPP,
        max_labelled=labelled,
        output=str(records),
    )


def _paint(folder: pathlib.Path, seed: int) -> None:
    # Here, as the mask's presence says that the image is there too.
    from histogan_tf import files
    from histogan_tf.data import phantom, png
    from histogan_tf.data.phantom_settings import PhantomSettings

    settings = PhantomSettings(height=SIDE, width=SIDE, mpp=MPP)
    painted = phantom.paint(settings, seed)
    image = folder / "images" / _mask(folder, seed).name
    files.atomic_write(image, png.encode(painted.image))
    files.atomic_write(_mask(folder, seed), png.encode(painted.mask))


def _mask(folder: pathlib.Path, seed: int) -> pathlib.Path:
    return folder / "masks" / f"phantom_{seed:02}.png"


def find(source: str, stem: str) -> pathlib.Path:
    """The file of that stem in a folder, or among those of a pattern."""
    from histogan_tf.files import list_files, stem_of

    return next(p for p in list_files(source, ("",)) if stem_of(p) == stem)
