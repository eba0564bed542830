"""What is in a folder of records: `manifest.json`, read and written.

In: the folder that ingest wrote (a path, or a URL such as gs://bucket/records,
`remote.py`), or a Manifest. Out: a Manifest (splits, kinds,
shards, images with their sizes, um/px, groups and class pixel counts) or its
JSON. Imports no TensorFlow, so that reports and checks start at once.

`hash` is the SHA-256 over the shards' hashes in the order of their file names,
one a line: two folders of the same hash hold the same tiles. It is independent
of class names and colours, which `classes.json` holds.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from histogan_tf.data import classes, remote
from histogan_tf.data.classes import ClassTable
from histogan_tf.data.remote import Place
from histogan_tf.errors import InputError

FORMAT = 1
FILE = "manifest.json"
SPLITS = ("train", "validation", "test")
KINDS = ("labelled", "unlabelled")
_PART = 2**20


@dataclasses.dataclass(frozen=True)
class Shard:
    """One written file: name in its folder, SHA-256, tiles and bytes."""

    file: str
    sha256: str
    records: int
    bytes: int


@dataclasses.dataclass(frozen=True)
class ImageInfo:
    """One stored image; sizes in px, mpp in um/px.

    `class_pixels` counts its pixels of each class and `ignored_pixels` those
    of none; both are None where it has no mask.
    """

    name: str
    height: int
    width: int
    mpp: float
    group: str
    class_pixels: tuple[int, ...] | None = None
    ignored_pixels: int | None = None


@dataclasses.dataclass(frozen=True)
class Kind:
    """The labelled or the unlabelled images of a split, in stored order."""

    shards: tuple[Shard, ...] = ()
    images: tuple[ImageInfo, ...] = ()


@dataclasses.dataclass(frozen=True)
class Split:
    """One of train, validation and test."""

    labelled: Kind = Kind()
    unlabelled: Kind = Kind()


@dataclasses.dataclass(frozen=True)
class Skipped:
    """An input file that was left out, and why."""

    file: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Manifest:
    """Everything manifest.json says; `folder` is where it was found."""

    command: str
    seed: int
    classes: ClassTable
    splits: dict[str, Split]
    skipped: tuple[Skipped, ...] = ()
    folder: Place = pathlib.Path()

    @property
    def hash(self) -> str:
        """SHA-256 over the shards' hashes, in hexadecimal."""
        shards = sorted(self.shards(), key=lambda shard: shard.file)
        lines = "".join(f"{shard.sha256}\n" for shard in shards)
        return hashlib.sha256(lines.encode()).hexdigest()

    def split(self, name: str) -> Split:
        """A split by name; an absent one is empty.

        Raises:
          InputError: no such name is allowed.
        """
        if name not in SPLITS:
            raise InputError(f"split {name!r}; allowed: {', '.join(SPLITS)}")
        return self.splits.get(name, Split())

    def shard_paths(self, split: str, kind: str) -> tuple[Place, ...]:
        """Paths of the shards of a split's labelled or unlabelled images."""
        shards = getattr(self.split(split), kind).shards
        return tuple(self.folder / shard.file for shard in shards)

    def class_pixels(self, split: str) -> tuple[int, ...]:
        """Pixels of each class over a split's labelled images, N numbers."""
        images = self.split(split).labelled.images
        rows = [image.class_pixels or () for image in images]
        zeros = (0,) * self.classes.count
        return tuple(sum(column) for column in zip(zeros, *rows, strict=True))

    def groups(self, split: str) -> tuple[str, ...]:
        """Sorted names of the groups (patients) of a split, without ""."""
        kinds = (getattr(self.split(split), kind) for kind in KINDS)
        return tuple(
            sorted({i.group for kind in kinds for i in kind.images} - {""})
        )

    def to_json(self) -> dict[str, Any]:
        """What manifest.json holds."""
        return {
            "format": FORMAT,
            "hash": self.hash,
            "command": self.command,
            "seed": self.seed,
            **self.classes.to_json(),
            "splits": {
                name: {
                    kind: _kind_to_json(getattr(split, kind)) for kind in KINDS
                }
                for name, split in self.splits.items()
            },
            "skipped": [dataclasses.asdict(item) for item in self.skipped],
        }

    def shards(self) -> list[Shard]:
        """All shards, by split and kind."""
        return [
            shard
            for split in self.splits.values()
            for kind in KINDS
            for shard in getattr(split, kind).shards
        ]


