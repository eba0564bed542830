"""Where a training runs: tf.distribute strategies by the flag's value.

In: `--strategy` and `--precision`; TF_CONFIG for several machines. Out: a
strategy; the process set to that precision and to deterministic kernels. Call
before any other TensorFlow work.
"""

import contextlib
import os
import pathlib
import signal
import socket
from collections.abc import Callable, Iterator

import tensorflow as tf

from histogan_tf.errors import InputError
from trainer import cluster
from trainer.cluster import Cluster


def one() -> tf.distribute.Strategy:
    """One device: the first GPU, or the CPU."""
    return tf.distribute.get_strategy()


def mirrored() -> tf.distribute.Strategy:
    """All GPUs of this machine; without one, all logical CPUs."""
    gpus = tf.config.list_logical_devices("GPU")
    if gpus:
        return tf.distribute.MirroredStrategy([d.name for d in gpus])
    cpus = tf.config.list_logical_devices("CPU")
    # The default, collective ops, can hang on CPUs: each waits in a thread
    # for its partner, and there are but as many threads as cores.
    return tf.distribute.MirroredStrategy(
        [d.name for d in cpus], tf.distribute.ReductionToOneDevice()
    )


def multi_worker() -> tf.distribute.Strategy:
    """All GPUs (or the CPU) of each machine in TF_CONFIG.

    Returns once all of them have called it.

    Raises:
      InputError: TF_CONFIG is missing or wrong, or this process's port taken.
    """
    found = cluster.from_environment(os.environ)
    check_port(found)
    with _sigterm_kept():
        return tf.distribute.MultiWorkerMirroredStrategy(
            tf.distribute.cluster_resolver.SimpleClusterResolver(
                tf.train.ClusterSpec({"worker": list(found.workers)}),
                task_type="worker",
                task_id=found.index,
                rpc_layer="grpc",
                # Without it TensorFlow takes the CPU. Physical ones: asking for
                # logical devices starts the runtime before collectives are set.
                num_accelerators={
                    "GPU": len(tf.config.list_physical_devices("GPU"))
                },
            )
        )


@contextlib.contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Keeps SIGTERM, which TensorFlow takes for its notices of preemption."""
    minded = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, minded)


def check_port(found: Cluster) -> None:
    """Raises InputError when another program listens on this worker's port.

    TensorFlow would say so in some lines of C++.
    """
    with socket.socket() as probe:
        # A worker that starts again finds its own old connections closing.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", found.port))
        except OSError as error:
            raise InputError(
                f"{cluster.NAME}: worker {found.index},"
                f" {found.workers[found.index]}: cannot listen on port"
                f" {found.port}: {error.strerror}; choose another port"
            ) from error


STRATEGIES: dict[str, Callable[[], tf.distribute.Strategy]] = {
    "one": one,
    "mirrored": mirrored,
    "multi_worker": multi_worker,
}


def devices() -> str:
    """What this process trains on, in words."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        cores = len(os.sched_getaffinity(0))
        return f"no GPU that TensorFlow can use; CPU, {cores} cores"
    details = (tf.config.experimental.get_device_details(g) for g in gpus)
    names = sorted({found.get("device_name", "GPU") for found in details})
    return f"{len(gpus)} x {' and '.join(names)}"


def has_bfloat16() -> bool:
    """Whether the arithmetic units that would train know bfloat16.

    All GPUs, where there are any: each replica does the same.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = (tf.config.experimental.get_device_details(g) for g in gpus)
        return all(
            found.get("compute_capability", (0, 0)) >= (8, 0)
            for found in details
        )
    return cpu_has_bfloat16(pathlib.Path("/proc/cpuinfo"))


def cpu_has_bfloat16(cpuinfo: pathlib.Path) -> bool:
    """Whether Linux's list of the processor's flags names bfloat16."""
    flags = cpuinfo.read_text().split() if cpuinfo.exists() else []
    return "avx512_bf16" in flags or "amx_bf16" in flags


def prepare(precision: str, seed: int) -> None:
    """Sets precision and seeds; every kernel gives the same bits each run."""
    policy = {"float32": "float32", "bfloat16": "mixed_bfloat16"}[precision]
    tf.keras.mixed_precision.set_global_policy(policy)
    # Not 0, which tf.data refuses; see loop.run.
    tf.keras.utils.set_random_seed(seed + 1)
    tf.config.experimental.enable_op_determinism()
