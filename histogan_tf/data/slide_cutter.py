"""What ingest does to one slide: its tiles are found, then stored by parts.

In: a source, settings, the class table, the work folder. Out: the boxes worth
storing, with notes; the entries of the stored tiles. Both take the slide alone,
so that any `running.Runner` may send them to another machine that sees the
same folders. A part that is there already is not made again.
"""

import dataclasses
import itertools
import pathlib
from collections.abc import Callable, Iterator
from typing import TypeVar

from histogan_tf.data import parts, records, slide_tiles, tiles
from histogan_tf.data.classes import ClassTable
from histogan_tf.data.in_order import in_order
from histogan_tf.data.manifest import ImageInfo, Skipped
from histogan_tf.data.pairs import ImageFiles
from histogan_tf.data.parts import Entry
from histogan_tf.data.slide_grid import TilePlace
from histogan_tf.data.slide_settings import SlideSettings
from histogan_tf.errors import UnreadableError
from histogan_tf.running import Inside

Found = TypeVar("Found")

# Pixels a part: what an interruption costs, and what memory holds, encoded.
PART_PIXELS = 16 << 20


@dataclasses.dataclass(frozen=True)
class Job:
    """One slide and the split that its tiles go to."""

    source: ImageFiles
    split: str


@dataclasses.dataclass(frozen=True)
class Cutter:
    """What is done to one slide, wherever a runner does it."""

    table: ClassTable
    settings: SlideSettings
    work: pathlib.Path

    def search(
        self, job: Job, _: Inside
    ) -> tuple[list[TilePlace], list[str]] | Skipped:
        """The tiles worth storing, and notes."""
        return _careful(lambda: self._search(job.source))

    def store(
        self, source: ImageFiles, boxes: list[TilePlace], inside: Inside
    ) -> list[Entry] | Skipped:
        """Stores the parts of a slide that are not stored yet."""
        return _careful(lambda: self._store(source, boxes, inside))

    def _search(self, source: ImageFiles) -> tuple[list[TilePlace], list[str]]:
        with slide_tiles.open_tiles(source, self.table, self.settings) as slide:
            boxes = slide.boxes()
            notes = [note] if (note := slide.slide.scale_note) else []
            notes += slide.labels.notes if slide.labels else ()
        if not boxes:
            notes.append(f"{source.image}: no tissue found")
        return boxes, notes

    def _store(
        self, source: ImageFiles, boxes: list[TilePlace], inside: Inside
    ) -> list[Entry]:
        count = max(1, PART_PIXELS // self.settings.tile_px**2)
        paths = [
            self.work / f"{first:08d}.part"
            for first in range(0, len(boxes), count)
        ]
        missing = [n for n, path in enumerate(paths) if not path.exists()]
        if missing:
            with slide_tiles.open_tiles(
                source, self.table, self.settings
            ) as slide:
                for part in missing:
                    wanted = boxes[part * count : (part + 1) * count]
                    parts.write(paths[part], list(self._encoded(slide, wanted)))
                    inside(part * count + len(wanted))
        return list(itertools.chain(*map(parts.entries, paths)))

    def _encoded(
        self, slide: slide_tiles.SlideTiles, boxes: list[TilePlace]
    ) -> Iterator[tuple[bytes, ImageInfo]]:
        def load(box: TilePlace) -> tuple[bytes, ImageInfo]:
            tile = slide.read(box)
            return records.encode(tile), tiles.describe(tile, self.table.count)

        return in_order(load, boxes, self.settings.workers)


def _careful(work: Callable[[], Found]) -> Found | Skipped:
    """Does a slide's work, unless the slide is unreadable."""
    try:
        return work()
    except UnreadableError as error:
        return Skipped(str(error.path), error.reason)
