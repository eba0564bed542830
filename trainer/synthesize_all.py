"""Masks in; a folder of their tissue, which appears when all is painted.

In: mask files, or annotations, a style for each of their images, and how they
are painted: whole (`synthesize_image.py`) or by windows
(`synthesize_canvas.py`). Out: the folder. Until all is done the images are in
`.<folder>.work` beside it; the same command goes on there after whatever
interrupted it, and gives the same bytes. Masks that changed meanwhile are
painted anew, what is of masks that are gone is dropped; other styles or sizes
are an error, as a mistyped flag must not cost hours.
"""

import abc
import functools
import pathlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from histogan_tf import running, work_folder
from histogan_tf.errors import InputError
from histogan_tf.progress_bar import progress_bar
from trainer import item_notes
from trainer.canvas_masks import MaskReader

if TYPE_CHECKING:
    import numpy as np

    from histogan_tf.run_dir import RunDir

Style = Callable[[str, int], tuple[str, "np.ndarray"]]
# What decides an image, and the "name" of its files, as JSON values.
Job = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for.

    `first` is the seed of each mask's first image; `class_ids` says that masks
    hold ids, not the values of classes.json.
    """

    output: str
    class_ids: bool
    first: int
    samples: int

    @property
    def seeds(self) -> range:
        """Seeds of each mask's images."""
        return range(self.first, self.first + self.samples)


@dataclass(frozen=True)
class Way(abc.ABC):
    """How images are painted; its fields are JSON values."""

    # Whether by windows.
    canvas: ClassVar[bool]

    @abc.abstractmethod
    def files(self, name: str) -> list[str]:
        """An image's files, the one that it is known by last."""

    @abc.abstractmethod
    def check(self, reader: MaskReader, path: pathlib.Path) -> None:
        """Reads all of a mask.

        Raises:
          InputError: not a mask, damaged, or a value that is no class.
        """

    @abc.abstractmethod
    def paint(
        self,
        folder: pathlib.Path,
        root: pathlib.Path,
        reader: MaskReader,
        job: Job,
        show: running.Inside,
    ) -> None:
        """Makes the job's files by the run in `root`, each whole."""


def paint_all(
    run: "RunDir",
    names: dict[pathlib.Path, str],
    reader: MaskReader,
    style: Style,
    request: Request,
    way: Way,
    weights: str,
    record: Callable[[pathlib.Path, list[Job]], None],
    runner: running.Runner = running.here,
) -> None:
    """Paints masks, which are checked already.

    Args:
      run: the trained run.
      names: what each mask's images are named by, by its path.
      reader: opens them.
      style: gives each image's style by the mask's name and the seed.
      request: output and seeds.
      way: how they are painted.
      weights: `run_dir.weights_hash` of the run's stages.
      record: writes what was made into the folder.
      runner: where images are painted; all must see the output's folder.

    Raises:
      InputError: the output is taken, two images would be one file,
        unfinished work there is of other settings, or the disk is full.
    """
    jobs = [
        job | {"weights_sha256": weights}
        for path, name in names.items()
        for job in _jobs(path, name, style, reader, request)
    ]
    work = asdict(request) | asdict(way) | {"weights": weights}
    work |= {"canvas": way.canvas, "classes": run.classes().to_json()}
    work["notes"] = item_notes.FORMAT
    _check_apart(way, jobs)
    with (
        work_folder.lasting_directory(request.output, work) as folder,
        progress_bar("paint") as show,
    ):
        _check(folder, way, jobs)

        def tell(images: int, *inside: int) -> None:
            done, total = inside or (images, len(jobs))
            show(done, total, jobs[min(images, len(jobs) - 1)]["name"])

        one = functools.partial(_paint, folder, run.root, reader, way)
        for place, _ in enumerate(runner(one, jobs, tell)):
            tell(place + 1)  # each stands in its file
        _drop_others(folder, way, jobs)
        record(folder, [_entry(way, job) for job in jobs])


def _jobs(
    path: pathlib.Path,
    name: str,
    style: Style,
    reader: MaskReader,
    request: Request,
) -> Iterator[Job]:
    from histogan_tf.data.manifest import hash_file

    mask = {"mask": str(path), "mask_sha256": hash_file(path)}
    mask |= reader.describe(path)
    for seed in request.seeds:
        whose, vector = style(name, seed)
        values = [float(value) for value in vector]
        image = {"name": f"{name}_{seed}", "seed": seed}
        yield mask | image | {"style_name": whose, "style": values}


def _check_apart(way: Way, jobs: list[Job]) -> None:
    """Raises InputError if two images would be one file."""
    seen: dict[str, Job] = {}
    for job in jobs:
        for file in way.files(job["name"]):
            if file in seen:
                raise InputError(
                    f"{job['mask']}: {file} would be of {seen[file]['mask']}"
                    " too; paint them apart"
                )
            seen[file] = job


def _check(folder: pathlib.Path, way: Way, jobs: list[Job]) -> None:
    """Raises InputError if unfinished work differs in more than masks."""
    item_notes.check_names(folder, jobs, ("mask", "seed"))
    for job in jobs:
        *_, path = _paths(folder, way, job)
        there = _note(folder, way, job).state
        if there:
            there |= {"mask_sha256": job["mask_sha256"]}
            work_folder.check_same(there, job, path)


def _drop_others(folder: pathlib.Path, way: Way, jobs: list[Job]) -> None:
    """Removes images, finished or not, that are asked for no more."""
    wanted = {way.files(job["name"])[-1] for job in jobs}
    for name, job in item_notes.states(folder).items():
        if name not in wanted:
            _remove(_paths(folder, way, job))


def _remove(paths: list[pathlib.Path]) -> None:
    for path in paths:
        work_folder.remove(path)
        work_folder.remove(work_folder.beside(path))


def _note(folder: pathlib.Path, way: Way, job: Job) -> item_notes.Note:
    *_, file = way.files(job["name"])
    return item_notes.note(folder, file)


def _paths(folder: pathlib.Path, way: Way, job: Job) -> list[pathlib.Path]:
    return [folder / file for file in way.files(job["name"])]


def _entry(way: Way, job: Job) -> dict[str, Any]:
    """An image's entry of synthesis.json."""
    *coarser, file = way.files(job["name"])
    return (
        {"file": file} | ({"coarser_stages": coarser} if coarser else {}) | job
    )


def _paint(
    folder: pathlib.Path,
    root: pathlib.Path,
    reader: MaskReader,
    way: Way,
    job: Job,
    show: running.Inside,
) -> None:
    """Paints an image, unless an earlier start has finished it."""
    paths = _paths(folder, way, job)
    note = _note(folder, way, job)
    if note.state != job:
        _remove(paths)
        note.write(job)
    if not all(path.exists() for path in paths):
        way.paint(folder, root, reader, job, show)
