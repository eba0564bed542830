"""Gives memory that is free but still held back to the operating system.

In: nothing. Out: whether the C library has given any back.

glibc keeps what is freed for the next request of its kind. Each freed tensor
raises the size up to which it does so, to 32 MiB, in as many arenas as there
are threads. One load with warm-up leaves 150 to 400 MiB of it behind (demo
export, 512x512), each time in other places, so a server that swaps models
grows without any model being kept. Returning large blocks at once instead
(M_MMAP_THRESHOLD) costs a page fault for every 4 kB of every request.
"""

import ctypes


def give_back() -> bool:
    """Returns all free pages of all arenas; takes 10 to 30 ms.

    Threads that allocate in an arena wait meanwhile, so it is for moments
    like the end of a load, not for requests. False: nothing was free, or this
    C library (musl, macOS) has no such call.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return False
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    return bool(trim(0))
