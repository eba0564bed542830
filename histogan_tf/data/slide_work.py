"""What an ingest of slides keeps, so that it survives interruptions.

In: settings and slides. Out: a hidden folder beside the one that is to be made,
with a folder for each slide: its boxes once they are found, and its parts. An
interruption leaves it, unless nothing is kept yet; it goes once the result
stands under its name. One process at a time.

The same command goes on there. What is kept of a slide counts as long as the
slide, its annotations and its group are what they were: a slide that changed
or is new is cut, one that is gone is dropped, the others stay. If settings
differ that decide the tiles or the files, that is an error: a mistyped flag
must not cost the work of hours.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

from histogan_tf import work_folder
from histogan_tf.data.classes import ClassTable
from histogan_tf.data.manifest import Skipped
from histogan_tf.data.pairs import ImageFiles
from histogan_tf.data.parts import Entry
from histogan_tf.data.slide_cutter import Cutter, Job
from histogan_tf.data.slide_grid import TilePlace
from histogan_tf.data.slide_settings import SlideSettings
from histogan_tf.files import atomic_write, check_free, named
from histogan_tf.running import Inside

_SEARCH = "search.json"
# Neither the tiles nor the list of files depend on them.
_FREE = (
    "command",
    "output",
    "workers",
    "skip_bad",
    "seed",
    "validation",
    "split",
    "shard_mb",
)
Found = tuple[list[TilePlace], list[str]]


@dataclasses.dataclass(frozen=True)
class Kept:
    """A slide, and the folder of what is kept of it."""

    job: Job
    folder: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Keeper:
    """Finds and stores tiles; what is kept already is not made again."""

    table: ClassTable
    settings: SlideSettings

    def search(self, slide: Kept, inside: Inside) -> Found | Skipped:
        """The tiles worth storing, and notes."""
        path = slide.folder / _SEARCH
        there = _read(path)
        if there is not None:
            return there
        found = self._cutter(slide).search(slide.job, inside)
        if not isinstance(found, Skipped):
            slide.folder.mkdir(exist_ok=True)
            _write(path, found)
        return found

    def store(
        self, piece: tuple[Kept, list[TilePlace]], inside: Inside
    ) -> list[Entry] | Skipped:
        """Stores the parts of a slide that are not stored yet."""
        slide, boxes = piece
        return self._cutter(slide).store(slide.job.source, boxes, inside)

    def _cutter(self, slide: Kept) -> Cutter:
        return Cutter(self.table, self.settings, slide.folder)


@contextlib.contextmanager
def keeping(
    settings: SlideSettings, table: ClassTable, jobs: Sequence[Job]
) -> Iterator[list[Kept]]:
    """Yields the slides with their folders, which go if all ends well.

    Args:
      settings: what is asked for; `output` gives the work folder's name.
      table: the classes; the file that holds them does not matter.
      jobs: slides; the sizes and times of their files are compared.

    Raises:
      InputError: the output exists, another process is making it, or the
        unfinished work there is of other settings.
    """
    output = named(settings.output)
    folder = output.with_name(f".{output.name}.partial")
    with work_folder.alone(folder, f"{output} is being made"):
        check_free(output)
        work_folder.claim(folder, _decisive(settings, table))
        slides = [Kept(job, folder / _key(job.source)) for job in jobs]
        _drop_others(folder, slides)
        try:
            yield slides
        except BaseException:
            # Nothing to go on with: a wrong flag should leave no trace.
            if [path.name for path in folder.iterdir()] == [work_folder.PLAN]:
                shutil.rmtree(folder)
            raise
        shutil.rmtree(folder)


def _decisive(settings: SlideSettings, table: ClassTable) -> dict[str, Any]:
    """Settings that must be the same when an interrupted ingest goes on."""
    values = dataclasses.asdict(settings) | {"classes": table.to_json()}
    return {name: values[name] for name in values if name not in _FREE}


def _key(source: ImageFiles) -> str:
    """The folder's name: another for whatever makes other tiles of it."""
    files = [source.image, *([source.mask] if source.mask else [])]
    facts = [source.name, source.group, *map(_state, files)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _state(path: pathlib.Path) -> list[str | int]:
    # Not its hash: slides have gigabytes.
    stat = os.stat(path)
    return [str(path.resolve()), stat.st_size, stat.st_mtime_ns]


def _drop_others(folder: pathlib.Path, slides: list[Kept]) -> None:
    """Removes what is of slides that changed or are gone: it takes room."""
    wanted = {slide.folder.name for slide in slides} | {work_folder.PLAN}
    for path in folder.iterdir():
        if path.name not in wanted:
            work_folder.remove(path)


def _write(path: pathlib.Path, found: Found) -> None:
    boxes, notes = found
    value = {"boxes": [box.place for box in boxes], "notes": notes}
    atomic_write(path, json.dumps(value).encode())


def _read(path: pathlib.Path) -> Found | None:
    """What a search found; None if it is not there whole."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return [TilePlace(*place) for place in value["boxes"]], value["notes"]
