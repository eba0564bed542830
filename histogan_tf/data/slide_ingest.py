"""Slides and their annotations become a folder of records.

In: SlideSettings. Out: the folder that `ingest.py` writes, of tiles: shards,
`classes.json`, `manifest.json`; it appears under its name only when complete.

Validation slides are drawn first, by whole groups (`splits.py`); all tiles of
a slide, and of a group, go to one split. Tiles are stored by parts in a work
folder and then put in a random order into the shards, so that no shard
holds one slide only; that takes twice the result's room for a while. An
interrupted run keeps its parts: the same command goes on after the last whole
one, and ends with the bytes that it would have had.
"""

import dataclasses
import functools
import itertools
import pathlib
from collections.abc import Callable, Iterator
from typing import TypeVar

from histogan_tf.data import (
    annotations,
    classes,
    ingest,
    manifest,
    pairs,
    parts,
    records,
    slide_settings,
    slide_tiles,
    slides,
    splits,
    tiles,
)
from histogan_tf.data.classes import ClassTable
from histogan_tf.data.images import UnreadableError
from histogan_tf.data.in_order import in_order
from histogan_tf.data.manifest import ImageInfo, Kind, Manifest, Skipped
from histogan_tf.data.pairs import Source
from histogan_tf.data.parts import Entry
from histogan_tf.data.slide_grid import Box
from histogan_tf.data.slide_settings import SlideSettings
from histogan_tf.data.slide_work import work_folder
from histogan_tf.errors import InputError
from histogan_tf.files import atomic_directory, check_free

Progress = Callable[[int, int, str], None]
Item = TypeVar("Item")

# Pixels a part: what an interruption costs, and what memory holds, encoded.
PART_PIXELS = 16 << 20


@dataclasses.dataclass(frozen=True)
class Job:
    """One slide and the split that its tiles go to."""

    source: Source
    split: str


@dataclasses.dataclass(frozen=True)
class Result:
    """The manifest, and notes on what was mended or is odd."""

    manifest: Manifest
    notes: tuple[str, ...]


def ingest_slides(
    settings: SlideSettings, progress: Progress = lambda *_: None
) -> Result:
    """Reads all slides and writes the folder `settings.output`.

    Args:
      settings: what to read.
      progress: called in this thread with the number done, the number in all
        and a text; first for each slide searched, then for each tile.

    Raises:
      InputError: whatever is wrong with flags or files, in one line.
      OSError: the disk is full; the work folder stays.
    """
    table = classes.load(settings.classes)
    slide_settings.check(settings)
    check_free(settings.output)
    jobs = make_plan(settings)
    read = [j.source.image for j in jobs]
    read += [j.source.mask for j in jobs if j.source.mask is not None]
    with work_folder(settings, [pathlib.Path(settings.classes), *read]) as work:
        run = _Run(settings, table, work, progress)
        stored = run.store(jobs)
        if run.skipped and not settings.skip_bad:
            raise InputError(ingest.list_bad(run.skipped))
        made = _assemble(settings, table, stored, tuple(run.skipped))
    return Result(made, tuple(run.notes))


def make_plan(settings: SlideSettings) -> list[Job]:
    """Decides which slide goes to which split; reads no pixels."""
    group_of = pairs.grouping(
        settings.group_by, settings.groups, settings.group_column
    )
    given = pairs.pair(
        settings.images,
        settings.annotations,
        group_of,
        settings.mask_suffix,
        kinds=(slides.EXTENSIONS, annotations.EXTENSIONS),
    )
    held: list[Source] = []
    if settings.split == "train":
        given, held = splits.hold_out(given, settings.validation, settings.seed)
    jobs = [Job(source, settings.split) for source in given]
    jobs += [Job(source, "validation") for source in held]
    if settings.unlabelled:
        groups = {source.group for source in held} - {""}
        jobs += [
            Job(s, "validation" if s.group in groups else "train")
            for s in pairs.unlabelled(
                settings.unlabelled, group_of, slides.EXTENSIONS
            )
        ]
    pairs.check_distinct(job.source for job in jobs)
    return jobs


