"""serving.tensors: tensors of clients, friendly and hostile."""

import tracemalloc

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from serving import tensors
from serving.limits import RequestLimits
from serving.status import ServingError

LIMITS = RequestLimits()
ARRAYS = [
    np.array([[1.5, np.nan], [np.inf, -0.0]], np.float32),
    np.arange(6.0).reshape(1, 2, 3),
    np.array([-1, 300], np.int32),
    np.array([255, 0, 128], np.uint8),
    np.array([-128, 127], np.int8),
    np.array([2**63 - 1, -5], np.int64),
    np.array([2**64 - 1], np.uint64),
    np.array([[True], [False]]),
    np.array([1 + 2j, -3j], np.complex64),
    np.array([1 + 2j], np.complex128),
    np.array([0.5, -2], np.float16),
    np.array([0.5, -2], tf.bfloat16.as_numpy_dtype),
    np.array([b"", b"a\0b\xff", b"z"], object),
    np.array(7, np.int32),
    np.zeros((0, 3), np.float32),
]


def proto(dtype=types_pb2.DT_FLOAT, shape=(), **values):
    made = tensor_pb2.TensorProto(dtype=dtype, **values)
    for size in shape:
        made.tensor_shape.dim.add().size = size
    return made


def to_proto(array, as_content=False):
    made = tensor_pb2.TensorProto()
    tensors.fill_proto(made, array, as_content)
    return made


def same(found, array):
    assert found.dtype == array.dtype and found.shape == array.shape
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: a.dtype.name)
def test_there_and_back(array):
    for as_content in (False, True):
        made = to_proto(array, as_content)
        if array.dtype != object or not as_content:  # tf reads those not
            same(tf.make_ndarray(made), array)
        same(tensors.to_array(made, "x", LIMITS), array)
    same(tensors.to_array(tf.make_tensor_proto(array), "x", LIMITS), array)


def test_answers_fill_the_typed_fields():
    made = to_proto(np.array([1.0, 2.0], np.float32))
    assert list(made.float_val) == [1, 2] and not made.tensor_content
    made = to_proto(np.array([1.0, 2.0], np.float32), as_content=True)
    assert not made.float_val
    assert made.tensor_content == np.array([1, 2], "<f4").tobytes()


def test_rows_of_a_transposed_array():
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    same(tf.make_ndarray(to_proto(array)), array)


def test_values_left_out_repeat_the_last():
    found = tensors.to_array(proto(shape=[2, 2], float_val=[1, 2]), "x", LIMITS)
    assert found.tolist() == [[1, 2], [2, 2]]
    assert tensors.to_array(proto(shape=[3]), "x", LIMITS).tolist() == [0] * 3
    words = proto(types_pb2.DT_STRING, [3], string_val=[b"a"])
    assert tensors.to_array(words, "x", LIMITS).tolist() == [b"a"] * 3


def test_values_too_many_are_passed_over():
    found = tensors.to_array(proto(shape=[2], float_val=[1, 2, 3]), "x", LIMITS)
    assert found.tolist() == [1, 2]


def test_integers_wrap_as_a_cast_does():
    made = proto(types_pb2.DT_UINT8, [1], int_val=[300])
    assert tensors.to_array(made, "x", LIMITS).tolist() == [44]


def test_any_byte_but_zero_is_true():
    made = proto(types_pb2.DT_BOOL, [3], tensor_content=b"\0\1\7")
    found = tensors.to_array(made, "x", LIMITS)
    assert found.view(np.uint8).tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    "made",
    [
        proto(shape=[-1]),
        proto(shape=[2**40, 2**40]),
        proto(shape=[2**62, 2**62, 0]),
        proto(shape=[0, 2**62, 2**62]),
        proto(shape=[1] * 40, float_val=[1]),
        proto(shape=[2], tensor_content=b"1234567"),
        proto(shape=[2], tensor_content=b"123456789"),
        proto(types_pb2.DT_STRING, [2], tensor_content=b"\x01a"),
        proto(types_pb2.DT_INVALID, [1]),
        proto(types_pb2.DT_RESOURCE, [1]),
        proto(types_pb2.DT_FLOAT_REF, [1], float_val=[1]),
        proto(types_pb2.DT_QINT8, [1], int_val=[1]),
        proto(99, [1]),
    ],
)
def test_hostile_tensors(made):
    with pytest.raises(ServingError) as caught:
        tensors.to_array(made, "x", LIMITS)
    assert caught.value.message == "tensor parsing error: x"
    assert caught.value.code == grpc.StatusCode.INVALID_ARGUMENT


def test_unknown_rank():
    made = proto()
    made.tensor_shape.unknown_rank = True
    with pytest.raises(ServingError, match="tensor parsing error: x"):
        tensors.to_array(made, "x", LIMITS)


def test_no_memory_for_a_shape_alone():
    tracemalloc.start()
    for size, text in [(2**27, "tensor_elements"), (2**26, "repeated_")]:
        for dtype in (types_pb2.DT_FLOAT, types_pb2.DT_STRING):
            with pytest.raises(ServingError, match=text):
                tensors.to_array(proto(dtype, [size]), "x", LIMITS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_names_of_types():
    numbers = [types_pb2.DT_FLOAT, types_pb2.DT_STRING, types_pb2.DT_BFLOAT16]
    names = [tensors.type_name(number) for number in numbers]
    assert names == ["float", "string", "bfloat16"]
    assert tensors.type_name(99) == "unknown dtype enum (99)"
