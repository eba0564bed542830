"""Pixelwise functions that CPUs compute in one pass in a train step.

In: a function that treats every pixel of feature maps [B, H, W, C] by itself
or with its neighbours, or sums over pixels last. Out: the same function;
inside `fusing` its values are one compiled loop (XLA), and its gradient is
another, in float32 between reading and writing.

TensorFlow reads and writes whole maps for each of a norm's dozen ops and the
two dozen of its gradient, and its kernels for CPUs take longer over most of
them in bfloat16 than in float32. The gradient's loop computes the values
again, which is cheaper than to keep what they came from.

In float32 for large batches only: small ones lose more by the loops' calls
than they gain (WORKSPACE_NOTES.md). Not outside training: every size would be
compiled anew, and a server may lack the compiler. Not on GPUs, where XLA wants
parts of CUDA that may be missing. Nor in a step that XLA compiles as a whole
(`compiled_whole`, for `--jit_compile`): it makes loops of its own.
"""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

import tensorflow as tf
from tensorflow.python.eager import record

_P = ParamSpec("_P")
_T = TypeVar("_T")
# Pixels of a replica's batch from which float32 is fused too, as 8 of 128 px.
LARGE = 2**17
# Each thread's `mode`: its compiled functions while it fuses, `_LOOP` while it
# traces one of them, `_WHOLE` while it traces a step that is one.
_thread = threading.local()
_LOOP, _WHOLE = object(), object()


@contextlib.contextmanager
def _mode(wanted: Any) -> Iterator[None]:
    before = getattr(_thread, "mode", None)
    _thread.mode = wanted
    try:
        yield
    finally:
        _thread.mode = before


@contextlib.contextmanager
def fusing(pixels: int = 0) -> Iterator[None]:
    """What this thread calls inside is fused, if that pays and without GPUs.

    It pays in bfloat16, and in float32 from `LARGE` pixels on. Each function
    is traced anew in every `fusing`, so this wants to be where a step is
    traced.

    Args:
      pixels: of all images of a replica's step; 0 where it is not known.
    """
    if is_whole():
        yield
        return
    precision = tf.keras.mixed_precision.global_policy().compute_dtype
    pays = precision == "bfloat16" or pixels >= LARGE
    gpus = tf.config.list_logical_devices("GPU")
    with _mode({} if pays and not gpus else None):
        yield


def fused_step(step: Callable[..., _T]) -> Callable[..., _T]:
    """A model's `train_step(self, batch)`, fused by the size of its images.

    Where that is unknown, as of a small batch.
    """

    @functools.wraps(step)
    def call(self: Any, batch: dict[str, tf.Tensor]) -> _T:
        shape = batch["image"].shape[:-1]
        with fusing(shape.num_elements() or 0):
            return step(self, batch)

    return call


def is_fusing() -> bool:
    """Whether functions are fused here and now."""
    return isinstance(getattr(_thread, "mode", None), dict)


def is_loop() -> bool:
    """Whether what is traced becomes a loop of its own."""
    return getattr(_thread, "mode", None) is _LOOP


def is_whole() -> bool:
    """Whether what is traced is part of a step that XLA compiles."""
    return getattr(_thread, "mode", None) is _WHOLE


def compiled_whole(step: Callable[_P, _T]) -> Callable[_P, _T]:
    """`step` by XLA, compiled once for each shape; nothing is apart in it."""

    def call(*args: _P.args, **more: _P.kwargs) -> _T:
        with _mode(_WHOLE):
            return step(*args, **more)

    return tf.function(call, autograph=False, jit_compile=True)


def fused(function: Callable[_P, tf.Tensor]) -> Callable[_P, tf.Tensor]:
    """`function` of maps, with a gradient to each; the result like the first.

    It may depend on nothing but its arguments. Where one comes by its name,
    or a size is unknown, it stays as it is.
    """
    return _fused(function, functools.partial(_one_pass, function))


def fused_beside(
    function: Callable[..., tf.Tensor],
) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
    """The first map as it is, and `function` of all, as by `fused`.

    For residual blocks: the gradients of both are summed in one loop.
    """

    def beside(*maps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return maps[0], function(*maps)

    one_pass = functools.partial(_one_pass, function, beside=True)
    return _fused(beside, one_pass)


def fused_exact(function: Callable[_P, tf.Tensor]) -> Callable[_P, tf.Tensor]:
    """As `fused`: float32, with a gradient to the first argument alone."""
    return _fused(function, functools.partial(_one_pass, function, learnt=1))


def looped(function: Callable[_P, tf.Tensor]) -> Callable[_P, tf.Tensor]:
    """As `fused`, of any types, which are kept, and without gradients."""
    return _fused(function, functools.partial(_compiled, function))


def _fused(function: Callable, make: Callable[[], Callable]) -> Any:
    @functools.wraps(function)
    def call(*maps: Any, **more: Any) -> Any:
        if more or not is_fusing():
            return function(*maps, **more)
        tensors = [tf.convert_to_tensor(x) for x in maps]
        if not all(x.shape.is_fully_defined() for x in tensors):
            return function(*tensors)
        if function not in _thread.mode:
            _thread.mode[function] = make()
        return _thread.mode[function](*tensors)

    return call


def _one_pass(
    function: Callable, learnt: int | None = None, beside: bool = False
) -> Callable:
    forward = _compiled(functools.partial(_values, function, learnt))
    backward = _compiled(
        functools.partial(_gradients, function, learnt, beside)
    )

    def one_pass(*maps: tf.Tensor) -> Any:
        def gradients(*upstream: tf.Tensor) -> list[tf.Tensor | None]:
            found = backward(*maps, *upstream)
            return [*found, *[None] * (len(maps) - len(found))]

        # What tf.custom_gradient does, which keeps every step's graph for the
        # process's life, and lets persistent tapes record the loop's inside.
        with record.stop_recording():
            results = [forward(*maps)]
            if beside:
                results.insert(0, tf.identity(maps[0]))
        record.record_operation("fused", results, list(maps), gradients)
        return tuple(results) if beside else results[0]

    return one_pass


def _exact(maps: tuple[tf.Tensor, ...]) -> list[tf.Tensor]:
    return [tf.cast(x, tf.float32) for x in maps]


def _values(
    function: Callable, learnt: int | None, *maps: tf.Tensor
) -> tf.Tensor:
    result = function(*_exact(maps))
    return result if learnt else tf.cast(result, maps[0].dtype)


def _gradients(
    function: Callable, learnt: int | None, beside: bool, *maps: tf.Tensor
) -> list[tf.Tensor]:
    """What the last of `maps`, the result's gradient, gives the others.

    `beside`: the last but one is added to what it gives the first.
    """
    *inputs, upstream = _exact(maps)
    more = inputs.pop() if beside else 0.0
    with tf.GradientTape() as tape:
        tape.watch(inputs[:learnt])
        result = function(*inputs)
    first, *rest = tape.gradient(result, inputs[:learnt], upstream)
    found = [first + more, *rest]
    return [tf.cast(g, x.dtype) for g, x in zip(found, maps, strict=False)]


def _compiled(function: Callable) -> Callable:
    """`function` by XLA, compiled once for each shape."""
    traced = tf.function(function, jit_compile=True, autograph=False)

    def call(*maps: tf.Tensor) -> Any:
        specs = [tf.TensorSpec(x.shape, x.dtype) for x in maps]
        # By hand, as a call warns of many shapes.
        with _mode(_LOOP):
            traced_here = traced.get_concrete_function(*specs)
        return traced_here(*maps)

    return call
