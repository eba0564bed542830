"""The flags --runner and --beam_options: where a program's work is done.

In: the flags. Out: the `histogan_tf.running.Runner` for independent pieces of
work (slides, images, canvases). Results do not depend on it, so commands
that are kept beside results leave both flags out.
"""

import pathlib
import shlex
import sys
from collections.abc import Sequence

from absl import flags

from histogan_tf.errors import InputError
from histogan_tf.running import Runner

NAMES = ("runner", "beam_options")


def define_flags() -> None:
    """To be called by a program, which then adopts this module's flags."""
    flags.DEFINE_enum(
        "runner",
        "local",
        ["local", "beam"],
        "this process, or Apache Beam, whose workers see the same folders",
    )
    flags.DEFINE_string(
        "beam_options",
        "--runner=FnApiRunner",
        "Beam's own, in quotes: --runner=FlinkRunner --flink_master=HOST:8081",
    )


def chosen(local: Runner, output: str) -> Runner:
    """The runner that the flags ask for.

    Args:
      local: this program's own.
      output: results of Beam's workers are kept for a while beside it.
    """
    if flags.FLAGS.runner == "local":
        return local
    from trainer.beam_runner import BeamRunner

    try:
        options = shlex.split(flags.FLAGS.beam_options)
    except ValueError as error:
        raise InputError(
            f"--beam_options {flags.FLAGS.beam_options!r}: {error}"
        ) from error
    return BeamRunner(tuple(options), pathlib.Path(output).absolute().parent)


def command(program: str) -> str:
    """The command line without the flags that say where it runs."""
    words = ["python", "-m", program, *without(sys.argv[1:])]
    return shlex.join(words)


def without(arguments: Sequence[str]) -> list[str]:
    """Arguments without --runner and --beam_options and their values."""
    kept, skip = [], False
    for word in arguments:
        name, equals, _ = word.lstrip("-").partition("=")
        if skip:
            skip = False
        elif word.startswith("-") and name in NAMES:
            skip = not equals
        else:
            kept.append(word)
    return kept
