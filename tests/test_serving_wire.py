"""serving.wire: protobuf's packed encoding, against protobuf itself."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from serving import wire

NUMBERS = [0, 1, 127, 128, 255, 16383, 16384, 2**31 - 1, -1, -(2**31)]


def field_number(name):
    return tensor_pb2.TensorProto.DESCRIPTOR.fields_by_name[name].number


@pytest.mark.parametrize(
    ("name", "dtype", "numbers"),
    [
        ("float_val", np.float32, [0.5, np.nan, np.inf, -3.0]),
        ("double_val", np.float64, [0.1, -np.inf]),
        ("int_val", np.int32, NUMBERS),
        ("int_val", np.int8, [-128, 127, 0]),
        ("int_val", np.uint8, [0, 127, 128, 255]),
        ("int_val", np.uint16, [1, 65535, 128]),
        ("int64_val", np.int64, [*NUMBERS, 2**63 - 1, -(2**63)]),
        ("uint32_val", np.uint32, [0, 2**32 - 1]),
        ("uint64_val", np.uint64, [2**64 - 1, 3, 2**63]),
        ("bool_val", np.bool_, [True, False, True]),
    ],
)
def test_both_ways_agree_with_protobuf(name, dtype, numbers):
    values = np.array(numbers, dtype)
    proto = tensor_pb2.TensorProto()
    proto.MergeFromString(wire.packed(field_number(name), values))
    slow = tensor_pb2.TensorProto(**{name: values.tolist()})
    assert proto.SerializeToString() == slow.SerializeToString()
    back = wire.unpacked(slow, name, len(values), values.dtype)
    assert back.dtype == values.dtype
    np.testing.assert_array_equal(back, values)


def test_half_precision_travels_as_bits():
    for dtype in (np.float16, tf.bfloat16.as_numpy_dtype):
        values = np.array([1.5, -2.0, 0.0], dtype)
        proto = tensor_pb2.TensorProto()
        proto.MergeFromString(wire.packed(field_number("half_val"), values))
        assert list(proto.half_val) == values.view(np.uint16).tolist()
        back = wire.unpacked(proto, "half_val", 3, values.dtype)
        np.testing.assert_array_equal(back, values)


def test_fields_that_do_not_belong_are_no_values():
    proto = tensor_pb2.TensorProto(
        dtype=1, float_val=[1.0, 2.0], string_val=[b"abcdefgh"] * 3
    )
    proto.MergeFromString(b"\xfa\x7f\x04abcd")  # an unknown field, last
    values = wire.unpacked(proto, "float_val", 2, np.dtype(np.float32))
    assert values.tolist() == [1.0, 2.0]


def test_strings_as_tensorflow_packs_them():
    values = [b"", b"a" * 300, b"\0\xff"]
    content = wire.encode_strings(values)
    assert content[:4] == bytes([0, 0xAC, 0x02, 2])
    assert wire.decode_strings(content, 3) == values


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (b"", 1),
        (b"\x05abc", 1),
        (b"\x01ab", 1),
        (b"\x80\x80\x80\x80\x80\x80", 1),
        (b"\x01a", 2**40),
        (b"\x01", 2),
    ],
)
def test_strings_that_do_not_add_up(content, count):
    with pytest.raises(ValueError):
        wire.decode_strings(content, count)
