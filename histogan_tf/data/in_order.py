"""A threaded map that keeps the order and runs only a little ahead.

In: a function and items. Out: its results, one by one, in the items' order.
"""

import collections
import concurrent.futures
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """Yields `function(item)` of each item.

    At most two items a worker wait to be taken. An error of the function is
    raised in its turn, and the rest is not begun.
    """
    waiting: collections.deque[concurrent.futures.Future[Result]]
    waiting = collections.deque()
    pool = concurrent.futures.ThreadPoolExecutor(workers)
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
