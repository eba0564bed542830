"""Which files a program is to read, checked before any long work begins.

In: a folder, pattern or file, and a function that reads one file. Out: the
paths that can be read, and a name for each; or one error that names all that
cannot be read.
"""

import math
import pathlib
from collections.abc import Callable, Iterable
from typing import Any

from histogan_tf.errors import InputError, UnreadableError
from histogan_tf.files import list_files, stem_of
from histogan_tf.wild_folders import wild_folders

Progress = Callable[[int, int, str], None]


def check_scale(flag: str, value: float | None) -> None:
    """Raises InputError for um/px that is no number."""
    check_finite(flag, value, "um/px, 0.01..100,")


def check_finite(flag: str, value: float | None, allowed: str) -> None:
    """Raises InputError for what is no number (absl lets nan pass)."""
    if value is not None and not math.isfinite(value):
        raise InputError(f"--{flag} {value}: {allowed} is allowed")


def find(source: str, extensions: tuple[str, ...]) -> dict[pathlib.Path, str]:
    """Files, sorted, and what their outputs are named by.

    That is the stem, "a". Where files of different folders have one stem, the
    folders that the pattern's wildcards stand for come before: "p1/a".

    Raises:
      InputError: none is there, or two have one name.
    """
    paths = list_files(source, extensions)
    names = [stem_of(path) for path in paths]
    if len({*names}) < len(names):
        folder_of = wild_folders(source)
        names = [folder_of(path) + stem_of(path) for path in paths]
    seen: dict[str, pathlib.Path] = {}
    for name, path in zip(names, paths, strict=True):
        if name in seen:
            raise InputError(
                f"{path}: a second file named {name!r} beside {seen[name]};"
                " outputs are named by it"
            )
        seen[name] = path
    return {path: name for name, path in seen.items()}


def readable(
    paths: Iterable[pathlib.Path],
    read: Callable[[pathlib.Path], Any],
    skip_bad: bool | None,
    progress: Progress,
) -> tuple[list[pathlib.Path], list[UnreadableError]]:
    """Reads every file once and drops what it gave.

    Args:
      paths: files.
      read: raises UnreadableError for a file that is cut short or no image,
        and any InputError for other faults, which is never skipped.
      skip_bad: leave unreadable files out; None: there is no such choice.
      progress: called after each file.

    Returns:
      The good files and why the others are not.

    Raises:
      InputError: files are unreadable and not to be skipped, or all are.
    """
    good, bad, paths = [], [], list(paths)
    for place, path in enumerate(paths):
        try:
            read(path)
            good.append(path)
        except UnreadableError as error:
            bad.append(error)
        progress(place + 1, len(paths), f"check {path.name}")
    if bad and not skip_bad:
        hint = "" if skip_bad is None else " (--skip_bad goes on)"
        listed = "; ".join(map(str, bad))
        raise InputError(f"cannot read {len(bad)} files{hint}: {listed}")
    if not good:
        raise InputError(f"all {len(bad)} files are unreadable: {bad[0]}, ...")
    return good, bad
