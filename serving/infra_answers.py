"""Are two answers to one request those of one model?

In: outputs of a server, and of the SavedModel in this process. Out: a text
that names the output and the difference, or "". The two may run other
convolution algorithms (TensorFlow chooses them by time, in each process) or
on other devices, so:

- floats are equal to a tolerance;
- PNGs are compared decoded: RGB as painted images, grey as class masks
  (`pixels.py`); so are uint8 images [B, H, W, 3];
- `areas` and `confusion`, counted in masks, may differ as these may, and
  `dice` must be that of the answer's own `confusion`;
- all else is equal.
"""

import numpy as np

from histogan_tf.data import png
from histogan_tf.metrics import segmentation
from serving import pixels

# Painted values that may be off by one: an error of 1e-4 moves as many.
_SHARE = 1e-2
_COUNTS = ("areas", "confusion")

Outputs = dict[str, np.ndarray]


def difference(found: Outputs, expected: Outputs, tolerance: float) -> str:
    """What is not as expected, or "".

    Args:
      found: arrays by name; strings are arrays of bytes objects.
      expected: the same.
      tolerance: for floats, absolute and relative.
    """
    if set(found) != set(expected):
        return (
            f"outputs {', '.join(sorted(found))}; expected"
            f" {', '.join(sorted(expected))}"
        )
    for name, value in expected.items():
        got = found[name]
        if (got.shape, got.dtype) != (value.shape, value.dtype):
            return (
                f"{name} is {got.dtype} {got.shape}; expected {value.dtype}"
                f" {value.shape}"
            )
    texts = (
        _of_output(name, found[name], value, tolerance)
        for name, value in _with_own_dice(found, expected).items()
    )
    return next(filter(None, texts), "")


def _with_own_dice(found: Outputs, expected: Outputs) -> Outputs:
    """Expects the Dice scores of the counts that were found."""
    confusion = found.get("confusion")
    if confusion is None or confusion.ndim != 3 or "dice" not in expected:
        return expected
    return expected | {"dice": segmentation.dice(confusion)}


def _of_output(
    name: str, got: np.ndarray, value: np.ndarray, tolerance: float
) -> str:
    text = ""
    if value.dtype == object:
        pairs = zip(got.ravel(), value.ravel(), strict=True)
        texts = (_of_string(*pair) for pair in pairs)
        text = next(filter(None, texts), "")
    elif value.dtype == np.uint8 and value.ndim == 4:
        text = pixels.painted(got, value, _SHARE)
    elif value.dtype.kind != "f":
        text = "" if np.array_equal(got, value) else "another value"
    elif name in _COUNTS and value.ndim > 1:
        text = pixels.counts(got, value)
    elif not np.allclose(got, value, tolerance, tolerance, equal_nan=True):
        return f"{name} differs by up to {np.abs(got - value).max():.3g}"
    return f"{name} differs: {text}" if text else ""


def _of_string(got: bytes, value: bytes) -> str:
    if got == value:
        return ""
    if not (got.startswith(png.SIGNATURE) and value.startswith(png.SIGNATURE)):
        return "other bytes"
    wanted = png.decode(value)
    try:
        found = png.decode(got)
    except ValueError as error:
        return f"a damaged PNG: {error}"
    if wanted.ndim == 2:
        return pixels.mask(found, wanted)
    return pixels.painted(found, wanted, _SHARE)
