"""Folders of images and masks become a folder of records.

In: IngestSettings. Out: shards, `classes.json` and `manifest.json` in a folder
that appears under its name only when it is complete. Images keep their size
and um/px; masks become class ids. The same input and seed give the same bytes.

Validation images are drawn first, by whole groups; then the labelled ones
among the training images. Unlabelled images of a held-out group go to
validation too, so that training sees nothing of those patients.
"""

import dataclasses
import functools
import itertools
import json
import pathlib
from collections.abc import Callable, Iterator

from histogan_tf import running
from histogan_tf.data import (
    classes,
    groups,
    images,
    manifest,
    pairs,
    records,
    scale_notes,
    splits,
    tiles,
)
from histogan_tf.data.ingest_settings import IngestSettings, check
from histogan_tf.data.manifest import ImageInfo, Kind, Manifest, Skipped, Split
from histogan_tf.data.pairs import ImageFiles
from histogan_tf.errors import InputError, UnreadableError
from histogan_tf.files import atomic_directory, atomic_write
from histogan_tf.running import Inside, Runner

Progress = Callable[[int, int, str], None]
Plan = dict[tuple[str, str], list[ImageFiles]]
Loaded = tuple[bytes, ImageInfo, list[str]] | Skipped


def ingest(
    settings: IngestSettings,
    progress: Progress = lambda *_: None,
    run: Runner | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Manifest:
    """Reads everything and writes the folder `settings.output`.

    Args:
      settings: what to read.
      progress: called in this thread after each image with the number done,
        the number in all and the image's name.
      run: where images are read; else in `settings.workers` threads.
      tell: called in this thread with a line for the user on an odd file.

    Raises:
      InputError: whatever is wrong with flags or files, in one line.
      OSError: the disk is full; no folder is left behind.
    """
    table = classes.load(settings.classes)
    check(settings, table)
    plan = make_plan(settings)
    reader = tiles.TileReader(table, settings.mpp, settings.boundary_um)
    total = sum(map(len, plan.values()))
    with atomic_directory(settings.output) as folder:
        run = run or running.in_threads(settings.workers)
        work = _Work(folder, reader, settings, progress, total, run, tell)
        written = {place: work.write(*place, plan[place]) for place in plan}
        if work.skipped and not settings.skip_bad:
            raise InputError(list_bad(work.skipped))
        _check_written(plan, written)
        result = Manifest(
            command=settings.command,
            seed=settings.seed,
            classes=table,
            splits=gather(written),
            skipped=tuple(work.skipped),
            folder=pathlib.Path(settings.output),
        )
        write_description(folder, result)
    return result


def make_plan(settings: IngestSettings) -> Plan:
    """Decides which file goes to which split and kind; reads no pixels."""
    group_of = groups.grouping(
        settings.group_by, settings.groups, settings.group_column
    )
    given = pairs.pair(
        settings.images,
        settings.masks,
        group_of,
        settings.mask_suffix,
        settings.instances,
    )
    plan: Plan = {(s, k): [] for s in manifest.SPLITS for k in manifest.KINDS}
    if settings.split == "train":
        train, plan["validation", "labelled"] = splits.hold_out(
            given, settings.validation, settings.seed
        )
        if settings.max_labelled is not None:
            train, plan["train", "unlabelled"] = splits.draw_labelled(
                train, settings.max_labelled, settings.seed
            )
        given = train
    plan[settings.split, "labelled"] = given
    if settings.test_images and settings.test_masks:
        plan["test", "labelled"] = pairs.pair(
            settings.test_images,
            settings.test_masks,
            group_of,
            settings.mask_suffix,
            settings.test_instances,
        )
    if settings.unlabelled:
        held = {s.group for s in plan["validation", "labelled"]} - {""}
        for source in pairs.unlabelled(settings.unlabelled, group_of):
            split = "validation" if source.group in held else "train"
            plan[split, "unlabelled"].append(source)
    pairs.check_distinct(itertools.chain(*plan.values()))
    return {
        place: splits.shuffled(sources, settings.seed)
        for place, sources in plan.items()
        if sources
    }


@dataclasses.dataclass
class _Work:
    """One run of ingest: what it writes with, and what it has come to."""

    folder: pathlib.Path
    reader: tiles.TileReader
    settings: IngestSettings
    progress: Progress
    total: int
    run: Runner
    tell: Callable[[str], None]
    done: int = 0
    skipped: list[Skipped] = dataclasses.field(default_factory=list)

    def write(self, split: str, kind: str, sources: list[ImageFiles]) -> Kind:
        """Reads the sources and writes the shards of one kind."""
        infos: list[ImageInfo] = []
        shards = records.write_shards(
            self.folder,
            split,
            kind,
            self._stream(sources, infos),
            int(self.settings.shard_mb * 2**20),
        )
        return Kind(shards, tuple(infos))

    def _stream(
        self, sources: list[ImageFiles], infos: list[ImageInfo]
    ) -> Iterator[bytes]:
        """Yields serialised tiles; notes the rest on the way."""
        load = functools.partial(_load, self.reader)
        loaded = self.run(load, sources, self._tell)
        for source, item in zip(sources, loaded, strict=True):
            if isinstance(item, Skipped):
                self.skipped.append(item)
            else:
                encoded, info, notes = item
                for note in notes:
                    self.tell(note)
                infos.append(info)
                yield encoded
            self.done += 1
            self.progress(self.done, self.total, source.name)

    def _tell(self, images: int) -> None:
        self.progress(self.done + images, self.total, "read")


def _load(reader: tiles.TileReader, source: ImageFiles, _: Inside) -> Loaded:
    try:
        tile = reader.read(source)
    except UnreadableError as error:
        return Skipped(str(error.path), error.reason)
    found = (
        scale_notes.file_scale_note(source.image, reader.mpp),
        images.depth_note(source.image, tile.image),
    )
    notes = [note for note in found if note]
    return records.encode(tile), tiles.describe(tile, reader.table.count), notes


def gather(written: dict[tuple[str, str], Kind]) -> dict[str, Split]:
    """Kinds by split and kind, as a manifest holds them."""
    return {
        split: Split(
            *(written.get((split, kind), Kind()) for kind in manifest.KINDS)
        )
        for split in manifest.SPLITS
        if any(place[0] == split for place in written)
    }


def _check_written(plan: Plan, written: dict[tuple[str, str], Kind]) -> None:
    for (split, kind), found in written.items():
        if not found.images:
            raise InputError(
                f"all {len(plan[split, kind])} {kind} images for {split} were"
                " skipped as unreadable"
            )


def unlearnt(result: Manifest, advice: str = "") -> list[str]:
    """A line for each class that no labelled training pixel shows."""
    if "train" not in result.splits:
        return []
    pixels = result.class_pixels("train")
    return [
        f"class {info.name} has no training pixel: it cannot be learnt{advice}"
        for info in result.classes.classes
        if any(pixels) and not pixels[info.id]
    ]


def list_bad(skipped: list[Skipped]) -> str:
    """One line that names all unreadable files."""
    unique = sorted({(item.file, item.reason) for item in skipped})
    listed = "; ".join(f"{file}: {reason}" for file, reason in unique)
    return f"cannot read {len(unique)} files (--skip_bad goes on): {listed}"


def write_description(folder: pathlib.Path, result: Manifest) -> None:
    """Writes classes.json and manifest.json."""
    _write_json(folder / "classes.json", result.classes.to_json())
    _write_json(folder / manifest.FILE, result.to_json())


def _write_json(path: pathlib.Path, data: object) -> None:
    text = json.dumps(data, indent=1, ensure_ascii=False)
    atomic_write(path, (text + "\n").encode())
