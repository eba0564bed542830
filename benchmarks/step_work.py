"""What a train step does, and what the machine could: convolutions, memory.

In: a traced function; a precision. Out: multiplications and additions of its
convolutions; operations a second of one large convolution; seconds of a call;
memory held.

Only convolutions are counted, forward and backward: what else a step does
costs time that the share of the peak then lacks, as it should.
"""

import math
import pathlib
import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.python.framework.func_graph import FuncGraph

from serving import memory

# Where each op has its gradient or output [B, H, W, C], and its kernel.
_FORWARD = "Conv2D"
_TO_INPUT, _TO_KERNEL = "Conv2DBackpropInput", "Conv2DBackpropFilter"


def convolution_flops(graph: FuncGraph) -> int:
    """Multiplications and additions of the convolutions that a call runs.

    A gradient tape writes a convolution's gradients to its input and to its
    kernel whether they are wanted or not; the unwanted ones are pruned.

    Raises:
      ValueError: the size of one is not known before it runs.
    """
    kinds = (_FORWARD, _TO_INPUT, _TO_KERNEL)
    return sum(_flops(op) for op in _wanted(graph) if op.type in kinds)


def _wanted(graph: FuncGraph) -> set[tf.Operation]:
    """What the outputs and side effects of a function hang on."""
    found = set[tf.Operation]()
    left = [*(tensor.op for tensor in graph.outputs), *graph.control_outputs]
    while left:
        op = left.pop()
        if op not in found:
            found.add(op)
            left += [*(tensor.op for tensor in op.inputs), *op.control_inputs]
    return found


def _flops(op: tf.Operation) -> int:
    painted = op.outputs[0].shape if op.type == _FORWARD else op.inputs[2].shape
    kernel = op.inputs[1].shape
    if op.type == _TO_KERNEL:
        kernel = op.outputs[0].shape
    if not (painted.is_fully_defined() and kernel.is_fully_defined()):
        raise ValueError(f"{op.name}: {painted}, {kernel}: unknown size")
    # The kernel's outputs are the last side of `painted` already.
    return 2 * math.prod(painted) * math.prod(kernel[:3])


def peak_flops(dtype: str, seconds: float, side: int = 64) -> float:
    """Operations a second of a 3x3 convolution of 128 channels, the best.

    Args:
      dtype: float32 or bfloat16.
      seconds: how long to measure, in calls.
      side: height and width of the 8 images, px.
    """
    image = tf.cast(tf.random.normal([8, side, side, 128]), dtype)
    kernel = tf.cast(tf.random.normal([3, 3, 128, 128]), dtype)

    @tf.function(autograph=False)
    def convolve():
        return tf.nn.conv2d(image, kernel, 1, "SAME")[0, 0, 0, 0]

    best, end = math.inf, time.monotonic() + seconds
    convolve()
    while time.monotonic() < end or best == math.inf:
        start = time.monotonic()
        convolve().numpy()
        best = min(best, time.monotonic() - start)
    return 2 * math.prod(image.shape) * 128 * 9 / best


def timed(
    run: Callable[[], Any], wait: Callable[[], Any], count: int, takes: int = 1
) -> float:
    """Seconds of a call, the first (which traces) not counted.

    Of `takes` takes of `count` calls the fastest: others' work on the machine
    can only slow one, and a peak is the best of many as well.
    """
    run()
    wait()
    return min(_take(run, wait, count) for _ in range(takes))


def _take(run: Callable[[], Any], wait: Callable[[], Any], count: int) -> float:
    start = time.monotonic()
    for _ in range(count):
        run()
    wait()
    return (time.monotonic() - start) / count


class Memory:
    """Memory of this process beyond what it holds now, MiB."""

    def __init__(self) -> None:
        memory.give_back()
        # Linux then counts the most memory held anew.
        pathlib.Path("/proc/self/clear_refs").write_text("5")
        self.before = held_mib("VmRSS")

    def peak(self) -> float:
        """The most held since, less what was held before."""
        return held_mib("VmHWM") - self.before


def held_mib(field: str) -> float:
    """VmRSS (now) or VmHWM (the most) of this process, MiB."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"/proc/self/status: no {field}")
