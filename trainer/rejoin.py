"""Workers that go on after one of them was lost.

In: a program's work, and how often it may start again. Out: the work done;
or this process anew, with the same command, which waits for all workers and
goes on at the last checkpoint.

A process whose partner died cannot mend its collective operations, so it
becomes a new one in place. The lost worker is started again by hand, or by
whatever manages the cluster.
"""

import os
import sys
from collections.abc import Callable

import tensorflow as tf

from histogan_tf.errors import InputError

# What collective operations report when a partner is gone or new.
LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)
# An error of any type that came over gRPC: the partner is gone or new, too. A
# new worker 0 calls the heartbeats of those it does not know yet invalid.
REMOTE = "from remote target"
# What they report when a worker counts on more or fewer replicas.
UNEQUAL = "but that group has size"
FLAG = "restarts"


def train(work: Callable[[], None], restarts: int) -> None:
    """Calls `work`; does not return if a worker was lost meanwhile.

    Raises:
      InputError: a worker was lost, and no restart is left; or the workers
        have different numbers of GPUs.
    """
    try:
        work()
    except tf.errors.OpError as error:
        reason = " ".join(error.message.split())
        if not isinstance(error, LOST) and REMOTE not in reason:
            raise
        if UNEQUAL in reason:
            here = len(tf.config.list_physical_devices("GPU"))
            raise InputError(
                "the workers have different numbers of GPUs, this one"
                f" {here}; give each the same, by CUDA_VISIBLE_DEVICES"
            ) from error
        if restarts < 1:
            raise InputError(
                f"a worker was lost, and --{FLAG} is used up: {reason}; start"
                " the same command on every machine again"
            ) from error
        sys.stderr.write(
            f"a worker was lost; starting again at the last checkpoint"
            f" ({restarts - 1} more times at most): {reason}\n"
        )
        start_again(restarts - 1)


def start_again(restarts: int) -> None:
    """Replaces this process by the same command with fewer restarts."""
    sys.stdout.flush()
    sys.stderr.flush()
    # The last of a flag's values counts.
    words = [*sys.orig_argv[1:], f"--{FLAG}={restarts}"]
    os.execv(sys.executable, [sys.executable, *words])
