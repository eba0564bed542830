"""Files that appear whole or not at all, and lists of input files.

In: bytes or a folder being filled, and folders or glob patterns to list.
Out: files and folders under their final name only once they are complete
(temporary sibling, fsync, rename), and sorted lists of paths.
"""

import contextlib
import glob
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

from histogan_tf.errors import InputError


def atomic_write(path: str | os.PathLike, data: bytes) -> None:
    """Writes `data` to `path`; readers see the old file or the new one."""
    path = pathlib.Path(path)
    handle, temporary = tempfile.mkstemp(
        prefix=f".{path.name}.", suffix=".tmp", dir=path.parent
    )
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        pathlib.Path(temporary).unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


@contextlib.contextmanager
def atomic_directory(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yields a temporary sibling of `path`, renamed to it on success.

    Raises:
      InputError: `path` exists already and is not an empty folder.
    """
    path = pathlib.Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path}: exists already; choose a new folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = pathlib.Path(
        tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    )
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                sync_file(file)
        temporary.chmod(0o755)
        if path.exists():
            path.rmdir()
        os.replace(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_directory(path.parent)


def sync_file(path: pathlib.Path) -> None:
    """Flushes one file's bytes to the disk."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def sync_directory(path: pathlib.Path) -> None:
    """Flushes a folder's entries, so that a rename survives a crash."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def list_files(source: str, extensions: tuple[str, ...]) -> list[pathlib.Path]:
    """Files of a folder, a glob pattern or a single path, sorted by name.

    Args:
      source: a folder, a glob pattern (`**` goes into sub-folders) or a file.
      extensions: lower-case endings with their dot; a folder's or pattern's
        files with other endings are passed over.

    Raises:
      InputError: nothing with such an ending is there.
    """
    if os.path.isfile(source):
        return [pathlib.Path(source)]
    pattern = os.path.join(source, "*") if os.path.isdir(source) else source
    found = sorted(
        pathlib.Path(name)
        for name in glob.glob(pattern, recursive=True)
        if name.lower().endswith(extensions) and os.path.isfile(name)
    )
    if not found:
        allowed = ", ".join(extensions)
        raise InputError(f"{source}: no file there ends in one of {allowed}")
    return found
