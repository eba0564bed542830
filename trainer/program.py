"""How every program starts and fails: one line on stderr, exit code 2.

In: a `main` function and absl flags. Out: the process's exit code. Input
errors and flag errors print `error: ...` without a traceback.
"""

import os
import sys
from collections.abc import Callable

from absl import app, flags

from histogan_tf.errors import InputError


def run(main: Callable[[], None]) -> None:
    """Parses the flags, calls `main()` and exits.

    Exit codes: 0 success, 2 bad input or a full disk, others a bug (with its
    traceback).
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    app.run(lambda _: _guarded(main), flags_parser=_parse)


def _parse(argv: list[str]) -> list[str]:
    try:
        rest = flags.FLAGS(argv)
        if len(rest) > 1:
            raise flags.Error(f"unknown argument {rest[1]!r}; flags start --")
        if flags.FLAGS.help or flags.FLAGS.helpshort:
            _print_help()
        return rest
    except flags.Error as error:
        _fail(str(error))


def _print_help() -> None:
    app.usage(shorthelp=True, writeto_stdout=True)
    sys.exit(0)


def _guarded(main: Callable[[], None]) -> None:
    try:
        main()
    except InputError as error:
        _fail(str(error))
    except OSError as error:
        # A full disk or a folder without permission is no bug of ours.
        _fail(f"{error.filename or 'input/output'}: {error.strerror or error}")


def _fail(message: str) -> None:
    line = " ".join(message.split())
    print(f"error: {line}", file=sys.stderr)
    sys.exit(2)