@dataclasses.dataclass
class _Run:
    """One run: what it reads with, and what it has come to."""

    settings: SlideSettings
    table: ClassTable
    work: pathlib.Path
    progress: Progress
    skipped: list[Skipped] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    def store(self, jobs: list[Job]) -> dict[tuple[str, str], list[Entry]]:
        """Stores the tiles of all slides; entries by split and kind."""
        boxes = list[list[Box]]()
        for number, job in enumerate(jobs):
            search = functools.partial(self._search, job.source)
            boxes.append(self._careful(search))
            self.progress(number + 1, len(jobs), f"search {job.source.name}")
        if self.skipped and not self.settings.skip_bad:
            return {}
        total, done = sum(map(len, boxes)), 0
        stored: dict[tuple[str, str], list[Entry]] = {}
        for number, (job, places) in enumerate(zip(jobs, boxes, strict=True)):
            show = functools.partial(self._show, done, total, job.source.name)
            store = functools.partial(
                self._slide, job.source, number, places, show
            )
            for entry in self._careful(store):
                stored.setdefault((job.split, entry.kind), []).append(entry)
            done += len(places)
        return stored

    def _careful(self, work: Callable[[], list[Item]]) -> list[Item]:
        """Does a slide's work; notes a slide that is unreadable."""
        try:
            return work()
        except UnreadableError as error:
            self.skipped.append(Skipped(str(error.path), error.reason))
            return []

    def _show(self, before: int, total: int, name: str, done: int) -> None:
        self.progress(before + done, total, name)

    def _search(self, source: Source) -> list[Box]:
        with slide_tiles.open_tiles(source, self.table, self.settings) as slide:
            boxes = slide.boxes()
            if slide.labels:
                self.notes += slide.labels.notes
        if not boxes:
            self.notes.append(f"{source.image}: no tissue found")
        return boxes

    def _slide(
        self,
        source: Source,
        number: int,
        boxes: list[Box],
        show: Callable[[int], None],
    ) -> list[Entry]:
        """Stores the parts of a slide that are not stored yet."""
        count = max(1, PART_PIXELS // self.settings.tile_px**2)
        paths = [
            self.work / f"{number:06d}-{first:08d}.part"
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
                    show(part * count + len(wanted))
        show(len(boxes))
        return list(itertools.chain(*map(parts.entries, paths)))

    def _encoded(
        self, slide: slide_tiles.SlideTiles, boxes: list[Box]
    ) -> Iterator[tuple[bytes, ImageInfo]]:
        def load(box: Box) -> tuple[bytes, ImageInfo]:
            tile = slide.read(box)
            return records.encode(tile), tiles.describe(tile, self.table.count)

        return in_order(load, boxes, self.settings.workers)


def _assemble(
    settings: SlideSettings,
    table: ClassTable,
    stored: dict[tuple[str, str], list[Entry]],
    skipped: tuple[Skipped, ...],
) -> Manifest:
    """Puts all tiles into shards, in the order that the seed gives."""
    if (settings.split, "labelled") not in stored:
        raise InputError(
            f"{settings.annotations}: no tile of {settings.split} has an"
            " annotated pixel"
        )
    with atomic_directory(settings.output) as folder:
        written = {}
        for place in itertools.product(manifest.SPLITS, manifest.KINDS):
            if place in stored:
                entries = splits.shuffled(stored[place], settings.seed)
                written[place] = Kind(
                    records.write_shards(
                        folder,
                        *place,
                        (entry.read() for entry in entries),
                        int(settings.shard_mb * 2**20),
                    ),
                    tuple(entry.info for entry in entries),
                )
        result = Manifest(
            command=settings.command,
            seed=settings.seed,
            classes=table,
            splits=ingest.gather(written),
            skipped=skipped,
            folder=pathlib.Path(settings.output),
        )
        ingest.write_description(folder, result)
    return result
