"""Which patient an image belongs to.

In: what the flags state, a pattern or a CSV table. Out: a Grouping, which gives
the group of an image's file; "" where none is stated. Images of one group are
never both trained on and held out.
"""

import csv
import os
import pathlib
import re
from collections.abc import Callable

from histogan_tf.data.images import IMAGE_EXTENSIONS, SLIDE_EXTENSIONS
from histogan_tf.errors import InputError
from histogan_tf.files import composed, stem_of

Grouping = Callable[[pathlib.Path], str]


def grouping(
    pattern: str | None, table: str | None, column: str | None
) -> Grouping:
    """The grouping that flags state: --group_by, --groups, --group_column."""
    if pattern:
        return group_by_pattern(pattern)
    if table and column:
        return group_by_table(table, column)
    return no_groups


def no_groups(path: pathlib.Path) -> str:
    """The grouping of those who state none."""
    return ""


def group_by_pattern(pattern: str) -> Grouping:
    """Groups by the first capture group of a pattern found in the stem.

    A pattern with a slash (but for one within brackets, `[^/]`) is looked for
    in the whole path, where `/` parts folders.

    Raises:
      InputError: not a regular expression, or one without a capture group;
        later, a stem that the pattern does not match.
    """
    try:
        regex = re.compile(composed(pattern))
    except re.error as error:
        raise InputError(f"--group_by {pattern!r}: {error}") from error
    folders = "/" in re.sub(r"\[[^]]*\]", "", pattern)
    if not regex.groups:
        raise InputError(
            f"--group_by {pattern!r}: no (capture group) for the patient"
        )

    def group_of(path: pathlib.Path) -> str:
        name = composed(path.as_posix()) if folders else stem_of(path)
        match = regex.search(name)
        if not match or not match[1]:
            what = "finds no patient in" if match else "does not match"
            raise InputError(f"{path}: --group_by {pattern!r} {what} {name!r}")
        return match[1]

    return group_of


def group_by_table(path: str | os.PathLike, column: str) -> Grouping:
    """Groups by a column of a CSV file whose first column names the images.

    Spaces around headers and cells are dropped; names may carry an image's or
    slide's ending. Files of one name are one to a table.

    Raises:
      InputError: no such file or column, or a name stated with two groups;
        later, an image that the table does not name.
    """
    rows, column = _read_table(path), composed(column)
    header = rows[0] if rows else []
    if column not in header:
        allowed = ", ".join(header)
        raise InputError(
            f"{path}: --group_column {column!r}; its columns are {allowed}"
        )
    place = header.index(column)
    groups: dict[str, str] = {}
    for row in rows[1:]:
        name, group = without_ending(row[0]), row[place]
        if not group or groups.setdefault(name, group) != group:
            raise InputError(
                f"{path}: {name}: column {column!r} is {group!r}; one group"
                " each is needed"
            )

    def group_of(image: pathlib.Path) -> str:
        if stem_of(image) not in groups:
            raise InputError(f"{image}: not named in --groups {path}")
        return groups[stem_of(image)]

    return group_of


def _read_table(path: str | os.PathLike) -> list[list[str]]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = [
                [composed(cell.strip()) for cell in row]
                for row in csv.reader(file)
            ]
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a CSV table: {error}") from error
    rows = [row for row in rows if any(row)]
    if rows and len(rows[0]) == 1 and re.search("[;\t]", rows[0][0]):
        raise InputError(
            f"{path}: one column, {rows[0][0]!r}; commas are needed between"
            " cells"
        )
    for line, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise InputError(
                f"{path}: row {line} has {len(row)} cells, the header has"
                f" {len(rows[0])}"
            )
    return rows


def without_ending(name: str) -> str:
    """A name without an image's or slide's ending, if it has one."""
    known = (*IMAGE_EXTENSIONS, *SLIDE_EXTENSIONS)
    ending = next((e for e in known if name.lower().endswith(e)), "")
    # As stem_of does, so that both find the same name.
    return name[: len(name) - len(ending)].removesuffix(".ome")
