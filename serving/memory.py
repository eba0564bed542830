"""Keeps what a server has freed from piling up in the C library.

In: nothing. Out: whether the C library has done it; musl and macOS cannot.

Measured over swaps of the demo export: bytes in use stay at 156 MiB, no model
is kept, and memory grows all the same. glibc holds back what is freed for the
next request of its kind, in up to eight arenas a core. A load with warm-up
leaves 150 to 400 MiB of free pages behind; each load is another thread, so in
another arena, whose pages few objects keep from being empty, and whose end
only the first arena can return. So: one arena, and free pages go back after
each load and each unload. It cost no time on two cores (13 to 16 ms of CPU
for a 64x64 request with 1, 2 or 16 arenas); MALLOC_ARENA_MAX sets another
number.

What remains is broken pages: a warm-up makes the model's small, lasting parts
between large blocks that go, and its parts pin a page each. So while a version
loads, large blocks come from the system and go back to it (M_MMAP_THRESHOLD).
Always doing so would cost every request a page fault for every 4 kB.
"""

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterator
from typing import Any

# Parameters of mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LOADING = 1 << 18
# The most that glibc's own adaption reaches, with the trim that goes with it.
_SERVING, _TRIM = 1 << 25, 1 << 26

_lock, _loads = threading.Lock(), 0


def limit_arenas() -> bool:
    """No further arenas from now on, where the environment does not say.

    To be called before there are threads: arenas that exist remain.
    """
    if "MALLOC_ARENA_MAX" in os.environ:
        return False
    mallopt = _function("mallopt")
    return bool(mallopt and mallopt(_ARENA_MAX, 1))


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """Large blocks of all threads lie apart from the heap in this block.

    Blocks of several threads may overlap; the last one ends it. Where the
    environment sets the threshold, nothing is changed.
    """
    _count(1)
    try:
        yield
    finally:
        _count(-1)


def _count(change: int) -> None:
    global _loads
    with _lock:
        _loads += change
        if "MALLOC_MMAP_THRESHOLD_" in os.environ:
            return
        mallopt = _function("mallopt")
        if mallopt:
            mallopt(_MMAP_THRESHOLD, _LOADING if _loads else _SERVING)
            mallopt(_TRIM_THRESHOLD, _TRIM)


def give_back() -> bool:
    """Returns all free pages of all arenas; takes 10 to 30 ms.

    Threads that allocate in an arena wait meanwhile, so it is for moments
    like the end of a load, not for requests. False: nothing was free.
    """
    trim = _function("malloc_trim")
    return bool(trim and trim(ctypes.c_size_t(0)))


def _function(name: str) -> Any:
    try:
        return getattr(ctypes.CDLL(None), name, None)
    except (OSError, TypeError):  # no C library of that kind
        return None
