"""Where a training runs: tf.distribute strategies by the flag's value.

In: `--strategy` and `--precision`. Out: a strategy; the process set to that
precision and to deterministic kernels. Call before any other TensorFlow work.
"""

import pathlib
from collections.abc import Callable

import tensorflow as tf


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


STRATEGIES: dict[str, Callable[[], tf.distribute.Strategy]] = {
    "one": one,
    "mirrored": mirrored,
}


def has_bfloat16() -> bool:
    """Whether this machine's arithmetic units know bfloat16."""
    for device in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(device)
        if details.get("compute_capability", (0, 0)) >= (8, 0):
            return True
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
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
