"""Masks of any size in, tissue out: pyramidal OME-TIFFs.

In: mask files, or annotations, and a style for each of their images. Out: a
folder of `<mask>_<seed>.ome.tif` files, which appears when all are whole. Until
then they are in `.<folder>.work` beside it; the same command goes on there
after whatever interrupted it, and gives the same bytes. Masks that changed
meanwhile are painted anew, what is of masks that are gone is dropped; other
styles or sizes are an error, as a mistyped flag must not cost hours.
"""

import functools
import pathlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from histogan_tf import input_files, running
from histogan_tf.files import stem_of
from histogan_tf.progress_bar import progress_bar
from trainer import item_notes, large_images, view_command
from trainer.canvas_masks import MaskReader

if TYPE_CHECKING:
    import numpy as np

    from histogan_tf.run_dir import RunDir
    from histogan_tf.window_paint import WindowPainter

Style = Callable[[str, int], tuple[str, "np.ndarray"]]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for; `first` is the seed of each mask's first image."""

    output: str
    first: int
    samples: int
    window: int
    jpeg: int

    @property
    def seeds(self) -> range:
        """Seeds of each mask's images."""
        return range(self.first, self.first + self.samples)


def paint_all(
    run: "RunDir",
    paths: list[pathlib.Path],
    reader: MaskReader,
    style: Style,
    request: Request,
    record: Callable[[pathlib.Path, list[dict[str, Any]]], None],
    runner: running.Runner = running.here,
) -> int:
    """Checks all masks, then paints them; returns the number of images.

    Args:
      run: the trained run.
      paths: of the masks.
      reader: opens them.
      style: gives each image's style by the mask's name and the seed.
      request: output, seeds and sizes.
      record: writes what was made into the folder.
      runner: where canvases are painted; all must see the output's folder.

    Raises:
      InputError: a mask is unreadable or of unknown values, the output is
        taken, unfinished work there is of other settings, or the disk is
        full.
    """
    from histogan_tf import run_dir, work_folder

    with progress_bar("check") as show:
        input_files.readable(paths, reader.check, None, show)
    stages = range(len(run.config().stages))
    weights = run_dir.weights_hash(run, map(run_dir.stage_name, stages))
    jobs = [
        job for path in paths for job in _jobs(path, style, reader, request)
    ]
    jobs = [job | {"weights_sha256": weights} for job in jobs]
    work = asdict(request) | {"weights": weights}
    with (
        work_folder.lasting_directory(request.output, work) as folder,
        progress_bar("paint") as show,
    ):
        _check(folder, jobs)

        def tell(canvases: int, *inside: int) -> None:
            done, total = inside or (canvases, len(jobs))
            name = _file_name(jobs[min(canvases, len(jobs) - 1)])
            show(done, total, name)

        one = functools.partial(_paint, folder, run.root, reader, request)
        for _ in runner(one, jobs, tell):
            pass  # each stands in its file
        _drop_others(folder, {_file_name(job) for job in jobs})
        record(folder, [_entry(job) for job in jobs])
    return len(jobs)


def view_line(
    output: str, entry: dict[str, Any], class_ids: bool, run_dir: str
) -> str:
    """The command that shows an image of `synthesis.json` with its mask."""
    name = entry["file"].removesuffix(".ome.tif")
    drawn = entry.get("drawn_on", {})
    # Where QuPath counts from elsewhere, the canvas cannot say so.
    fits = not any(drawn.get("origin", ()))
    return view_command.line(
        pathlib.Path(output) / entry["file"],
        view_command.folder(output, name),
        mask=entry["mask"] if fits else None,
        mask_mpp=drawn.get("mpp") if fits else None,
        class_ids=class_ids,
        run_dir=run_dir,
    )


def _jobs(
    path: pathlib.Path, style: Style, reader: MaskReader, request: Request
) -> Iterator[dict[str, Any]]:
    """What decides each image of a mask, as JSON values."""
    from histogan_tf.data.manifest import hash_file

    mask = {"mask": str(path), "mask_sha256": hash_file(path)}
    mask |= reader.describe(path)
    for seed in request.seeds:
        name, vector = style(stem_of(path), seed)
        values = [float(value) for value in vector]
        yield mask | {"seed": seed, "style_name": name, "style": values}


def _check(folder: pathlib.Path, jobs: list[dict[str, Any]]) -> None:
    """Raises InputError if unfinished work differs in more than masks."""
    from histogan_tf import work_folder

    for job in jobs:
        path = folder / _file_name(job)
        there = item_notes.note(folder, path.name).state
        if there:
            there |= {"mask_sha256": job["mask_sha256"]}
            work_folder.check_same(there, job, path)


def _drop_others(folder: pathlib.Path, wanted: set[str]) -> None:
    """Removes canvases, finished or not, that are asked for no more."""
    from histogan_tf import work_folder

    kept = {work_folder.PLAN, work_folder.NOTES, *wanted}
    for path in folder.iterdir():
        if path.name not in kept:
            work_folder.remove(path)


def _entry(job: dict[str, Any]) -> dict[str, Any]:
    return {"file": _file_name(job)} | job


def _file_name(job: dict[str, Any]) -> str:
    return f"{stem_of(job['mask'])}_{job['seed']}.ome.tif"


def _paint(
    folder: pathlib.Path,
    root: pathlib.Path,
    reader: MaskReader,
    request: Request,
    job: dict[str, Any],
    show: running.Inside,
) -> None:
    """Paints a canvas, unless an earlier start has finished it."""
    from histogan_tf import work_folder
    from histogan_tf.paint_canvas import Brush, paint_canvas

    target = folder / _file_name(job)
    note = item_notes.note(folder, target.name)
    if note.state != job:
        work_folder.remove(target)
        work_folder.remove(work_folder.beside(target))
        note.write(job)
    if target.exists():
        return
    source = reader.open(pathlib.Path(job["mask"]))
    brush = Brush(
        job["seed"],
        tuple(job["style"]),
        request.window,
        large_images.TILE,
        request.jpeg,
    )
    painter = _painter(root, job["weights_sha256"])
    paint_canvas(painter, source, target, brush, {"job": job}, show)


@functools.lru_cache(maxsize=1)
def _painter(root: pathlib.Path, weights: str) -> "WindowPainter":
    """Loads once in a process; `weights` tells trainings apart."""
    from histogan_tf import run_dir
    from histogan_tf.window_paint import WindowPainter

    del weights
    return WindowPainter(run_dir.load_pyramid(run_dir.open_run(root)))
