"""Long work that goes on where it was interrupted, SIGKILL included.

In: a target, and JSON values that decide what it will hold. Out: a work
folder beside it, `.<name>.work`, which stays when work stops and becomes the
target, or gives way to it, when all is done. `plan.json` in it holds the
values, so that unfinished work of other values is not continued. One process
at a time: the lock is beside the work folder, `.<name>.work.lock`.
"""

import contextlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

from histogan_tf import files, locks
from histogan_tf.errors import BusyError, InputError
from histogan_tf.files import atomic_write, named, sync

PLAN = "plan.json"
# In a work folder: what only a resumption needs; never published.
NOTES = ".notes"
_SHOWN = 200


def beside(target: pathlib.Path) -> pathlib.Path:
    """The work folder of a target.

    Raises:
      InputError: the target is where the program runs.
    """
    target = named(target)
    return target.with_name(f".{target.name}.work")


@contextlib.contextmanager
def alone(folder: pathlib.Path, what: str) -> Iterator[None]:
    """Keeps other processes from a work folder; leaves no lock file.

    Args:
      folder: of the work; it need not exist yet.
      what: is done there, as in "out is being made".

    Raises:
      BusyError: another process is at work there; the message says which.
    """
    # Beside it: on NFS a folder that holds an open file cannot be removed.
    lock = folder.with_name(f"{folder.name}.lock")
    with locks.held(lock, what):
        # Then its holder took it away just now, and a third could lock anew.
        if not lock.exists():
            raise BusyError(f"{lock}: another process has just ended here")
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def claim(folder: pathlib.Path, identity: dict[str, Any]) -> None:
    """Makes a work folder, or checks that it is of the same work.

    Raises:
      InputError: it is of other work; the message names the first difference.
    """
    path = folder / PLAN
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(path, (json.dumps(identity, indent=1) + "\n").encode())
        return
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: damaged; remove {folder}") from error
    # Through JSON, as tuples become lists there.
    check_same(there, json.loads(json.dumps(identity)), folder)


def check_same(
    there: dict[str, Any], wanted: dict[str, Any], place: pathlib.Path
) -> None:
    """Raises InputError, naming the first difference, if there is one."""
    for key in sorted({*wanted, *there}):
        if there.get(key) != wanted.get(key):
            raise InputError(
                f"{place}: unfinished work of another {key}:"
                f" {_short(there.get(key))} there, {_short(wanted.get(key))}"
                " now; remove the folder or state the same again"
            )


def remove(path: pathlib.Path) -> None:
    """Removes a file or a folder; neither need be there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def give_up(folder: pathlib.Path) -> None:
    """Removes work that is not to be continued."""
    # Notes first: without their plan, after a kill, others would adopt them.
    remove(folder / NOTES)
    remove(folder)


def check_free(target: str | os.PathLike) -> None:
    """As `files.check_free`, before long work; its end may be unfinished."""
    if not (pathlib.Path(target) / PLAN).exists():
        files.check_free(target)


@contextlib.contextmanager
def lasting_directory(
    target: str | os.PathLike, identity: dict[str, Any]
) -> Iterator[pathlib.Path]:
    """Yields the work folder of `target`, which becomes it on success.

    Unlike `files.atomic_directory` it stays on failure: what was finished in
    it is found there the next time. `NOTES` in it is never published.

    Raises:
      InputError: `target` exists already and is not an empty folder, another
        process is making it, or the unfinished work is of another identity.
    """
    target = pathlib.Path(target)
    folder = beside(target)
    with alone(folder, f"{target} is being made"):
        _take_back(folder, target, identity)
        files.check_free(target)
        claim(folder, identity)
        yield folder
        _publish(folder, target)


def _take_back(
    folder: pathlib.Path, target: pathlib.Path, identity: dict[str, Any]
) -> None:
    """Undoes a `_publish` of the same work that was killed half-way."""
    with contextlib.suppress(OSError, ValueError):
        there = json.loads((target / PLAN).read_text(encoding="utf-8"))
        if there == json.loads(json.dumps(identity)) and not folder.exists():
            os.replace(target, folder)


def _publish(folder: pathlib.Path, target: pathlib.Path) -> None:
    for leftover in _leftovers(folder):
        remove(leftover)
    for inner in sorted(folder.rglob("*"), reverse=True):
        # Its files were of something that is gone.
        if inner.is_dir() and not any(inner.iterdir()):
            inner.rmdir()
    for entry in [*folder.rglob("*"), folder]:
        sync(entry)
    os.replace(folder, target)  # POSIX: over nothing or an empty folder
    # Only now: a kill before leaves what a resumption needs. The plan last:
    # a folder without one would pass for work of any identity.
    remove(target / NOTES)
    (target / PLAN).unlink()
    sync(target)
    sync(target.parent)


def _leftovers(folder: pathlib.Path) -> list[pathlib.Path]:
    """What writers left that were killed: their files stand there whole."""
    found = [*folder.rglob(".*.work"), *folder.rglob(".*.tmp")]
    return [path for path in found if not {*path.parents} & {*found}]


def _short(value: Any) -> str:
    """A value in an error's one line."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."
