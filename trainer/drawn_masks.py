"""Annotations as masks of canvases: QuPath's GeoJSON, ASAP's XML.

In: files of polygons, and what they were drawn on: a slide, or its size and
um/px. Out: class ids by windows at any um/px; they are painted as they are
read, never as a whole.
"""

import pathlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from histogan_tf.errors import InputError
from histogan_tf.files import composed, list_files, stem_of

if TYPE_CHECKING:
    from histogan_tf.data.annotations import Frame, Labels
    from histogan_tf.data.classes import ClassTable
    from histogan_tf.sources import Source

_JSON = ".json"
_ENDINGS = (".geojson", ".xml", _JSON)
_LARGEST = 10**6


@dataclass(frozen=True)
class DrawnMasks:
    """Opens annotations.

    `reference` is a slide, or a folder or pattern of slides of the same
    names; without it `size` (height, width) and `mpp` say it. `mpp` overrides
    the slide's um/px.
    """

    table: "ClassTable"
    reference: str | None
    size: tuple[int, int] | None
    mpp: float | None

    def open(self, path: pathlib.Path, mpp: float) -> "Source":
        """Class ids at `mpp` um/px, 255 where nothing is annotated.

        Raises:
          InputError: see `data/annotations.py`; nothing says what it was
            drawn on.
        """
        from histogan_tf import sources

        frame, labels = self.frame(path), self.labels(path)
        height, width = (
            max(1, round(n * frame.mpp / mpp))
            for n in (frame.height, frame.width)
        )
        return sources.at_scale((height, width), labels.read, mpp)

    def labels(self, path: pathlib.Path) -> "Labels":
        """The annotations, with notes on what was mended."""
        from histogan_tf.data import annotations

        return annotations.open_drawn(path, self.table, self.frame(path))

    def scale_note(self, path: pathlib.Path) -> str | None:
        """A line where the slide states another um/px than `mpp`."""
        from histogan_tf.data import slides

        if not self.reference:
            return None
        found = _reference(self.reference, path)
        with slides.open_slide(found, self.mpp) as slide:
            return slide.scale_note

    def frame(self, path: pathlib.Path) -> "Frame":
        """What a file was drawn on."""
        from histogan_tf.data import annotations, slides

        if self.reference:
            if self.size:
                raise InputError(
                    "--reference and --canvas_size: state one of them"
                )
            found = _reference(self.reference, path)
            with slides.open_slide(found, self.mpp) as slide:
                return annotations.frame_of(slide)
        if self.size and self.mpp:
            return annotations.Frame(*self.size, self.mpp)
        raise InputError(
            f"{path}: annotations need --reference SLIDE, or --canvas_size"
            " and --mpp"
        )

    def describe(self, path: pathlib.Path) -> dict[str, Any]:
        """What decides the mask beside its file, as JSON values."""
        frame = self.frame(path)
        return {
            "drawn_on": {
                "height": frame.height,
                "width": frame.width,
                "mpp": frame.mpp,
                "origin": list(frame.origin),
            }
        }


def endings(source: str) -> tuple[str, ...]:
    """Endings of annotations in a folder, a glob pattern or a file's path.

    .json has other uses: it counts where the source itself ends so.
    """
    named = source.lower().endswith(_JSON)
    return _ENDINGS if named else tuple(e for e in _ENDINGS if e != _JSON)


def has_drawn_ending(path: pathlib.Path) -> bool:
    """Whether a file is called as annotations are."""
    return path.suffix.lower() in _ENDINGS


def size_of(text: str | None) -> tuple[int, int] | None:
    """Reads --canvas_size.

    Raises:
      InputError: it is not HEIGHTxWIDTH, each 1 to a million.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,7})x(\d{1,7})", text.strip())
    height, width = map(int, match.groups()) if match else (0, 0)
    if not 1 <= min(height, width) <= max(height, width) <= _LARGEST:
        raise InputError(
            f"--canvas_size {text!r}: HEIGHTxWIDTH in px is allowed, each 1 to"
            f" {_LARGEST}"
        )
    return height, width


def _reference(source: str, path: pathlib.Path) -> pathlib.Path:
    from histogan_tf.data.groups import without_ending
    from histogan_tf.data.slides import EXTENSIONS as SLIDES

    if pathlib.Path(source).is_file():
        return pathlib.Path(source)
    # QuPath's scripts write a.svs.geojson for a.svs.
    stem = stem_of(path)
    names = (stem, without_ending(stem))
    found = [s for s in list_files(source, SLIDES) if stem_of(s) in names]
    if not found:
        raise InputError(f"--reference {source}: no slide named {stem} there")
    whole = [s for s in found if composed(s.name).lower() == stem.lower()]
    found = whole or [s for s in found if stem_of(s) == stem] or found
    if len(found) > 1:
        raise InputError(
            f"--reference {source}: {found[0]} and {found[1]} may both be what"
            f" {path} was drawn on; state the slide itself"
        )
    return found[0]
