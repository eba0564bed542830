"""How every program starts and fails: one line on stderr, exit code 2.

In: a `main` function and absl flags. Out: the process's exit code. Input
errors and flag errors print `error: ...` without a traceback.

It defines no flag. It is in the library because `trainer` and `serving`, which
both start with it, may not import each other.
"""

import contextlib
import os
import select
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import NoReturn

from absl import app, flags, logging

from histogan_tf.data import remote
from histogan_tf.errors import InputError

# Unless the user says otherwise.
_ENVIRONMENT = {
    # 3, as TensorFlow's start-up messages call themselves errors.
    "TF_CPP_MIN_LOG_LEVEL": "3",
    # TensorFlow leaves oneDNN off without AVX-512: 1.4 times the time.
    "TF_ENABLE_ONEDNN_OPTS": "1",
    # A program takes of a GPU what it needs, not all: two fit on one.
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    # float32 is float32 on GPUs of Ampere and later too, not TF32 with its
    # 10 bits: windows are those of the whole canvas to 1e-4.
    "NVIDIA_TF32_OVERRIDE": "0",
}


_TERMINATED = 143  # as a shell says of what SIGTERM has ended
# A second SIGTERM in this time, as timeout(1) sends it, must not cut short the
# cleaning up that the first began. Docker kills after 10 s.
_CLEANING = 10.0


class _Terminated(SystemExit):
    """SIGTERM came: unwind, so that half-written files go."""


def run(main: Callable[[], None], ops_at_once: int | None = None) -> None:
    """Parses the flags, calls `main()` and exits.

    Args:
      main: the program.
      ops_at_once: of TensorFlow's; else as many as there are cores. 1 suits
        networks that are one chain on windows of many shapes: memory that
        oneDNN's allocator has once taken it keeps, and by chance takes more.

    Exit codes: 0 success or help, 2 bad input or a full disk, 130 Ctrl-C, 141
    nobody reads the output any more, 143 SIGTERM (half-written files are
    removed), others a bug (with its traceback).
    """
    set_environment()
    if ops_at_once:
        os.environ.setdefault("TF_NUM_INTEROP_THREADS", str(ops_at_once))
    try:
        with _unwinding():
            _run(main)
    except BrokenPipeError:
        # Python would flush once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)  # as a shell says of what SIGPIPE has ended
    except SystemExit as end:
        # At SIGTERM nobody waits for the threads of TensorFlow to end.
        at_once = isinstance(end, _Terminated) or remote.breaks_exit()
        if at_once and isinstance(end.code, int | None):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code or 0)
        raise


@contextlib.contextmanager
def _unwinding() -> Iterator[None]:
    """Makes SIGTERM raise _Terminated, unless somebody minds it already."""
    here = threading.current_thread() is threading.main_thread()
    if not here or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    last = -_CLEANING

    def stop(*_: object) -> None:
        nonlocal last
        if time.monotonic() - last < _CLEANING:
            return
        last = time.monotonic()
        raise _Terminated(_TERMINATED)

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        # main() may have put a handler of its own in its place.
        if signal.getsignal(signal.SIGTERM) is stop:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def command_line(module: str) -> str:
    """What was typed to start `module`, as a line for a shell."""
    return shlex.join(["python", "-m", module, *sys.argv[1:]])


def set_environment() -> None:
    """Settings of TensorFlow, which reads them when it starts to work."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def _run(main: Callable[[], None]) -> None:
    """Raises SystemExit; BrokenPipeError when nobody reads stdout."""
    try:
        app.run(lambda _: _guarded(main), flags_parser=_parse)
    finally:
        sys.stdout.flush()


def _parse(argv: list[str]) -> list[str]:
    try:
        rest = flags.FLAGS(argv)
    except flags.UnrecognizedFlagError as error:
        _fail(f"{error}; allowed: {_own_flags(argv[0])}")
    except flags.Error as error:
        _fail(str(error).removeprefix("ERROR:: "))
    except SystemExit:
        # Only absl's help flags exit in parsing; they do it with code 1.
        sys.exit(0)
    if len(rest) > 1:
        # What a shell makes of a pattern.
        hint = ": put patterns in quotes" if os.path.exists(rest[1]) else ""
        _fail(f"unknown argument {rest[1]!r}{hint}; flags start with --")
    return rest


def _own_flags(program: str) -> str:
    own = flags.FLAGS.get_key_flags_for_module(program)
    names = sorted(flag.name for flag in own)
    return ", ".join(f"--{name}" for name in [*names, "flagfile", "help"])


def _guarded(main: Callable[[], None]) -> None:
    # TensorBoard's reader tells of every file that it has read.
    logging.set_verbosity(logging.WARNING)
    try:
        main()
    except InputError as error:
        _fail(str(error))
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _reader_gone():
            raise
        # A full disk or a folder without permission is no bug of ours.
        _fail(f"{error.filename or 'input/output'}: {error.strerror or error}")
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        sys.exit(130)
    except _Terminated:
        sys.stderr.write("error: stopped by SIGTERM\n")
        raise
    except Exception as error:
        # TensorFlow's writers report a full disk by an error of their own.
        if "No space left on device" not in str(error):
            raise
        _fail(str(error))


def _reader_gone() -> bool:
    """Whether stdout is a pipe that was closed, as by `head`."""
    stdout = select.poll()
    stdout.register(1, 0)
    return any(event & select.POLLERR for _, event in stdout.poll(0))


def _fail(message: str) -> NoReturn:
    line = " ".join(message.split())
    sys.stderr.write(f"error: {line}\n")
    sys.exit(2)