def load(folder: str | Place) -> Manifest:
    """Reads a folder of records; checks that every shard is there and whole.

    Raises:
      InputError: no manifest, one of another format or damaged, or a shard
        that is missing or has another size.
    """
    folder = remote.place(folder)
    path = folder / FILE
    try:
        with remote.opened(path) as file:
            data = json.loads(file.read())
        found = data["format"]
        if found != FORMAT:
            raise InputError(f"{path}: format {found!r}; {FORMAT} is allowed")
        manifest = _from_json(data, folder)
    except OSError as error:
        raise InputError(
            f"{path}: {error.strerror}; is it a folder that ingest wrote?"
        ) from error
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: damaged: {error!r}") from error
    if manifest.hash != data["hash"]:
        raise InputError(f"{path}: damaged: hash does not fit its shards")
    for shard in manifest.shards():
        _check_size(folder / shard.file, shard)
    return manifest


def verify(manifest: Manifest) -> None:
    """Reads every shard in full and compares its SHA-256.

    Raises:
      InputError: names the first shard that differs.
    """
    for shard in manifest.shards():
        path = manifest.folder / shard.file
        _check_size(path, shard)
        found = hash_file(path)
        if found != shard.sha256:
            raise InputError(
                f"{path}: SHA-256 is {found}, the manifest says {shard.sha256}"
            )


@contextlib.contextmanager
def naming_damage(manifest: Manifest) -> Iterator[None]:
    """Names the file where TensorFlow only says that a record is damaged.

    Raises:
      InputError: as `verify`, in place of TensorFlow's DataLossError.
    """
    try:
        yield
    except Exception as error:
        # By name: the manifest needs no TensorFlow.
        if type(error).__name__ == "DataLossError":
            verify(manifest)
        raise


def hash_file(path: str | os.PathLike | Place) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with remote.opened(remote.place(path)) as file:
        while part := file.read(_PART):
            digest.update(part)
    return digest.hexdigest()


def _check_size(path: Place, shard: Shard) -> None:
    try:
        size = remote.size(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; ingest again") from error
    if size != shard.bytes:
        raise InputError(
            f"{path}: {size} bytes, the manifest says {shard.bytes}"
        )


def _kind_to_json(kind: Kind) -> dict[str, Any]:
    images = [
        {k: v for k, v in dataclasses.asdict(image).items() if v is not None}
        for image in kind.images
    ]
    shards = [dataclasses.asdict(shard) for shard in kind.shards]
    return {"shards": shards, "images": images}


def _kind_from_json(data: dict[str, Any]) -> Kind:
    images = [
        image | {"class_pixels": tuple(image["class_pixels"])}
        if "class_pixels" in image
        else image
        for image in data["images"]
    ]
    return Kind(
        shards=tuple(Shard(**shard) for shard in data["shards"]),
        images=tuple(ImageInfo(**image) for image in images),
    )


def _from_json(data: dict[str, Any], folder: Place) -> Manifest:
    keys = ("classes", "ignore", "ignore_colors")
    table = {key: data[key] for key in keys if key in data}
    return Manifest(
        command=data["command"],
        seed=data["seed"],
        classes=classes.from_json(table, str(folder / FILE)),
        splits={
            name: Split(**{kind: _kind_from_json(s[kind]) for kind in KINDS})
            for name, s in data["splits"].items()
        },
        skipped=tuple(Skipped(**item) for item in data["skipped"]),
        folder=folder,
    )
