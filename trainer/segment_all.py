"""All images in; a folder of their results, which appears when all is done.

In: images of one kind (`segment_image.py`, `segment_slide.py`) and who reads
them. Out: the folder. Until all is done the results are in `.<folder>.work`
beside it, where the same command goes on. Images may be added meanwhile: those
that are finished are left alone, one whose file has changed is made anew, and
of one that is gone nothing is published.
"""

import functools
import pathlib
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from histogan_tf import input_files, running, work_folder
from histogan_tf.errors import InputError, UnreadableError
from histogan_tf.progress_bar import progress_bar
from trainer import item_notes
from trainer.segment_item import Item, Network, Request

Found = dict[str, Any] | UnreadableError


def segment_all(
    names: dict[pathlib.Path, str],
    kind: type[Item],
    network: Network,
    request: Request,
    record: Callable[
        [pathlib.Path, list[dict[str, Any]], list[UnreadableError]], None
    ],
    run: running.Runner = running.here,
) -> None:
    """Checks all images, then segments them.

    Args:
      names: what each image's results are named by, by its path.
      kind: what each of them is.
      network: reads them.
      request: output and what to write; of the `kind`.
      record: writes areas and record into the folder.
      run: where images are read; all must see the output's folder.

    Raises:
      InputError: an image is broken or without um/px, the output is taken or
        another process is making it, unfinished work there is of other
        settings or has another image of a name or an image by another name, or
        the disk is full.
    """
    work_folder.check_free(request.output)
    states, bad = _checked(names, kind, request, network.finest)
    work = asdict(request) | network.identity | {"canvas": kind.canvas}
    work |= {"classes": network.table.to_json(), "notes": item_notes.FORMAT}
    # An image that turns out to be damaged may be left out afterwards.
    del work["skip_bad"]
    with (
        work_folder.lasting_directory(request.output, work) as folder,
        progress_bar("segment") as show,
    ):
        item = functools.partial(kind, folder, network, request)

        def tell(images: int, *inside: int) -> None:
            done, total = inside or (images, len(states))
            state = states[min(images, len(states) - 1)]
            show(done, total, f"segment {state['name']}")

        item_notes.check_names(folder, states, ("file",))
        for state in states:
            item(state).check()
        found = list[Found]()
        for one in run(functools.partial(_segment, item), states, tell):
            found.append(one)
            tell(len(found))
        done = [entry for entry in found if isinstance(entry, dict)]
        bad += [error for error in found if not isinstance(error, dict)]
        if not done:
            raise InputError(f"all {len(bad)} images are unreadable: {bad[0]}")
        finished = {entry["name"] for entry in done}
        for name, state in item_notes.states(folder).items():
            if name not in finished:  # of an earlier run, gone since
                item(state).remove()
        record(folder, done, bad)


def _segment(
    item: Callable[[dict[str, Any]], Item],
    state: dict[str, Any],
    inside: running.Inside,
) -> Found:
    """Segments an image; the error is returned if it is to be skipped."""
    one = item(state)
    try:
        return one.finished() or one.segment(one.network.make(), inside)
    except UnreadableError as error:
        if not one.request.skip_bad:
            raise UnreadableError(
                error.path, f"{error.reason} (--skip_bad goes on)"
            ) from error
        one.remove()
        return error


def _checked(
    names: dict[pathlib.Path, str],
    kind: type[Item],
    request: Request,
    finest: float,
) -> tuple[list[dict[str, Any]], list[UnreadableError]]:
    """The states of images that can be read, and why others cannot."""
    states: dict[pathlib.Path, dict[str, Any]] = {}
    notes: list[str] = []

    def read(path: pathlib.Path) -> None:
        state, told = kind.look(path, request, finest)
        states[path] = state | {"name": names[path]}
        notes.extend(told)

    with progress_bar("check") as show:
        good, bad = input_files.readable(names, read, request.skip_bad, show)
    for note in notes:
        print(note, file=sys.stderr)
    return [states[path] for path in good], bad
