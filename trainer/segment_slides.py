"""Slides and large images in; label files, areas and objects out.

In: what `data/slides.py` opens. Out, in a folder that appears when all is done:
`masks/<name>.ome.tif` (class ids at the run's finest um/px, 255 beside the
tissue; pyramidal, in the classes' colours), `overlays/<name>.png` (a
thumbnail), with a boundary class `instances/<name>.csv` and, as asked,
`outlines/<name>.geojson` (px of the slide's level 0) and
`probabilities/<id>_<class>/<name>.ome.tif` (0..255 for 0..1).

Objects are found at the finest level of the labels that has at most 33 million
pixels, where a pixel is boundary if any of it is; the program and the record
say at how many um/px. Until all is done the results are in
`.<folder>.work` beside it, where the same command goes on. Slides may be added
meanwhile: those that are finished are left alone, one whose file has changed
is made anew, and of one that is gone nothing is published.
"""

import functools
import pathlib
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from histogan_tf import input_files, running
from histogan_tf.errors import InputError, UnreadableError
from histogan_tf.files import stem_of
from histogan_tf.progress_bar import progress_bar
from trainer import item_notes
from trainer.segment_slide import Network, Request, SlideWork


def segment_all(
    paths: list[pathlib.Path],
    network: Network,
    request: Request,
    record: Callable[
        [pathlib.Path, list[dict[str, Any]], list[UnreadableError]], None
    ],
    run: running.Runner = running.here,
) -> int:
    """Checks all slides, then segments them; returns their number.

    Args:
      paths: of the slides.
      network: reads them.
      request: output and what to write.
      record: writes areas and record into the folder.
      run: where slides are read; all must see the output's folder.

    Raises:
      InputError: a slide is broken or without um/px, the output is taken or
        another process is making it, unfinished work there is of other
        settings or of another slide of the same name, or the disk is full.
    """
    from histogan_tf import work_folder

    states, bad = _checked(paths, request, network.finest)
    good = [pathlib.Path(state["file"]) for state in states]
    work = asdict(request) | network.identity
    # A slide that turns out to be damaged may be left out afterwards.
    del work["skip_bad"]
    with (
        work_folder.lasting_directory(request.output, work) as folder,
        progress_bar("segment") as show,
    ):

        def tell(slides: int, *inside: int) -> None:
            done, total = inside or (slides, len(good))
            name = stem_of(good[min(slides, len(good) - 1)])
            show(done, total, f"segment {name}")

        for state in states:
            _slide_work(folder, network, request, state).check()
        one = functools.partial(_segment, folder, network, request)
        found = list(run(one, states, tell))
        done = [entry for entry in found if isinstance(entry, dict)]
        bad += [error for error in found if not isinstance(error, dict)]
        if not done:
            raise InputError(f"all {len(bad)} slides are unreadable: {bad[0]}")
        finished = {entry["name"] for entry in done}
        for name, state in item_notes.states(folder).items():
            if name not in finished:  # of an earlier run, gone since
                _slide_work(folder, network, request, state).remove()
        record(folder, done, bad)
    return len(done)


def _segment(
    folder: pathlib.Path,
    network: Network,
    request: Request,
    state: dict[str, Any],
    inside: running.Inside,
) -> dict[str, Any] | UnreadableError:
    """Segments a slide; the error is returned if it is to be skipped."""
    one = _slide_work(folder, network, request, state)
    try:
        return one.finished() or one.segment(network.make(), inside)
    except UnreadableError as error:
        if not request.skip_bad:
            raise UnreadableError(
                error.path, f"{error.reason} (--skip_bad goes on)"
            ) from error
        one.remove()
        return error


def _slide_work(
    folder: pathlib.Path,
    network: Network,
    request: Request,
    state: dict[str, Any],
) -> SlideWork:
    path = pathlib.Path(state["file"])
    return SlideWork(path, folder, network, request, state)


def _checked(
    paths: list[pathlib.Path], request: Request, finest: float
) -> tuple[list[dict[str, Any]], list[UnreadableError]]:
    """The states of the slides that can be read, and why others cannot."""
    states: dict[pathlib.Path, dict[str, Any]] = {}
    notes: list[str] = []

    def read(path: pathlib.Path) -> None:
        states[path] = _state(path, request, finest, notes)

    with progress_bar("check") as show:
        good, bad = input_files.readable(paths, read, request.skip_bad, show)
    for note in notes:
        print(note, file=sys.stderr)
    return [states[path] for path in good], bad


def _state(
    path: pathlib.Path, request: Request, finest: float, notes: list[str]
) -> dict[str, Any]:
    """What tells a slide from another; opens it, and may note its scale."""
    from histogan_tf.data import scale_notes, slides

    with slides.open_slide(path, request.mpp) as slide:
        coarse = scale_notes.coarse_note(path, slide.mpp, finest)
        notes += filter(None, (slide.scale_note, coarse))
        # Not its hash: slides have gigabytes.
        state = path.stat()
        return {
            "file": str(path),
            "bytes": state.st_size,
            "changed_ns": state.st_mtime_ns,
            "slide_mpp": slide.mpp,
        }
