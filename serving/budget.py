"""Bytes that many requests hold together, bounded.

In: counts of bytes, as requests are read. Out: whether they still fit. One
budget bounds what all clients of a port can make the server remember.
"""

import contextlib
import threading
from collections.abc import Iterator


class Budget:
    """Bytes that may be held at once; any thread may take them."""

    def __init__(self, most: int):
        self.most = self._left = most
        self._lock = threading.Lock()

    def take(self, count: int) -> bool:
        """Counts bytes; returns False, and counts none, when they are many."""
        with self._lock:
            fits = count <= self._left
            self._left -= count if fits else 0
        return fits

    @contextlib.contextmanager
    def held(self, count: int) -> Iterator[bool]:
        """Takes bytes for a while; yields whether they fit.

        More than the budget is taken as all of it: one alone always fits.
        """
        count = min(count, self.most)
        fits = self.take(count)
        try:
            yield fits
        finally:
            if fits:
                self.give_back(count)

    def give_back(self, count: int) -> None:
        """The bytes are gone."""
        with self._lock:
            self._left += count
