"""A JSON value and a type -> a TensorProto.

In: numbers, strings, booleans, `{"b64": ...}`, or lists of them. Out: the
tensor of that type, or INVALID_ARGUMENT. Rules and texts are those of
tensorflow/serving's util/json_tensor.cc. Integers of 8 and 16 bits wrap
around as they do there. float16, bfloat16, uint16 and complex types have no
JSON form.

The shape follows the first elements; all others must agree. Dense lists are
flattened level by level; only where that fails are they walked value by
value, for the error's text.
"""

import binascii
import itertools
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from tensorflow.core.framework import tensor_pb2, types_pb2

from serving import json_text, status
from serving.tensors import type_name

_WHITE = str.maketrans("", "", " \t\n\v\f\r")
_INT32 = range(-(2**31), 2**31)


@dataclass(frozen=True)
class Dense:
    """Values of one tensor in row-major order; `b64` is not yet decoded."""

    shape: tuple[int, ...]
    values: list[Any]


def tensor(value: Any, dtype: int) -> tensor_pb2.TensorProto:
    """The tensor that `value` stands for.

    Args:
      value: parsed JSON.
      dtype: number of a DataType.

    Raises:
      ServingError: INVALID_ARGUMENT or UNIMPLEMENTED.
    """
    return to_proto(dense(value, dtype), dtype)


def dense(value: Any, dtype: int) -> Dense:
    """Flattens nested lists, every value checked; raises as `tensor`."""
    shape = shape_of(value)
    values = _flatten(value, shape)
    if values is None or not _all_fit(values, dtype):
        values = list(_walk(value, 0, shape, dtype))
    return Dense(shape, values)


def to_proto(found: Dense, dtype: int) -> tensor_pb2.TensorProto:
    """The tensor of checked values."""
    proto = tensor_pb2.TensorProto(dtype=dtype)
    for size in found.shape:
        proto.tensor_shape.dim.add().size = size
    if dtype == types_pb2.DT_STRING:
        proto.string_val.extend(map(_bytes, found.values))
    elif found.values:
        rule = _TYPES[dtype]
        array: np.ndarray = np.array(found.values, rule.parsed)
        proto.tensor_content = array.astype(rule.stored).tobytes()
    return proto


def is_base64(value: Any) -> bool:
    """Whether a value is `{"b64": "..."}` and no more."""
    return (
        isinstance(value, dict)
        and len(value) == 1
        and isinstance(value.get("b64"), str)
    )


def decode_base64(value: dict[str, str]) -> bytes:
    """The bytes of `{"b64": ...}`: standard alphabet, padding optional.

    Raises:
      ServingError: INVALID_ARGUMENT.
    """
    text = value["b64"].translate(_WHITE)
    if len(text) % 4 and not text.endswith("="):
        text += "=" * (-len(text) % 4)
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise status.invalid("Unable to base64 decode") from error


