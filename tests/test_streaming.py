"""Streaming: order, overlap, errors, bounded memory."""

import threading

import pytest

from histogan_tf import streaming


def test_every_item_passes_in_order():
    written, seen = [], []
    times = streaming.overlapped(
        [1, 2, 3],
        lambda item: item * 10,
        lambda item, data: (item, data + 1),
        lambda item, made: written.append((item, made)),
        lambda done, total: seen.append((done, total)),
    )
    assert written == [(1, (1, 11)), (2, (2, 21)), (3, (3, 31))]
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert times.total > 0 and times.compute <= times.total


def test_no_items():
    assert streaming.overlapped([], None, None, None).total >= 0


def test_the_next_is_read_and_the_last_written_meanwhile():
    read, wrote = threading.Event(), threading.Event()

    def load(item):
        if item == 2:
            read.set()
        return item

    def compute(item, data):
        # Would wait for ever without threads of their own.
        if item == 1:
            assert read.wait(30)
        if item == 2:
            assert wrote.wait(30)

    def write(item, made):
        if item == 1:
            wrote.set()

    streaming.overlapped([1, 2], load, compute, write)
    assert read.is_set() and wrote.is_set()


def test_never_more_than_one_waits_on_either_side():
    loaded, written, most = [], [], []

    def compute(item, data):
        most.append(len(loaded) - len(written))

    streaming.overlapped(
        list(range(50)), loaded.append, compute, lambda *_: written.append(0)
    )
    # One being computed, one read ahead, one being written, at the most.
    assert max(most) <= 3 and len(written) == 50


@pytest.mark.parametrize("part", ["read", "compute", "write"])
def test_an_error_ends_it_and_what_was_made_is_written(part):
    written = []

    def fail(name, item):
        if name == part and item == 3:
            raise ValueError(f"{name} failed")

    def write(item, made):
        fail("write", item)
        written.append(item)

    with pytest.raises(ValueError, match=f"{part} failed"):
        streaming.overlapped(
            [1, 2, 3, 4, 5],
            lambda item: fail("read", item),
            lambda item, data: fail("compute", item),
            write,
        )
    assert written == [1, 2]
