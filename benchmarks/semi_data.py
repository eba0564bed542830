"""Which images a cell of the semi-supervised benchmark sees, and as what.

In: a data set's folder, how many labels, a seed. Out: a `Fold` (labelled,
unlabelled, validation and test images) and its training records.

GlaS: 12 of the 85 training images, all those of six patients, six benign and
six malignant, are held out for validation, the same for every seed;
the labelled ones are drawn by seed from the rest. Test A shares its patients
with the training images, as the challenge made it: 30 of its 60 images are of
four of the held-out patients, 29 of others. Only the training images
go into the records; validation and test images are read from their files, at
their own size. Prostate tiles: each is left out in turn, by the seed.
"""

import pathlib
from collections.abc import Callable
from dataclasses import dataclass

from histogan_tf.data import groups, ingest, manifest, pairs, splits
from histogan_tf.data.ingest_settings import IngestSettings
from histogan_tf.data.manifest import Manifest
from histogan_tf.data.pairs import ImageFiles
from histogan_tf.errors import InputError
from histogan_tf.files import atomic_directory

GLEASON_TILES = 8
# Chosen by their number and grades, before any training.
HELD_OUT_PATIENTS = frozenset(("4", "7", "8", "13", "14", "15"))
TABLES = pathlib.Path(ingest.__file__).parent / "class_tables"

# Puts an image and its mask (or None) into a folder's images/ and masks/.
Place = Callable[[ImageFiles, pathlib.Path, bool], None]


@dataclass(frozen=True)
class Fold:
    """Images of one cell; unlabelled ones still know their mask file."""

    labelled: tuple[ImageFiles, ...]
    unlabelled: tuple[ImageFiles, ...]
    validation: tuple[ImageFiles, ...]
    test: tuple[ImageFiles, ...]

    def names(self) -> dict[str, list[str]]:
        """Names of the images by use, for the results."""
        return {
            use: [source.name for source in getattr(self, use)]
            for use in ("labelled", "unlabelled", "validation")
        }


def glas_fold(data: pathlib.Path, labels: int | None, seed: int) -> Fold:
    """GlaS with validation patients held out; None: all labelled."""
    train, test = _glas(data)
    held = [s for s in train if s.group in HELD_OUT_PATIENTS]
    pool = [s for s in train if s.group not in HELD_OUT_PATIENTS]
    return _drawn(pool, held, test, labels, seed)


def glas_fold_without_validation(
    data: pathlib.Path, labels: int | None, seed: int
) -> Fold:
    """GlaS as published tables use it: all 85 train, nothing to choose on."""
    train, test = _glas(data)
    return _drawn(train, [], test, labels, seed)


def gleason_fold(data: pathlib.Path, labels: int | None, seed: int) -> Fold:
    """Tile `seed` (modulo 8) is the test; labels are drawn from the others."""
    tiles = pairs.pair(
        str(data / "images"), str(data / "masks"), groups.no_groups
    )
    test = tiles.pop(seed % len(tiles))
    return _drawn(tiles, [], [test], labels, seed)


def patients(data: pathlib.Path) -> Callable[[str], str] | None:
    """The patient of an image of GlaS by its name; None of other sets."""
    if not (data / "Grade.csv").is_file():
        return None
    group_of = groups.group_by_table(data / "Grade.csv", "patient ID")
    return lambda name: group_of(pathlib.Path(name))


def _glas(data: pathlib.Path) -> tuple[list[ImageFiles], list[ImageFiles]]:
    patient = patients(data)
    if patient is None:
        raise InputError(f"{data}: no Grade.csv; the GlaS data set is wanted")
    train, test = (
        pairs.pair(
            str(data / "images" / f"{name}_*"),
            str(data / "labels" / f"{name}_*"),
            lambda path: patient(path.name),
            "_anno",
        )
        for name in ("train", "testA")
    )
    return train, test


def _drawn(pool, held, test, labels, seed) -> Fold:
    if labels is None:
        return Fold(tuple(pool), (), tuple(held), tuple(test))
    labelled, rest = splits.draw_labelled(pool, labels, seed)
    names = {source.name for source in rest}
    return Fold(
        tuple(labelled),
        tuple(source for source in pool if source.name in names),
        tuple(held),
        tuple(test),
    )


def as_it_is(source: ImageFiles, folder: pathlib.Path, with_mask: bool) -> None:
    """Links an image and its mask."""
    (folder / "images" / source.image.name).symlink_to(source.image.resolve())
    if with_mask and source.mask:
        name = f"{source.name}{source.mask.suffix}"
        (folder / "masks" / name).symlink_to(source.mask.resolve())


def _check_fold(found: Manifest, fold: Fold) -> None:
    train, wanted = found.split("train"), fold.names()
    for use in ("labelled", "unlabelled"):
        held = sorted(image.name for image in getattr(train, use).images)
        if held != sorted(wanted[use]):
            raise InputError(
                f"{found.folder}: {len(held)} {use} images, other ones than the"
                f" {len(wanted[use])} of this cell; choose another --output"
            )


def records(
    fold: Fold,
    folder: pathlib.Path,
    place: Place,
    classes: pathlib.Path,
    mpp: float,
    seed: int,
) -> Manifest:
    """Training records of a fold, made once in `folder`.

    Raises:
      InputError: those that are there are of another fold.
    """
    if (folder / "records" / manifest.FILE).exists():
        found = manifest.load(folder / "records")
        _check_fold(found, fold)
        return found
    for use, with_mask in (("labelled", True), ("unlabelled", False)):
        if (folder / use).exists() or not getattr(fold, use):
            continue
        with atomic_directory(folder / use) as draft:
            for kind in ("images", "masks"):
                (draft / kind).mkdir()
            for source in getattr(fold, use):
                place(source, draft, with_mask)
    return ingest.ingest(
        IngestSettings(
            images=str(folder / "labelled" / "images"),
            masks=str(folder / "labelled" / "masks"),
            unlabelled=str(folder / "unlabelled" / "images")
            if fold.unlabelled
            else None,
            classes=str(classes),
            output=str(folder / "records"),
            mpp=mpp,
            validation=0.0,
            seed=seed,
        )
    )
