"""Folders that no path leads to: gs://, s3:// and what else TensorFlow reads.

In: what a user writes for a folder. Out: a pathlib.Path, or a Url with as much
of a Path as reading records takes; its errors are OSErrors, too. s3:// comes
from tensorflow-io, gs:// and hdfs:// from TensorFlow. Neither is imported
for a path.
"""

import contextlib
import os
import pathlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

_S3 = "s3://"
_read = set[str]()


@dataclass(frozen=True)
class Url:
    """A file or folder by its whole address."""

    text: str

    def __str__(self) -> str:
        return self.text

    def __truediv__(self, name: str) -> "Url":
        return Url(f"{self.text.rstrip('/')}/{name}")


Place = pathlib.Path | Url


def place(text: str | os.PathLike | Url) -> Place:
    """Where a text leads to."""
    if isinstance(text, Url):
        return text
    if isinstance(text, str) and "://" in text:
        return Url(text)
    return pathlib.Path(text)


@contextlib.contextmanager
def opened(file: Place) -> Iterator[IO[bytes]]:
    """A file's bytes.

    Raises:
      OSError: it is not there, or cannot be read.
    """
    if isinstance(file, pathlib.Path):
        with file.open("rb") as found:
            yield found
        return
    with _url_errors(file) as gfile, gfile.GFile(file.text, "rb") as found:
        yield found


def size(file: Place) -> int:
    """A file's bytes, counted.

    Raises:
      OSError: it is not there.
    """
    if isinstance(file, pathlib.Path):
        return file.stat().st_size
    with _url_errors(file) as gfile:
        return gfile.stat(file.text).length


def breaks_exit() -> bool:
    """Whether this process has read s3://.

    The threads of tensorflow-io 0.36 then abort it when it ends.
    """
    return _S3 in _read


@contextlib.contextmanager
def _url_errors(url: Url) -> Iterator:
    import tensorflow as tf

    if url.text.startswith(_S3):
        import tensorflow_io  # noqa: F401  registers s3://

        _read.add(_S3)
    try:
        yield tf.io.gfile
    except tf.errors.OpError as error:
        reason = error.message or type(error).__name__
        raise OSError(error.error_code, reason, url.text) from error
