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

Returning large blocks at once instead (M_MMAP_THRESHOLD) costs every request
a page fault for every 4 kB.
"""

import ctypes
import os
from typing import Any

_ARENA_MAX = -8  # M_ARENA_MAX of mallopt(3)


def limit_arenas() -> bool:
    """No further arenas from now on, where the environment does not say.

    To be called before there are threads: arenas that exist remain.
    """
    if "MALLOC_ARENA_MAX" in os.environ:
        return False
    mallopt = _function("mallopt")
    return bool(mallopt and mallopt(_ARENA_MAX, 1))


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
