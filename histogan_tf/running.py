"""How independent pieces of work are run: in this process, or elsewhere.

In: a function and items. Out: its results, one by one, in the items' order.
Library functions take a `Runner`; `here` and `in_threads` are this process's
own, `trainer/beam_runner.py` has Apache Beam's.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from histogan_tf.data.in_order import in_order

Item = TypeVar("Item")
Result = TypeVar("Result")

# Hears how far an item is, in numbers that the work chooses.
Inside = Callable[..., None]
# Hears how many items are finished and, of a runner of this process, how far
# the next one is.
Tell = Callable[..., None]


def silent(*_: object) -> None:
    """A listener that does not care."""


class Runner(Protocol):
    """Runs `work(item, inside)` for each item."""

    def __call__(
        self,
        work: Callable[[Item, Inside], Result],
        items: Sequence[Item],
        tell: Tell,
    ) -> Iterator[Result]:
        """Yields results in order.

        Args:
          work: may be sent to another machine, so a function of a module,
            or a `functools.partial` of one.
          items: what it is called with.
          tell: hears of the progress between two results.
        """


def here(
    work: Callable[[Item, Inside], Result], items: Sequence[Item], tell: Tell
) -> Iterator[Result]:
    """The runner that does one item after the other."""
    for number, item in enumerate(items):
        yield work(item, functools.partial(tell, number))


def in_threads(count: int) -> Runner:
    """A runner of `count` threads, which says nothing between two results."""

    def run(work, items, tell):
        del tell
        return in_order(lambda item: work(item, silent), items, count)

    return run
