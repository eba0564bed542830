"""Which files a viewer shows, and which it offers to download.

In: the image and the flags of `trainer.view`. Out: paths of overlays by name,
and of downloads; a folder that `trainer.segment` wrote is searched for those
of the image.
"""

import pathlib

from histogan_tf.errors import InputError
from histogan_tf.files import stem_of


def overlays(
    image: pathlib.Path, mask: str | None, segmentation: str | None
) -> dict[str, pathlib.Path]:
    """Files by the overlay's name, in the order of drawing.

    Raises:
      InputError: the folder of --segmentation has no mask of the image.
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
        made = (
            folder / "outlines" / f"{stem_of(image)}.geojson",
            folder / "instances" / f"{stem_of(image)}.csv",
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
    wanted = [
        given / "masks" / f"{stem_of(image)}{end}"
        for end in (".ome.tif", ".png")
    ]
    for path in wanted:
        if path.is_file():
            return path
    raise InputError(
        f"--segmentation {given}: neither {wanted[0]} nor {wanted[1].name}"
        " is there"
    )
