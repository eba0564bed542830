"""Which files a viewer shows, and which it offers to download.

In: the image and the flags of `trainer.view`. Out: paths of overlays by name,
and of downloads; a folder that `trainer.segment` wrote is searched for those
of the image.
"""

import json
import pathlib

from histogan_tf.errors import InputError
from histogan_tf.files import stem_of


def overlays(
    image: pathlib.Path, mask: str | None, segmentation: str | None
) -> dict[str, pathlib.Path]:
    """Files by the overlay's name, in the order of drawing.

    Raises:
      InputError: the folder of --segmentation has no mask of the image, or
        nobody knows which.
    """
    found = {}
    if mask:
        found["mask"] = pathlib.Path(mask)
    if segmentation:
        found["segmentation"] = _mask_in(pathlib.Path(segmentation), image)
    return found


def downloads(
    image: pathlib.Path, named: list[str], segmentation: str | None
) -> list[pathlib.Path]:
    """Those that are named, and outlines and tables of the segmentation.

    Raises:
      InputError: a file is missing, or two have one name.
    """
    found = [pathlib.Path(name) for name in named]
    for path in found:
        if not path.is_file():
            raise InputError(f"--downloads {path}: no such file")
    if segmentation and (folder := pathlib.Path(segmentation)).is_dir():
        name = _name_in(folder, image)
        made = (
            folder / "outlines" / f"{name}.geojson",
            folder / "instances" / f"{name}.csv",
            folder / "areas.csv",
        )
        found += [path for path in made if path.is_file()]
    names = [path.name for path in found]
    for path in found:
        if names.count(path.name) > 1:
            raise InputError(f"--downloads {path}: two files of this name")
    return found


def _mask_in(given: pathlib.Path, image: pathlib.Path) -> pathlib.Path:
    if not given.is_dir():
        return given
    name = _name_in(given, image)
    wanted = [given / "masks" / f"{name}{end}" for end in (".ome.tif", ".png")]
    for path in wanted:
        if path.is_file():
            return path
    raise InputError(
        f"--segmentation {given}: neither {wanted[0]} nor {wanted[1].name}"
        " is there"
    )


def _name_in(folder: pathlib.Path, image: pathlib.Path) -> str:
    """What an image's results are named by: its stem, unless the record knows.

    Raises:
      InputError: the record is damaged, or has several such images.
    """
    record = folder / "segmentation.json"
    if record.is_file():
        try:
            entries = json.loads(record.read_text(encoding="utf-8"))["images"]
            names = {
                pathlib.Path(entry["file"]).resolve(): entry["name"]
                for entry in entries
                if stem_of(entry["file"]) == stem_of(image)
            }
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{record}: not a record of trainer.segment; remove it"
            ) from error
        if image.resolve() in names:
            return names[image.resolve()]
        if len(names) > 1:  # and the image was moved
            raise InputError(
                f"{record}: {image} may be any of"
                f" {', '.join(names.values())}; state its mask's file"
            )
        if names:
            return next(iter(names.values()))
    return stem_of(image)
