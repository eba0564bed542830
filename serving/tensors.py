"""Tensors of requests and answers: TensorProto to numpy and back.

In: a TensorProto that a client made, of which nothing is trusted. Out: a
numpy array (strings: object array of bytes), or INVALID_ARGUMENT. The way
back fills the typed fields (float_val ...) as TensorFlow Serving does, or
tensor_content where that is asked for.

Rules and text are those of TensorFlow's `Tensor::FromProto`: typed values
that are left out repeat the last one, or are zero when there are none;
values too many are passed over; tensor_content must have the exact length.
Any violation is "tensor parsing error: ALIAS". NaN and infinity pass.

numpy ends at 32 dimensions, where TensorFlow goes on to 254; quantised,
4-bit and 8-bit floating types are parsing errors here.
"""

import math

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from serving import status, wire
from serving.limits import RequestLimits

_STRING = types_pb2.DT_STRING
# Type -> field of a TensorProto that holds its values.
_FIELDS = {
    types_pb2.DT_FLOAT: "float_val",
    types_pb2.DT_DOUBLE: "double_val",
    types_pb2.DT_HALF: "half_val",
    types_pb2.DT_BFLOAT16: "half_val",
    types_pb2.DT_INT8: "int_val",
    types_pb2.DT_INT16: "int_val",
    types_pb2.DT_INT32: "int_val",
    types_pb2.DT_UINT8: "int_val",
    types_pb2.DT_UINT16: "int_val",
    types_pb2.DT_INT64: "int64_val",
    types_pb2.DT_UINT32: "uint32_val",
    types_pb2.DT_UINT64: "uint64_val",
    types_pb2.DT_BOOL: "bool_val",
    types_pb2.DT_COMPLEX64: "scomplex_val",
    types_pb2.DT_COMPLEX128: "dcomplex_val",
    types_pb2.DT_STRING: "string_val",
}
_DTYPES = {
    number: np.dtype(tf.as_dtype(number).as_numpy_dtype) for number in _FIELDS
}
_LARGEST = 2**63 - 1


def type_name(number: int) -> str:
    """A DataType as TensorFlow's texts call it: DT_FLOAT is "float"."""
    if number not in types_pb2.DataType.values():
        return f"unknown dtype enum ({number})"
    return types_pb2.DataType.Name(number).removeprefix("DT_").lower()


def enum_name(dtype: np.dtype) -> str:
    """A numpy type as a DataType's own name: "DT_FLOAT"."""
    return types_pb2.DataType.Name(tf.as_dtype(dtype).as_datatype_enum)


def to_array(
    proto: tensor_pb2.TensorProto, alias: str, limits: RequestLimits
) -> np.ndarray:
    """The tensor of a request.

    Args:
      proto: as the client sent it.
      alias: name of the input, for the texts.
      limits: checked before any memory is taken.

    Returns:
      An array that may share its memory with `proto`; read it only.

    Raises:
      ServingError: INVALID_ARGUMENT.
    """
    if proto.dtype not in _FIELDS:
        raise _parsing_error(alias)
    shape = _shape(proto, alias)
    count = math.prod(shape)
    limits.check_elements(alias, count)
    try:
        if not count:
            return np.empty(shape, _DTYPES[proto.dtype])
        if proto.tensor_content:
            return _from_content(proto, count).reshape(shape)
        return _from_field(proto, alias, count, limits).reshape(shape)
    except (ValueError, OverflowError) as error:
        raise _parsing_error(alias) from error


def fill_proto(
    proto: tensor_pb2.TensorProto, array: np.ndarray, as_content: bool = False
) -> None:
    """Writes the tensor of an answer.

    Args:
      proto: an empty message, written in place to save a copy.
      array: any of the types that requests may have; strings are an object
        array of bytes.
      as_content: fill tensor_content instead of the typed fields.
    """
    number = tf.as_dtype(array.dtype).as_datatype_enum
    proto.dtype = number
    for size in array.shape:
        proto.tensor_shape.dim.add().size = size
    # No copy where it is contiguous already, as sessions return arrays.
    flat = np.ascontiguousarray(array).reshape(-1)
    if number == _STRING:
        strings = [tf.compat.as_bytes(value) for value in flat]
        if as_content:
            proto.tensor_content = wire.encode_strings(strings)
        else:
            proto.string_val.extend(strings)
    elif as_content:
        proto.tensor_content = flat.tobytes()
    elif flat.size:
        fields = tensor_pb2.TensorProto.DESCRIPTOR.fields_by_name
        place = fields[_FIELDS[number]].number
        proto.MergeFromString(wire.packed(place, flat))


def _parsing_error(alias: str) -> status.ServingError:
    return status.invalid(f"tensor parsing error: {alias}")


def _shape(proto: tensor_pb2.TensorProto, alias: str) -> tuple[int, ...]:
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if proto.tensor_shape.unknown_rank or min(shape, default=0) < 0:
        raise _parsing_error(alias)
    product = 1
    for size in shape:
        product *= size
        # As TensorFlow multiplies: dimension by dimension in 64 bits.
        if product > _LARGEST:
            raise _parsing_error(alias)
    return shape


def _from_content(proto: tensor_pb2.TensorProto, count: int) -> np.ndarray:
    content = proto.tensor_content
    if proto.dtype == _STRING:
        return _strings(wire.decode_strings(content, count))
    dtype = _DTYPES[proto.dtype]
    if len(content) != count * dtype.itemsize:
        raise ValueError("length of tensor_content")
    if proto.dtype == types_pb2.DT_BOOL:
        return np.frombuffer(content, np.uint8) != 0
    return np.frombuffer(content, dtype)


def _from_field(
    proto: tensor_pb2.TensorProto,
    alias: str,
    count: int,
    limits: RequestLimits,
) -> np.ndarray:
    name, dtype = _FIELDS[proto.dtype], _DTYPES[proto.dtype]
    found = getattr(proto, name)
    parts = 2 if dtype.kind == "c" else 1
    given = min(len(found) // parts, count)
    limits.check_repeated(alias, count - given, proto.dtype == _STRING)
    if proto.dtype == _STRING:
        values = _strings(found[:given])
    else:
        values = wire.unpacked(proto, name, given * parts, dtype)
    if given == count:
        return values
    blank = b"" if proto.dtype == _STRING else dtype.type(0)
    filled = np.full(count, values[-1] if given else blank, dtype)
    filled[:given] = values
    return filled


def _strings(values: list[bytes]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array
