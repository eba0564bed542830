"""Slides and their annotations become a folder of records.

In: SlideSettings. Out: the folder that `ingest.py` writes, of tiles: shards,
`classes.json`, `manifest.json`; it appears under its name only when complete.

Validation slides are drawn first, by whole groups (`splits.py`); all tiles of
a slide, and of a group, go to one split. Tiles are stored by parts in a work
folder and then put in a random order into the shards, so that no shard
holds one slide only; that takes twice the result's room for a while. An
interrupted run keeps its parts and what the search found (`slide_work.py`):
the same command goes on after the last whole one, also if slides were added or
changed meanwhile, and ends with the bytes that it would have had.
"""

import dataclasses
import itertools
import pathlib
from collections.abc import Callable
from typing import TypeVar

from histogan_tf import running
from histogan_tf.data import (
    annotations,
    classes,
    dicom_series,
    groups,
    ingest,
    manifest,
    pairs,
    records,
    slide_settings,
    slide_work,
    slides,
    splits,
)
from histogan_tf.data.classes import ClassTable
from histogan_tf.data.manifest import Kind, Manifest, Skipped
from histogan_tf.data.pairs import ImageFiles
from histogan_tf.data.parts import Entry
from histogan_tf.data.slide_cutter import Job
from histogan_tf.data.slide_grid import TilePlace
from histogan_tf.data.slide_settings import SlideSettings
from histogan_tf.data.slide_work import Keeper, Kept
from histogan_tf.errors import InputError
from histogan_tf.files import atomic_directory
from histogan_tf.running import Runner

Progress = Callable[[int, int, str], None]
Found = TypeVar("Found")

_ADVICE = (
    ", as what is not annotated is ignored; draw a large annotation of it round"
    " the others: the smallest shape wins"
)


@dataclasses.dataclass(frozen=True)
class Result:
    """The manifest, and notes on what was mended or is odd."""

    manifest: Manifest
    notes: tuple[str, ...]


def ingest_slides(
    settings: SlideSettings,
    progress: Progress = lambda *_: None,
    run: Runner = running.here,
) -> Result:
    """Reads all slides and writes the folder `settings.output`.

    Args:
      settings: what to read.
      progress: called in this thread with the number done, the number in all
        and a text; first for each slide searched, then for each tile.
      run: where slides are searched and cut; the work folder, beside the
        output, must be one for all.

    Raises:
      InputError: whatever is wrong with flags or files, in one line; another
        process is making this output, or unfinished work there is of other
        settings.
      OSError: the disk is full; the work folder stays.
    """
    table = classes.load(settings.classes)
    slide_settings.check(settings)
    jobs = make_plan(settings)
    with slide_work.keeping(settings, table, jobs) as kept:
        both = _Run(Keeper(table, settings), progress, run)
        stored = both.store(kept)
        if both.skipped and not settings.skip_bad:
            raise InputError(ingest.list_bad(both.skipped))
        made = _assemble(settings, table, stored, tuple(both.skipped))
    notes = both.notes + ingest.unlearnt(made, _ADVICE)
    return Result(made, tuple(notes))


def make_plan(settings: SlideSettings) -> list[Job]:
    """Decides which slide goes to which split; reads no pixels."""
    group_of = groups.grouping(
        settings.group_by, settings.groups, settings.group_column
    )
    given = pairs.pair(
        settings.images,
        settings.annotations,
        group_of,
        settings.mask_suffix,
        kinds=(slides.EXTENSIONS, annotations.EXTENSIONS),
    )
    held: list[ImageFiles] = []
    if settings.split == "train":
        given, held = splits.hold_out(given, settings.validation, settings.seed)
    jobs = [Job(source, settings.split) for source in given]
    jobs += [Job(source, "validation") for source in held]
    if settings.unlabelled:
        patients = {source.group for source in held} - {""}
        more = pairs.unlabelled(
            settings.unlabelled, group_of, slides.EXTENSIONS
        )
        images = set(dicom_series.one_each(s.image for s in more))
        jobs += [
            Job(s, "validation" if s.group in patients else "train")
            for s in more
            if s.image in images
        ]
    pairs.check_distinct(job.source for job in jobs)
    return jobs


@dataclasses.dataclass
class _Run:
    """One run: what it reads with, and what it has come to."""

    keeper: Keeper
    progress: Progress
    run: Runner
    skipped: list[Skipped] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    def store(self, kept: list[Kept]) -> dict[tuple[str, str], list[Entry]]:
        """Stores the tiles of all slides; entries by split and kind."""
        boxes = self._search(kept)
        if self.skipped and not self.keeper.settings.skip_bad:
            return {}
        ends = list(itertools.accumulate(map(len, boxes), initial=0))
        jobs = [one.job for one in kept]
        names = [*(job.source.name for job in jobs), ""]

        def tell(slides: int, done: int = 0) -> None:
            self.progress(ends[slides] + done, ends[-1], names[slides])

        stored: dict[tuple[str, str], list[Entry]] = {}
        pieces = list(zip(kept, boxes, strict=True))
        found = self.run(self.keeper.store, pieces, tell)
        for number, (job, entries) in enumerate(zip(jobs, found, strict=True)):
            for entry in self._taken(entries, []):
                stored.setdefault((job.split, entry.kind), []).append(entry)
            self.progress(ends[number + 1], ends[-1], names[number])
        return stored

    def _search(self, kept: list[Kept]) -> list[list[TilePlace]]:
        def tell(slides: int) -> None:
            self.progress(slides, len(kept), "search")

        boxes = []
        found = self.run(self.keeper.search, kept, tell)
        for number, (slide, one) in enumerate(zip(kept, found, strict=True)):
            places, notes = self._taken(one, ([], []))
            boxes.append(places)
            self.notes += notes
            name = slide.job.source.name
            self.progress(number + 1, len(kept), f"search {name}")
        return boxes

    def _taken(self, found: Found | Skipped, nothing: Found) -> Found:
        """What a slide gave; notes a slide that gave nothing."""
        if isinstance(found, Skipped):
            self.skipped.append(found)
            return nothing
        return found


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
