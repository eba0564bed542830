"""Requests of any size: in windows, below the server's limit, by one version.

In: work that takes a number of pixels and sends requests of at most so many.
Out: its result. A server that refuses a size says what it allows (our server,
and the graphs of our exports; any server, of a message's bytes); the work is
then done again in smaller windows. At a hot swap in the midst of an image,
windows of two versions would not fit together: such work is done again, too.
"""

import re
from collections.abc import Callable
from typing import TypeVar

import grpc

from serving.client_channel import RequestError

Result = TypeVar("Result")
Work = Callable[[int, set[int]], Result]
_STATED = (
    re.compile(r"the limit (?:decoded_pixels|tensor_elements) is (\d+)"),
    re.compile(r"1 to (\d+) pixels are allowed"),
)
# As `client_channel` tells of it.
_BYTES = re.compile(r"of (\d+) bytes is above the server's limit of (\d+)")
_SWAPS = 3  # in a row, during one image


class Windows:
    """Does work in windows of at most `pixels`, a limit that it learns."""

    def __init__(self, pixels: int):
        """`pixels`: to begin with."""
        self.pixels = pixels

    def run(self, work: Work[Result]) -> tuple[Result, int]:
        """Does the work until all its answers are of one version.

        Args:
          work: sends requests of at most so many pixels each, and adds the
            version of every answer to the set.

        Returns:
          What it returns, and the version.

        Raises:
          RequestError: a request fails for another reason than its size; or
            the model was swapped three times meanwhile.
        """
        for _ in range(_SWAPS):
            versions = set[int]()
            result = self._within_limit(work, versions)
            if len(versions) == 1:
                return result, versions.pop()
        raise RequestError(
            grpc.StatusCode.ABORTED,
            f"the model was swapped {_SWAPS} times during one image",
            "server",
        )

    def _within_limit(self, work: Work[Result], versions: set[int]) -> Result:
        while True:
            try:
                return work(self.pixels, versions)
            except RequestError as error:
                stated = stated_limit(error, self.pixels)
                if stated is None or stated >= self.pixels:
                    raise
                self.pixels = stated


def stated_limit(error: RequestError, pixels: int) -> int | None:
    """Pixels that a refusing server says it allows, if it says so.

    Args:
      error: how it refused.
      pixels: at most so many were sent.
    """
    if error.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        if too_many := _BYTES.search(error.details):
            sent, allowed = (int(text) for text in too_many.groups())
            # Other windows may need more bytes for a pixel.
            return pixels * allowed // (sent + sent // 4)
        return None
    if error.code is not grpc.StatusCode.INVALID_ARGUMENT:
        return None
    found = [pattern.search(error.details) for pattern in _STATED]
    return next((int(match[1]) for match in found if match), None)
