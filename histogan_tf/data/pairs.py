"""Which image belongs to which mask and instance mask.

In: folders, glob patterns or files. Out: ImageFiles by name, one an image.
Files are paired by stem: `train_1.png` and, with the suffix `_anno`,
`train_1_anno.png`. A mask's stem may hold its image's ending: QuPath's scripts
write `a.svs.geojson` for `a.svs`. Where images of different folders have one
stem, the folders that wildcards stand for must be the same as well:
`cases/*/images/*.png` and `cases/*/masks/*.png`.
"""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Container, Iterable

from histogan_tf.data.groups import Grouping, without_ending
from histogan_tf.data.images import IMAGE_EXTENSIONS, MASK_EXTENSIONS
from histogan_tf.errors import InputError
from histogan_tf.files import composed, list_files, stem_of
from histogan_tf.wild_folders import wild_folders

Extensions = tuple[str, ...]


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
        of one name, an image and its mask in folders of two patients, or
        nothing there.
    """
    drawn = list_files(masks, kinds[1])
    files = list_files(instances, MASK_EXTENSIONS) if instances else []
    pictures = _others(list_files(images, kinds[0]), [*drawn, *files], images)
    folders = wild_folders if _repeat(pictures) else _no_folders
    found = _by_name(pictures, folders(images), "", "image")
    labels = _by_name(drawn, folders(masks), suffix, "mask", found)
    _check_same(found, labels, "mask", masks, suffix)
    _check_folders(found, labels, wild_folders(images), wild_folders(masks))
    outlines: dict[str, pathlib.Path] = {}
    if instances:
        outlines = _by_name(
            files, folders(instances), suffix, "instance mask", found
        )
        _check_same(found, outlines, "instance mask", instances, suffix)
        _check_folders(
            found, outlines, wild_folders(images), wild_folders(instances)
        )
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


def _repeat(paths: list[pathlib.Path]) -> bool:
    return len({stem_of(path) for path in paths}) < len(paths)


def _no_folders(source: str) -> Callable[[pathlib.Path], str]:
    """Of different names, which alone are enough."""
    del source
    return lambda path: ""


def _by_name(
    paths: list[pathlib.Path],
    folders: Callable[[pathlib.Path], str],
    suffix: str,
    what: str,
    images: Container[str] | None = None,
) -> dict[str, pathlib.Path]:
    found: dict[str, pathlib.Path] = {}
    suffix = composed(suffix)
    for path in paths:
        stem = stem_of(path).removesuffix(suffix)
        name = folders(path) + stem
        if images is not None and name not in images:
            name = folders(path) + without_ending(stem).removesuffix(suffix)
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
    if bare := sorted(images.keys() - masks.keys()):
        raise InputError(
            f"{images[bare[0]]}{_more(bare)}: no {what} of the same name"
            f" ({bare[0]!r}, suffix {suffix!r}) in {where}; images without one"
            " go to --unlabelled"
        )
    if left := sorted(masks.keys() - images.keys()):
        raise InputError(
            f"{masks[left[0]]}{_more(left)}: a {what} without an image of the"
            f" same name ({left[0]!r}, suffix {suffix!r})"
        )


def _more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


def _check_folders(
    images: dict[str, pathlib.Path],
    masks: dict[str, pathlib.Path],
    of_image: Callable[[pathlib.Path], str],
    of_mask: Callable[[pathlib.Path], str],
) -> None:
    """Where both lie in the same patients' folders, each stays in its own."""
    pairs = [(path, masks[name]) for name, path in images.items()]
    if {of_image(i) for i, _ in pairs} != {of_mask(m) for _, m in pairs}:
        return  # folders of another meaning
    for image, mask in pairs:
        if of_image(image) != of_mask(mask):
            raise InputError(
                f"{image}: the mask of its name, {mask}, is in another folder;"
                " name it as its own image"
            )
