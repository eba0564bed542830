"""Which image belongs to which mask, instance mask and patient.

In: folders, glob patterns or files. Out: ImageFiles by name, one an image.
Files are paired by stem: `train_1.png` and, with the suffix `_anno`,
`train_1_anno.png`. A mask's stem may hold its image's ending: QuPath's scripts
write `a.svs.geojson` for `a.svs`. Groups (patients) come from a pattern over
the image's stem or from a CSV table.
"""

import csv
import dataclasses
import os
import pathlib
import re
from collections.abc import Callable, Container, Iterable

from histogan_tf.data.images import (
    IMAGE_EXTENSIONS,
    MASK_EXTENSIONS,
    SLIDE_EXTENSIONS,
)
from histogan_tf.errors import InputError
from histogan_tf.files import composed, list_files, stem_of

Extensions = tuple[str, ...]
Grouping = Callable[[pathlib.Path], str]


@dataclasses.dataclass(frozen=True)
class ImageFiles:
    """One image file, its patient, and its mask files where it has any."""

    image: pathlib.Path
    group: str
    mask: pathlib.Path | None = None
    instances: pathlib.Path | None = None

    @property
    def name(self) -> str:
        """The image's stem."""
        return stem_of(self.image)


def pair(
    images: str,
    masks: str,
    group_of: Grouping,
    suffix: str = "",
    instances: str | None = None,
    kinds: tuple[Extensions, Extensions] = (IMAGE_EXTENSIONS, MASK_EXTENSIONS),
) -> list[ImageFiles]:
    """Pairs every image with its mask (and instance mask).

    What `masks` or `instances` list too is no image, so that all may lie in one
    folder.

    Args:
      images: folder, glob pattern or file.
      masks: likewise.
      group_of: gives an image's group.
      suffix: ending of the masks' stems that the images' lack.
      instances: folder, pattern or file of instance masks; `suffix` holds
        for them too.
      kinds: endings of the images and of the masks.

    Raises:
      InputError: an image without a mask, a mask without an image, two files
        of one stem, or nothing there.
    """
    drawn = list_files(masks, kinds[1])
    files = list_files(instances, MASK_EXTENSIONS) if instances else []
    pictures = _others(list_files(images, kinds[0]), [*drawn, *files], images)
    found = _by_stem(pictures, "", "image")
    labels = _by_stem(drawn, suffix, "mask", found)
    _check_same(found, labels, "mask", masks, suffix)
    outlines: dict[str, pathlib.Path] = {}
    if instances is not None:
        outlines = _by_stem(files, suffix, "instance mask", found)
        _check_same(found, outlines, "instance mask", instances, suffix)
    return [
        ImageFiles(path, group_of(path), labels[name], outlines.get(name))
        for name, path in sorted(found.items())
    ]


def _others(
    images: list[pathlib.Path], masks: list[pathlib.Path], where: str
) -> list[pathlib.Path]:
    """The images that are no masks."""
    known = set(map(os.path.abspath, masks))
    found = [path for path in images if os.path.abspath(path) not in known]
    if not found:
        raise InputError(
            f"{where}: all {len(images)} files there are listed as masks too"
        )
    return found


def unlabelled(
    images: str, group_of: Grouping, kinds: Extensions = IMAGE_EXTENSIONS
) -> list[ImageFiles]:
    """Images without masks, sorted by path; stems may repeat."""
    return [
        ImageFiles(path, group_of(path)) for path in list_files(images, kinds)
    ]


def check_distinct(sources: Iterable[ImageFiles]) -> None:
    """Raises InputError where one file is given for two purposes."""
    seen: set[pathlib.Path] = set()
    for source in sources:
        path = source.image.resolve()
        if path in seen:
            raise InputError(
                f"{source.image}: given twice among --images, --test_images"
                " and --unlabelled"
            )
        seen.add(path)


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

    Raises:
      InputError: not a regular expression, or one without a capture group;
        later, a stem that the pattern does not match.
    """
    try:
        regex = re.compile(composed(pattern))
    except re.error as error:
        raise InputError(f"--group_by {pattern!r}: {error}") from error
    if not regex.groups:
        raise InputError(
            f"--group_by {pattern!r}: no (capture group) for the patient"
        )

    def group_of(path: pathlib.Path) -> str:
        name = stem_of(path)
        match = regex.search(name)
        if not match or not match[1]:
            what = "finds no patient in" if match else "does not match"
            raise InputError(f"{path}: --group_by {pattern!r} {what} {name!r}")
        return match[1]

    return group_of


def group_by_table(path: str | os.PathLike, column: str) -> Grouping:
    """Groups by a column of a CSV file whose first column names the images.

    Spaces around headers and cells are dropped; names may carry an image's or
    slide's ending.

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


def _by_stem(
    paths: list[pathlib.Path],
    suffix: str,
    what: str,
    images: Container[str] | None = None,
) -> dict[str, pathlib.Path]:
    found: dict[str, pathlib.Path] = {}
    suffix = composed(suffix)
    for path in paths:
        name = stem_of(path).removesuffix(suffix)
        if images is not None and name not in images:
            name = without_ending(name).removesuffix(suffix)
        if name in found:
            raise InputError(
                f"{path}: a second {what} named {name!r} beside {found[name]}"
            )
        found[name] = path
    return found


def _check_same(
    images: dict[str, pathlib.Path],
    masks: dict[str, pathlib.Path],
    what: str,
    where: str,
    suffix: str,
) -> None:
    _check_none(
        [images[name] for name in sorted(images.keys() - masks.keys())],
        f"no {what} of the same name (suffix {suffix!r}) in {where}; images"
        " without one go to --unlabelled",
    )
    _check_none(
        [masks[name] for name in sorted(masks.keys() - images.keys())],
        f"a {what} without an image of the same name (suffix {suffix!r})",
    )


def _check_none(paths: list[pathlib.Path], problem: str) -> None:
    if paths:
        more = f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
        raise InputError(f"{paths[0]}{more}: {problem}")