def encode_text(text: str) -> bytes:
    """UTF-8; INVALID_ARGUMENT for half a surrogate pair."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise status.invalid(
            "JSON Parse error: The surrogate pair in string is invalid."
        ) from error


def shape_of(value: Any) -> tuple[int, ...]:
    """Sizes of the first lists, from the outermost on."""
    sizes = []
    while isinstance(value, list):
        sizes.append(len(value))
        value = value[0] if value else None
    return tuple(sizes)


def _flatten(value: Any, shape: tuple[int, ...]) -> list[Any] | None:
    level = [value]
    for size in shape:
        if any(type(item) is not list or len(item) != size for item in level):
            return None
        level = list(itertools.chain.from_iterable(level))
    return level


def _all_fit(values: list[Any], dtype: int) -> bool:
    kinds = set(map(type, values))
    if dtype == types_pb2.DT_STRING:
        return kinds <= {str}
    if dtype not in _TYPES or not kinds <= _TYPES[dtype].kinds:
        return False
    if dtype == types_pb2.DT_BOOL or not values:
        return True
    integers = (
        values
        if kinds == {int}
        else [value for value in values if type(value) is int]
    )
    rule = _TYPES[dtype]
    if integers and not (rule.fits(min(integers)) and rule.fits(max(integers))):
        return False
    return float not in kinds or all(map(rule.fits, values))


def _walk(
    value: Any, level: int, shape: tuple[int, ...], dtype: int
) -> Iterator[Any]:
    rank = len(shape)
    if not isinstance(value, list):
        if level != rank:
            raise status.invalid(
                f"JSON Value: {json_text.quote(value)} found at incorrect"
                f" level: {level + 1} in the JSON DOM. Expected at level:"
                f" {rank}"
            )
        _check(value, dtype)
        yield value
        return
    if level >= rank:
        raise status.invalid(
            f"Encountered list at unexpected level: {level} expected < {rank}"
        )
    if len(value) != shape[level]:
        raise status.invalid(
            f"Encountered list at unexpected size: {len(value)} at level:"
            f" {level} expected size: {shape[level]}"
        )
    for item in value:
        yield from _walk(item, level + 1, shape, dtype)


def _check(value: Any, dtype: int) -> None:
    """Raises unless one value is of the type."""
    if dtype == types_pb2.DT_STRING:
        _check_string(value)
        return
    if isinstance(value, dict):
        raise _type_error(value, dtype)
    if dtype not in _TYPES:
        raise status.ServingError(
            status.StatusCode.UNIMPLEMENTED,
            f"Conversion of JSON Value: {json_text.quote(value)} to type:"
            f" {type_name(dtype)}",
        )
    rule = _TYPES[dtype]
    if type(value) not in rule.kinds:
        raise _type_error(value, dtype)
    if not rule.fits(value):
        if float not in rule.kinds:
            raise _type_error(value, dtype)
        raise status.invalid(
            f"Cannot convert JSON value: {json_text.quote(value)} to"
            f" {type_name(dtype)} without loss of precision."
        )


def _check_string(value: Any) -> None:
    if isinstance(value, dict):
        if not is_base64(value):
            raise status.invalid(
                f"JSON Value: {json_text.quote(value)} not formatted"
                " correctly for base64 data"
            )
    elif not isinstance(value, str):
        raise _type_error(value, types_pb2.DT_STRING)


def _bytes(value: str | dict[str, str]) -> bytes:
    return (
        encode_text(value) if isinstance(value, str) else decode_base64(value)
    )


def _type_error(value: Any, dtype: int) -> status.ServingError:
    return status.invalid(
        f"JSON Value: {json_text.quote(value)} Type: {json_text.kind(value)}"
        f" is not of expected type: {type_name(dtype)}"
    )


@dataclass(frozen=True)
class _Rule:
    """Which JSON values a type takes, and the way into its array.

    `parsed`: the array that values go into; `stored`: what that is cast to.
    """

    kinds: frozenset[type]
    fits: Callable[[Any], bool]
    parsed: type
    stored: type


def _decimal(digits: int, largest: float) -> Callable[[Any], bool]:
    """Integers that are exact in so many bits; reals within the range.

    An integer beyond 64 bits is a real, as for RapidJSON.
    """
    whole = 2**digits - 1

    def fits(value: int | float) -> bool:
        if isinstance(value, int) and json_text.is_integer(value):
            return -whole <= value <= whole
        special = isinstance(value, float) and not math.isfinite(value)
        return special or abs(value) <= largest

    return fits


def _integer(kept: range, parsed: type, stored: type) -> _Rule:
    return _Rule(frozenset({int}), kept.__contains__, parsed, stored)


_REAL = frozenset({int, float})
_TYPES = {
    types_pb2.DT_FLOAT: _Rule(
        _REAL,
        _decimal(24, float(np.finfo(np.float32).max)),
        np.float64,
        np.float32,
    ),
    types_pb2.DT_DOUBLE: _Rule(
        _REAL, _decimal(53, sys.float_info.max), np.float64, np.float64
    ),
    types_pb2.DT_INT32: _integer(_INT32, np.int64, np.int32),
    types_pb2.DT_INT16: _integer(_INT32, np.int64, np.int16),
    types_pb2.DT_INT8: _integer(_INT32, np.int64, np.int8),
    types_pb2.DT_UINT8: _integer(_INT32, np.int64, np.uint8),
    types_pb2.DT_INT64: _integer(range(-(2**63), 2**63), np.int64, np.int64),
    types_pb2.DT_UINT32: _integer(range(2**32), np.int64, np.uint32),
    types_pb2.DT_UINT64: _integer(range(2**64), np.uint64, np.uint64),
    types_pb2.DT_BOOL: _Rule(
        frozenset({bool}), lambda value: True, np.bool_, np.bool_
    ),
}
