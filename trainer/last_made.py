"""One large thing at a time: what was made last is kept for the next use.

In: a function. Out: one that calls it anew for other arguments only. Unlike
`functools.lru_cache` it lets go of the one before the next is made, so that
there are never two.
"""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Made = TypeVar("Made")


class LastMade(Generic[Made]):
    """See the module; threads may share it, each gets what it asked for."""

    def __init__(self, make: Callable[..., Made]) -> None:
        self._make = make
        self._held: tuple[tuple[Hashable, ...], Made] | None = None

    def __call__(self, *given: Hashable) -> Made:
        """What the function makes of that."""
        held = self._held
        if held is None or held[0] != given:
            held = self._held = None
            held = self._held = (given, self._make(*given))
        return held[1]
