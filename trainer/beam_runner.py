"""Apache Beam as a runner of independent work: one machine or a cluster.

In: Beam's own options (`--runner=FlinkRunner ...`), a folder that all workers
see under the same path. Out: a `histogan_tf.running.Runner`. Results travel as
files in a folder below it, as they may be large and are wanted in order.

A worker works in the folder that the program was started in, so that paths mean
the same, and with the same settings of TensorFlow. An item that fails with
bad input fails the run, as it does here; Beam tries again what failed
otherwise. A result is written whole, so twice does no harm; while a first
attempt that Beam has given up still writes a slide or canvas, the second waits
for it.
"""

import contextlib
import functools
import os
import pathlib
import pickle
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from histogan_tf import program, running
from histogan_tf.errors import BusyError, InputError
from histogan_tf.files import atomic_write

_SECONDS = 1.0  # between two looks at what is done
# How long to wait for another attempt at the same item: an hour.
_PAUSE, _PAUSES = 10.0, 360


@dataclass(frozen=True)
class BeamRunner:
    """See the module; `options` are words of Beam's command line."""

    options: tuple[str, ...]
    folder: pathlib.Path

    def __call__(
        self,
        work: Callable[[Any, running.Inside], Any],
        items: Sequence[Any],
        tell: running.Tell,
    ) -> Iterator[Any]:
        """Runs all items, then yields their results in order.

        Raises:
          InputError: Beam is missing, or its options are wrong.
        """
        if not items:
            return
        # Not by tempfile, whose folders are closed to workers of other users.
        results = self.folder / f".{secrets.token_hex(8)}.beam"
        results.mkdir(parents=True)
        do = functools.partial(_do, work, results, os.getcwd())
        try:
            with _watched(results, tell):
                self._run(do, items)
            for number in range(len(items)):
                yield _taken(_place(results, number))
        finally:
            shutil.rmtree(results, ignore_errors=True)

    def _run(self, do: Callable, items: Sequence[Any]) -> None:
        beam, pipeline = _pipeline(self.options)
        with pipeline:
            _ = (
                pipeline
                | "items" >> beam.Create(list(enumerate(items)))
                # Else one worker would do them all, as one bundle.
                | "spread" >> beam.Reshuffle()
                | "work" >> beam.Map(do)
            )


def _pipeline(words: tuple[str, ...]) -> tuple[Any, Any]:
    """Beam itself, and a pipeline of these options."""
    try:
        import apache_beam
        from apache_beam.options import pipeline_options
    except ImportError as error:
        raise InputError(
            "--runner beam: Apache Beam is not installed; it is the extra"
            ' "beam" of pyproject.toml'
        ) from error
    try:
        options = pipeline_options.PipelineOptions(list(words))
        return apache_beam, apache_beam.Pipeline(options=options)
    except ValueError as error:
        raise InputError(
            f"--beam_options: {' '.join(str(error).split())}"
        ) from error


def _do(
    work: Callable[[Any, running.Inside], Any],
    results: pathlib.Path,
    started_in: str,
    numbered: tuple[int, Any],
) -> None:
    """What a worker does with an item."""
    program.set_environment()
    if os.getcwd() != started_in:
        os.chdir(started_in)
    number, item = numbered
    try:
        found = (True, _patiently(lambda: work(item, running.silent)))
    except InputError as error:
        found = (False, error)
    atomic_write(_place(results, number), pickle.dumps(found))


def _patiently(work: Callable[[], Any]) -> Any:
    """Waits while another attempt is at the same item."""
    for _ in range(_PAUSES):
        try:
            return work()
        except BusyError:
            time.sleep(_PAUSE)
    return work()


def _place(results: pathlib.Path, number: int) -> pathlib.Path:
    return results / f"{number:08d}.result"


def _taken(path: pathlib.Path) -> Any:
    good, found = pickle.loads(path.read_bytes())
    if not good:
        raise found
    # Tiles in their encoded form: hold on the disk what nobody needs again.
    path.unlink()
    return found


@contextlib.contextmanager
def _watched(results: pathlib.Path, tell: running.Tell) -> Iterator[None]:
    """Tells how many results there are while Beam is busy."""
    end = threading.Event()

    def watch() -> None:
        while not end.wait(_SECONDS):
            names = os.listdir(results)
            tell(sum(name.endswith(".result") for name in names))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
