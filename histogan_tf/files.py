"""Files that appear whole or not at all, and lists of input files.

In: bytes or a folder being filled, and folders or glob patterns to list.
Out: files and folders under their final name only once they are complete
(temporary sibling, fsync, rename), and sorted lists of paths.
"""

import contextlib
import errno
import glob
import os
import pathlib
import secrets
import shutil
import unicodedata
from collections.abc import Iterator

from histogan_tf.errors import InputError


def atomic_write(path: str | os.PathLike, data: bytes) -> None:
    """Writes `data` to `path`; readers see the old file or the new one."""
    path = pathlib.Path(path)
    temporary = _sibling(path)
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


@contextlib.contextmanager
def atomic_directory(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yields a temporary sibling of `path`, renamed to it on success.

    Raises:
      InputError: `path` exists already and is not an empty folder.
    """
    path = pathlib.Path(path)
    check_free(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _sibling(path)
    try:
        temporary.mkdir()
        yield temporary
        for entry in [*temporary.rglob("*"), temporary]:
            sync(entry)
        _rename_directory(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync(path.parent)


def check_free(path: str | os.PathLike) -> None:
    """Raises InputError if something other than an empty folder is there."""
    path = named(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise _taken(path)


def named(path: str | os.PathLike) -> pathlib.Path:
    """A path that names a file or folder.

    Raises:
      InputError: it is where the program runs, which cannot be replaced.
    """
    path = pathlib.Path(path)
    if path.resolve() == pathlib.Path.cwd():
        raise InputError(f"{path}: the program runs there; choose a new folder")
    return path


def _sibling(path: pathlib.Path) -> pathlib.Path:
    # Not by tempfile, whose files only their owner can read.
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")


def _rename_directory(temporary: pathlib.Path, path: pathlib.Path) -> None:
    try:
        os.replace(temporary, path)  # POSIX: over nothing or an empty folder
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        raise _taken(path) from error


def _taken(path: pathlib.Path) -> InputError:
    return InputError(f"{path}: exists already; choose a new folder")


def sync(path: pathlib.Path) -> None:
    """Flushes a file's bytes, or a folder's entries, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def composed(text: str) -> str:
    """A text in Unicode's form NFC; a Mac writes e and its accent as two."""
    return unicodedata.normalize("NFC", text)


def stem_of(path: str | os.PathLike) -> str:
    """A file's name without its ending; `a` of a.ome.tif, as in QuPath.

    Composed, so that names which look alike are alike.
    """
    return composed(pathlib.Path(path).stem).removesuffix(".ome")


def list_files(source: str, extensions: tuple[str, ...]) -> list[pathlib.Path]:
    """Files of a folder, a glob pattern or a single path, sorted by name.

    Args:
      source: a folder, a glob pattern (`**` goes into sub-folders) or a file;
        `~` is one's home. A folder's `[` stands for itself where there is
        such a folder and the pattern fits nothing else.
      extensions: lower-case endings with their dot; a folder's or pattern's
        files with other endings are passed over.

    Raises:
      InputError: nothing with such an ending is there, or a name that is no
        UTF-8, which neither a table nor JSON can hold.
    """
    if not os.path.exists(source):
        source = os.path.expanduser(source)
    if os.path.isfile(source):
        return [_utf8(source)]
    pattern = source
    if os.path.isdir(source):
        pattern = os.path.join(glob.escape(source), "*")
    # `**/**` finds each file more than once.
    found = sorted(
        _utf8(name)
        for name in {*_matches(pattern)}
        if name.lower().endswith(extensions) and os.path.isfile(name)
    )
    if not found:
        allowed = ", ".join(extensions)
        raise InputError(f"{source}: no file there ends in one of {allowed}")
    return found


def _matches(pattern: str) -> list[str]:
    found = glob.glob(pattern, recursive=True)
    folder = pathlib.Path(pattern).parent
    while not folder.is_dir():
        folder = folder.parent
    literal = glob.escape(str(folder))
    if not found and literal != str(folder):
        rest = pathlib.Path(pattern).relative_to(folder)
        found = glob.glob(os.path.join(literal, rest), recursive=True)
    return found


def _utf8(name: str) -> pathlib.Path:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InputError(
            f"{name!a}: the name is not UTF-8; rename it"
        ) from None
    return pathlib.Path(name)
