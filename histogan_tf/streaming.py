"""Windows one after the other: reading, computing and writing overlap.

In: items and three functions. Out: all items written, in order, and how long
each of the three was at work. The next item is read, and the last one written,
by a thread each while the model computes; at most one item waits on either
side, so memory does not grow with the number of items.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")
Read = TypeVar("Read")
Made = TypeVar("Made")
Progress = Callable[[int, int], None]


@dataclass
class Times:
    """Seconds: at work in each part, waited for others, and in all."""

    read: float = 0.0
    compute: float = 0.0
    write: float = 0.0
    waited: float = 0.0
    total: float = 0.0

    @contextlib.contextmanager
    def clock(self, part: str) -> Iterator[None]:
        """Adds the time of a block to a part."""
        start = time.perf_counter()
        try:
            yield
        finally:
            passed = time.perf_counter() - start
            setattr(self, part, getattr(self, part) + passed)


def overlapped(
    items: Sequence[Item],
    read: Callable[[Item], Read],
    compute: Callable[[Item, Read], Made],
    write: Callable[[Item, Made], None],
    progress: Progress = lambda done, total: None,
) -> Times:
    """Reads, computes and writes every item.

    Args:
      items: in the order in which they are written.
      read: called in a thread of its own.
      compute: called in the caller's thread.
      write: called in a third thread.
      progress: called with the number of items computed and of all.

    Raises:
      Whatever one of the functions raises, the first in time; what has been
      computed before is still written.
    """
    times = Times()
    timed_read, timed_write = (
        _timed(times, "read", read),
        _timed(times, "write", write),
    )
    with (
        times.clock("total"),
        ThreadPoolExecutor(1) as reader,
        ThreadPoolExecutor(1) as writer,
    ):
        coming = [reader.submit(timed_read, item) for item in items[:1]]
        going = list[Future]()
        for place, item in enumerate(items):
            with times.clock("waited"):
                data = coming.pop().result()
            coming = [
                reader.submit(timed_read, later)
                for later in items[place + 1 : place + 2]
            ]
            with times.clock("compute"):
                made = compute(item, data)
            with times.clock("waited"):
                _finish(going)
            going = [writer.submit(timed_write, item, made)]
            progress(place + 1, len(items))
        _finish(going)
    return times


def _timed(times: Times, part: str, function: Callable) -> Callable:
    def call(*values):
        with times.clock(part):
            return function(*values)

    return call


def _finish(jobs: Sequence[Future]) -> None:
    for job in jobs:
        job.result()
