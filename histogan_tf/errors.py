"""The one error that bad input raises, and two kinds of it.

Programs print its single line as `error: ...` and exit with code 2. The
message names the file, the field, the value found and what is allowed.
"""

import os


class InputError(ValueError):
    """Input that the user can mend; the message is one line."""


class BusyError(InputError):
    """Another process is at work there; it may be over in a while."""


class UnreadableError(InputError):
    """A file that is no image, or not a whole one; `reason` says why."""

    def __init__(self, path: str | os.PathLike, reason: str) -> None:
        self.path, self.reason = path, " ".join(reason.split())
        super().__init__(f"{path}: {self.reason}")

    def __reduce__(self) -> tuple:
        """Both arguments, for pickle."""
        return type(self), (self.path, self.reason)
