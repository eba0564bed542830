"""Long work that goes on where it was interrupted, SIGKILL included.

In: a target, and JSON values that decide what it will hold. Out: a work
folder beside it, `.<name>.work`, which stays when work stops and becomes the
target, or gives way to it, when all is done. `plan.json` in it holds the
values, so that unfinished work of other values is not continued.
"""

import contextlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

from histogan_tf.errors import InputError
from histogan_tf.files import atomic_write, sync

_PLAN = "plan.json"


def beside(target: pathlib.Path) -> pathlib.Path:
    """The work folder of a target."""
    return target.with_name(f".{target.name}.work")


def claim(folder: pathlib.Path, identity: dict[str, Any]) -> None:
    """Makes a work folder, or checks that it is of the same work.

    Raises:
      InputError: it is of other work; the message names the first difference.
    """
    path = folder / _PLAN
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(path, (json.dumps(identity, indent=1) + "\n").encode())
        return
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: damaged; remove {folder}") from error
    # Through JSON, as tuples become lists there.
    wanted = json.loads(json.dumps(identity))
    for key in sorted({*wanted, *there}):
        if there.get(key) != wanted.get(key):
            raise InputError(
                f"{folder}: unfinished work of another {key}:"
                f" {there.get(key)!r} there, {wanted.get(key)!r} now; remove"
                " the folder or state the same again"
            )


@contextlib.contextmanager
def lasting_directory(
    target: str | os.PathLike, identity: dict[str, Any]
) -> Iterator[pathlib.Path]:
    """Yields the work folder of `target`, which becomes it on success.

    Unlike `files.atomic_directory` it stays on failure: what was finished in
    it is found there the next time.

    Raises:
      InputError: `target` exists already and is not an empty folder, or the
        unfinished work is of another identity.
    """
    target = pathlib.Path(target)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target}: exists already; choose a new folder")
    folder = beside(target)
    claim(folder, identity)
    yield folder
    for leftover in _leftovers(folder):
        remove = shutil.rmtree if leftover.is_dir() else pathlib.Path.unlink
        remove(leftover)
    for entry in [*folder.rglob("*"), folder]:
        sync(entry)
    os.replace(folder, target)  # POSIX: over nothing or an empty folder
    # Last: a folder without a plan would pass for work of any identity.
    (target / _PLAN).unlink()
    sync(target)
    sync(target.parent)


def _leftovers(folder: pathlib.Path) -> list[pathlib.Path]:
    """What writers left that were killed: their files stand there whole."""
    found = [*folder.rglob(".*.work"), *folder.rglob(".*.tmp")]
    return [path for path in found if not {*path.parents} & {*found}]
