"""Folders of records become one, whose tiles are those of all.

In: Manifests of folders that ingest wrote, each with its own um/px, files and
splits, of the same classes. Out: a folder like any other. Shards keep their
bytes; they are hard links where the file system has them, else copies, so the
first folders may go.
"""

import dataclasses
import errno
import itertools
import os
import pathlib
import shutil
from collections.abc import Callable, Sequence

from histogan_tf.data import ingest, manifest, records, remote
from histogan_tf.data.manifest import Kind, Manifest
from histogan_tf.data.remote import Place
from histogan_tf.errors import InputError
from histogan_tf.files import atomic_directory, check_free

Progress = Callable[[int, int, str], None]
# Of os.link: on another disk, or where links are not allowed.
_NO_LINK = {
    errno.EXDEV,
    errno.EPERM,
    errno.ENOTSUP,
    errno.ENOSYS,
    errno.EMLINK,
}


def join(
    sources: Sequence[Manifest],
    output: str | os.PathLike,
    command: str,
    progress: Progress = lambda *_: None,
) -> Manifest:
    """Writes the folder `output`; tiles stand in the order of `sources`.

    Args:
      sources: two or more, in folders (not URLs).
      output: a folder to make.
      command: what the new manifest says of its origin.
      progress: called after each shard with the number done, the number in
        all and the shard's name.

    Raises:
      InputError: fewer than two, a URL, other classes than the first's, a
        shard that two of them hold, a patient who trains in one and
        validates in another, or the output is taken.
    """
    if isinstance(remote.place(output), remote.Url):
        raise InputError(f"{output}: a URL; state a folder, then copy it there")
    check_free(output)
    _check(sources)
    places = [*itertools.product(manifest.SPLITS, manifest.KINDS)]
    total = sum(len(source.shards()) for source in sources)
    done = itertools.count(1)

    def tell(name: str) -> None:
        progress(next(done), total, name)

    with atomic_directory(output) as folder:
        written = {p: _link_all(sources, p, folder, tell) for p in places}
        result = Manifest(
            command=command,
            seed=0,
            classes=sources[0].classes,
            splits=ingest.gather(
                {p: k for p, k in written.items() if k.images}
            ),
            skipped=tuple(item for s in sources for item in s.skipped),
            folder=pathlib.Path(output),
        )
        ingest.write_description(folder, result)
    return result


def _link_all(
    sources: Sequence[Manifest],
    place: tuple[str, str],
    folder: pathlib.Path,
    tell: Callable[[str], None],
) -> Kind:
    """Puts the shards of a split and kind into the folder, one after another.

    Returns:
      The shards by their new names, and their images.
    """
    kinds = [getattr(source.split(place[0]), place[1]) for source in sources]
    shards = [shard for kind in kinds for shard in kind.shards]
    paths = [path for s in sources for path in s.shard_paths(*place)]
    named = []
    for number, (path, shard) in enumerate(zip(paths, shards, strict=True)):
        name = records.shard_name(*place, number, len(shards))
        _link(path, folder / name)
        named.append(dataclasses.replace(shard, file=name))
        tell(name)
    images = [image for kind in kinds for image in kind.images]
    return Kind(tuple(named), tuple(images))


def unknown_patients(sources: Sequence[Manifest]) -> list[str]:
    """Notes where it cannot be told whether patients validate and train.

    Args:
      sources: as of `join`.
    """
    notes = []
    for source in sources:
        train = source.split("train")
        images = (*train.labelled.images, *train.unlabelled.images)
        bare = sum(not image.group for image in images)
        others = [
            s for s in sources if s is not source and s.groups("validation")
        ]
        if bare and others:
            notes.append(
                f"{source.folder}: {bare} training images have no group, so"
                f" nothing tells whether patients that {others[0].folder} holds"
                " out are among them"
            )
    return notes


def _check(sources: Sequence[Manifest]) -> None:
    """Raises InputError where the sources do not go together."""
    if len(sources) < 2:
        raise InputError(f"{len(sources)} folder of records; state two or more")
    for source in sources:
        if not isinstance(source.folder, pathlib.Path):
            raise InputError(
                f"{source.folder}: a URL; join folders, then copy the result"
            )
    first = sources[0]
    for source in sources[1:]:
        known, found = (
            [(info.name, info.boundary) for info in s.classes.classes]
            for s in (first, source)
        )
        if known != found:
            raise InputError(
                f"{source.folder}: its classes are {_listed(found)}; those of"
                f" {first.folder} are {_listed(known)}"
            )
    _check_shards(sources)
    _check_groups(sources)


def _listed(table: list[tuple[str, bool]]) -> str:
    return ", ".join(
        f"{name} (boundary)" if edge else name for name, edge in table
    )


def _check_shards(sources: Sequence[Manifest]) -> None:
    seen: dict[str, Manifest] = {}
    for source in sources:
        for shard in source.shards():
            other = seen.setdefault(shard.sha256, source)
            if other is not source:
                raise InputError(
                    f"{source.folder}: {shard.file} has the tiles of a shard"
                    f" in {other.folder}; state each set once"
                )


def _check_groups(sources: Sequence[Manifest]) -> None:
    trained = {
        group: source for source in sources for group in source.groups("train")
    }
    for source in sources:
        for group in source.groups("validation"):
            if group in trained:
                raise InputError(
                    f"{source.folder}: group {group!r} (patient) is in its"
                    f" validation and in {trained[group].folder}'s train;"
                    " ingest one of the two with other groups, or both at once"
                )


def _link(source: Place, target: pathlib.Path) -> None:
    try:
        # Resolved: a link to a link of its name would lead nowhere.
        os.link(os.path.realpath(str(source)), target)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        shutil.copyfile(str(source), target)
