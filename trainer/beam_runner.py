"""Apache Beam as a runner of independent work: one machine or a cluster.

In: Beam's own options (`--runner=FlinkRunner ...`), a folder that all workers
see under the same path. Out: a `histogan_tf.running.Runner`. Results travel as
files in a folder below it, as they may be large and are wanted in order.

An item that fails with bad input fails the run, as it does here; Beam tries
again what failed otherwise. A result is written whole, so twice does no harm.
"""

import contextlib
import functools
import os
import pathlib
import pickle
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from histogan_tf import running
from histogan_tf.errors import InputError
from histogan_tf.files import atomic_write

_SECONDS = 1.0  # between two looks at what is done


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
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(".beam", ".", self.folder) as name:
            results = pathlib.Path(name)
            with _watched(results, tell):
                self._run(functools.partial(_do, work, results), items)
            for number in range(len(items)):
                yield _taken(_place(results, number))

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
    numbered: tuple[int, Any],
) -> None:
    """What a worker does with an item."""
    number, item = numbered
    try:
        found = (True, work(item, running.silent))
    except InputError as error:
        found = (False, error)
    atomic_write(_place(results, number), pickle.dumps(found))


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
