"""The one error that bad input raises.

Programs print its single line as `error: ...` and exit with code 2. The
message names the file, the field, the value found and what is allowed.
"""


class InputError(ValueError):
    """Input that the user can mend; the message is one line."""


class BusyError(InputError):
    """Another process is at work there; it may be over in a while."""
