"""A file of tiles that grows step by step and survives SIGKILL.

In: lists of byte strings, one list a step. Out: `tiles`, all of them one
after the other, and `journal`, a line of sizes for each finished step.

A step counts once its line stands in the journal with the right checksum;
what lies beyond the last such step, in either file, is cut off when the store
is opened again. So steps that are repeated in the same order, with the same
bytes, give the same file however often they were interrupted.
"""

import errno
import fcntl
import os
import pathlib
import zlib
from collections.abc import Sequence

from histogan_tf.errors import BusyError, InputError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class TileJournal:
    """The store in a folder; one process at a time.

    `steps` holds the sizes of the tiles of each finished step.
    """

    def __init__(self, folder: pathlib.Path, header: int):
        """Opens or makes it; the first `header` bytes of `tiles` stay free.

        Raises:
          BusyError: another process has it open.
          OSError: the file system knows no flock.
        """
        self.folder, self.header = folder, header
        self.steps, self._end = list[list[int]](), header
        self._tiles = _opened(folder / "tiles")
        self._journal = _opened(folder / "journal")
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.close()
            if not isinstance(error, BlockingIOError):
                raise
            raise BusyError(
                f"{folder}: another process is writing there"
            ) from error
        self._recover()

    @property
    def size(self) -> int:
        """Bytes of `tiles` that count."""
        return self._end

    def append(self, blobs: Sequence[bytes]) -> list[int]:
        """Adds a step; returns the place of each of its tiles.

        Raises:
          InputError: no space left on the disk.
        """
        places, end = [], self._end
        for blob in blobs:
            places.append(end)
            end += len(blob)
        self._write(b"".join(blobs))
        os.fdatasync(self._tiles)
        sizes = [len(blob) for blob in blobs]
        self._guarded(self._journal, _line(sizes), None)
        self._end = end
        self.steps.append(sizes)
        return places

    def read(self, place: int, size: int) -> bytes:
        """Bytes of a tile."""
        return os.pread(self._tiles, size, place)

    def finish(self, header: bytes, tail: bytes, target: pathlib.Path) -> None:
        """Makes `tiles`, between header and tail, the file `target`."""
        self._write(tail)
        self._guarded(self._tiles, header, 0)
        os.fsync(self._tiles)
        os.replace(self.folder / "tiles", target)
        self.close()

    def close(self) -> None:
        """Leaves the files to the next process."""
        for handle in (self._tiles, self._journal):
            if handle >= 0:
                os.close(handle)
        self._tiles = self._journal = -1

    def _recover(self) -> None:
        there, kept = os.fstat(self._tiles).st_size, 0
        path = self.folder / "journal"
        for line in path.read_bytes().splitlines(keepends=True):
            sizes = _sizes(line)
            if sizes is None or self._end + sum(sizes) > there:
                break
            self._end += sum(sizes)
            kept += len(line)
            self.steps.append(sizes)
        os.ftruncate(self._journal, kept)
        os.ftruncate(self._tiles, self._end)
        os.lseek(self._journal, 0, os.SEEK_END)

    def _write(self, data: bytes) -> None:
        self._guarded(self._tiles, data, self._end)

    def _guarded(self, handle: int, data: bytes, place: int | None) -> None:
        """Writes all of `data`, at `place` or at the end."""
        view = memoryview(data)
        try:
            while view:
                if place is None:
                    done = os.write(handle, view)
                else:
                    done = os.pwrite(handle, view, place)
                    place += done
                view = view[done:]
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise InputError(
                f"{self.folder}: no space left on the disk after"
                f" {self._end / 2**20:.0f} MiB; make room and start the same"
                " command again, it goes on from there"
            ) from error


def _opened(path: pathlib.Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


def _line(sizes: Sequence[int]) -> bytes:
    text = " ".join(map(str, sizes)).encode()
    return b"%s #%08x\n" % (text, zlib.crc32(text))


def _sizes(line: bytes) -> list[int] | None:
    """A line's sizes; None if it is not whole."""
    text, mark, check = line.rpartition(b" #")
    if not mark or check != b"%08x\n" % zlib.crc32(text):
        return None
    return [int(word) for word in text.split()]
