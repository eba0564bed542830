"""serving.memory: free pages go back, after every load and unload."""

import ctypes
import os
import subprocess
import sys

import numpy as np
import pytest
import serving_models
from serving_managers import ask, eventually, put, started, states
from serving_running import resident

from serving import memory

BLOCK = 100_000  # bytes; below glibc's 128 kB, so on its heap

glibc = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="no glibc"
)


@glibc
def test_what_glibc_holds_back_is_given_back():
    memory.give_back()
    before = resident()
    blocks = [np.ones(BLOCK, np.uint8) for _ in range(3000)]
    # Every 30th stays, so that the heap cannot simply shrink.
    kept = blocks[::30]
    del blocks
    held = resident() - before
    assert held > 250e6
    assert memory.give_back()
    # What is kept, and a broken page on either side of it.
    assert resident() - before < 20e6
    assert all(block.all() for block in kept)


def test_without_glibc_nothing_happens(monkeypatch):
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert memory.give_back() is False
    assert memory.limit_arenas() is False


ARENAS = """
import ctypes, sys, threading
from serving import memory
assert memory.limit_arenas() is (sys.argv[1] == "limit")
here, done = threading.Barrier(9), threading.Event()
def work():
    block = bytearray(5000)
    here.wait()
    done.wait()
for _ in range(8):
    threading.Thread(target=work, daemon=True).start()
here.wait()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
libc.malloc_info(0, ctypes.c_void_p(libc.fdopen(1, b"w")))
libc.fflush(None)
done.set()
"""


@glibc
@pytest.mark.parametrize(("who", "count"), [("limit", 1), ("environment", 5)])
def test_arenas_of_many_threads(who, count):
    found = dict(os.environ)
    found.pop("MALLOC_ARENA_MAX", None)
    if who == "environment":
        found["MALLOC_ARENA_MAX"] = str(count)
    command = [sys.executable, "-c", ARENAS, who]
    text = subprocess.run(
        command, env=found, capture_output=True, text=True, check=True
    ).stdout
    assert text.count("<heap nr=") == count


@pytest.fixture
def count(monkeypatch):
    """Times at which memory was given back, so far."""
    calls = []
    monkeypatch.setattr(memory, "give_back", lambda: calls.append(1))
    return lambda: len(calls)


def test_each_load_and_each_unload_gives_back(tmp_path, count):
    base = tmp_path / "m"
    put(base, 1)
    with started(base) as manager:
        assert count() == 1
        for version in (2, 3):
            put(base, version)
            eventually(lambda v=version: ask(manager, "m")[0] == v)
            eventually(lambda: states(manager, "m")[1][1] == "END")
            # The new one's load and the old one's unload.
            assert count() == 1 + 2 * (version - 1)
    assert count() == 6


def test_a_load_that_fails_gives_back(tmp_path, count):
    base = tmp_path / "m"
    put(base, 1)
    with started(base) as manager:
        serving_models.corrupt(base / "2")
        eventually(lambda: states(manager, "m")[0][1] == "END")
        assert count() == 2


@glibc
def test_memory_over_swaps_whose_warm_up_litters(tmp_path):
    """Warm-up frees 60 MB between blocks that live as long as the test."""
    base, kept = tmp_path / "m", []

    def litter(model, path):
        blocks = [np.ones(BLOCK, np.uint8) for _ in range(600)]
        kept.append(blocks[::50])

    put(base, 1)
    with started(base, warm_up=litter) as manager:
        before = resident()
        for version in range(2, 7):
            put(base, version)
            eventually(lambda v=version: ask(manager, "m")[0] == v)
            eventually(lambda: states(manager, "m")[1][1] == "END")
        assert resident() - before < 30e6
