"""Locks on folders that several processes, or machines, write into.

In: the path of a lock file, and what is done under it. Out: a context in
which no other process holds the lock. The kernel frees it when its holder ends
in whatever way, so no lock is ever stale; the file stays and names its last
holder.

Locks are flock's, which Linux's NFS clients pass on to the server.
"""

import contextlib
import datetime
import fcntl
import os
import pathlib
import socket
from collections.abc import Iterator

from histogan_tf.errors import BusyError


@contextlib.contextmanager
def held(path: pathlib.Path, what: str, wait: bool = False) -> Iterator[None]:
    """Holds the lock at `path`; makes the file and its folders if missing.

    Args:
      path: of the lock file.
      what: is done under it, as in "phase stages/0 is being trained".
      wait: for the holder, instead of an error.

    Raises:
      BusyError: another process holds it; the message says which.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _take(handle, path, what, wait)
        os.ftruncate(handle, 0)
        os.pwrite(handle, _me().encode(), 0)
        yield
    finally:
        os.close(handle)


def _take(handle: int, path: pathlib.Path, what: str, wait: bool) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError as error:
        holder = os.pread(handle, 1000, 0).decode(errors="replace").strip()
        raise BusyError(
            f"{path}: {what} by {holder or 'another process'} already; let it"
            " finish or stop it"
        ) from error


def _me() -> str:
    """How others can find this process."""
    now = datetime.datetime.now(datetime.UTC).isoformat("T", "seconds")
    return f"process {os.getpid()} on {socket.gethostname()} since {now}\n"
