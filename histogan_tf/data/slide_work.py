"""The work folder of an ingest of slides, which survives interruptions.

In: the folder that is to be made, and what decides its content. Out: a hidden
folder beside it for parts. An interruption leaves it, unless it is still
empty; the same command on the same files finds it again, any other empties it;
it goes once the result stands under its name.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
from collections.abc import Iterable, Iterator

from histogan_tf.data.slide_settings import SlideSettings
from histogan_tf.files import atomic_write

_JOB = "job.json"
# What may change without a change of the result.
_FREE = ("command", "workers", "skip_bad")


@contextlib.contextmanager
def work_folder(
    settings: SlideSettings, files: Iterable[pathlib.Path]
) -> Iterator[pathlib.Path]:
    """Yields the folder; removes it when the block ends without an error.

    Args:
      settings: what is asked for; `output` gives the folder's name.
      files: everything that is read; their sizes and times are compared.
    """
    output = pathlib.Path(settings.output)
    folder = output.with_name(f".{output.name}.partial")
    job = _describe(settings, files)
    if not _same(folder / _JOB, job):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        atomic_write(folder / _JOB, job)
    try:
        yield folder
    except BaseException:
        # Nothing to go on with: a wrong flag should leave no trace.
        if [path.name for path in folder.iterdir()] == [_JOB]:
            shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)


def _describe(settings: SlideSettings, files: Iterable[pathlib.Path]) -> bytes:
    wanted = {
        name: value
        for name, value in dataclasses.asdict(settings).items()
        if name not in _FREE
    }
    wanted["files"] = [
        [str(path.resolve()), stat.st_size, stat.st_mtime_ns]
        for path in files
        for stat in [os.stat(path)]
    ]
    return json.dumps(wanted, indent=1).encode()


def _same(path: pathlib.Path, job: bytes) -> bool:
    try:
        return path.read_bytes() == job
    except OSError:
        return False
