"""DICOM slides, of which every file of a series opens the whole.

In: paths. Out: the same, one file for each slide. OpenSlide takes any file of a
folder's series (a level, the label, an overview) for the slide
(https://openslide.org/formats/dicom/), so a folder would else be read as many
times as it has files.
"""

import pathlib
from collections.abc import Iterable

import openslide

ENDING = ".dcm"


def one_each(paths: Iterable[pathlib.Path]) -> list[pathlib.Path]:
    """The paths without second files of a slide, in their order.

    A file that cannot be opened stays: whoever reads it says why.
    """
    seen: set[tuple[pathlib.Path, str]] = set()
    kept = []
    for path in paths:
        if path.suffix.lower() == ENDING:
            key = path.parent, _series(path)
            if key in seen:
                continue
            seen.add(key)
        kept.append(path)
    return kept


def _series(path: pathlib.Path) -> str:
    """What all files of a slide have in common."""
    try:
        with openslide.OpenSlide(path) as slide:
            name = openslide.PROPERTY_NAME_QUICKHASH1
            return slide.properties.get(name, str(path))
    except openslide.OpenSlideError:
        return str(path)
