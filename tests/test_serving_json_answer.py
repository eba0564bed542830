"""serving.json_answer: responses as JSON text."""

import json

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, regression_pb2

from serving import json_answer
from serving.status import ServingError


def tensors(**arrays):
    return {
        name: tf.make_tensor_proto(np.asarray(a)) for name, a in arrays.items()
    }


def strings(*values):
    array = np.empty(len(values), object)
    array[:] = values
    return array


def test_rows():
    one = tensors(y=np.float32([[0.1, 2], [3, 4]]))
    assert json_answer.rows(one) == b'{"predictions": [[0.1, 2.0], [3.0, 4.0]]}'
    two = tensors(a=np.uint8([1, 2]), b=np.array([[True], [False]]))
    assert json.loads(json_answer.rows(two)) == {
        "predictions": [{"a": 1, "b": [True]}, {"a": 2, "b": [False]}]
    }


def test_columns():
    assert json_answer.columns(tensors(y=np.int64(5))) == b'{"outputs": 5}'
    two = tensors(a=np.float64([1e-7]), b=np.zeros((2, 0), np.int32))
    assert json.loads(json_answer.columns(two)) == {
        "outputs": {"a": [1e-7], "b": [[], []]}
    }


def test_strings_and_bytes():
    found = tensors(
        s=strings(b'a"\n', "ä".encode()), s_bytes=strings(b"\xff", b"")
    )
    assert json.loads(json_answer.columns(found)) == {
        "outputs": {
            "s": ['a"\n', "ä"],
            "s_bytes": [{"b64": "/w=="}, {"b64": ""}],
        }
    }
    # No UTF-8, and no name that says so: it goes out as it is.
    broken = json_answer.columns(tensors(s=strings(b"\xff")))
    assert broken == b'{"outputs": ["\xff"]}'


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        ({}, "Cannot convert empty tensor map to JSON"),
        (tensors(y=np.float32(1)), "Tensor name: y has no shape information "),
        (
            tensors(y=np.zeros((0, 2), np.float32)),
            "Tensor name: y has invalid batch size: 0",
        ),
        (
            tensors(a=np.float32([1]), b=np.float32([1, 2])),
            "Tensor name: b has inconsistent batch size: 2 expecting: 1",
        ),
        (
            tensors(y=np.float16([1])),
            "Failed to write JSON value for tensor type: half",
        ),
        (
            tensors(y=np.array([1], ml_dtypes.bfloat16)),
            "Failed to write JSON value for tensor type: bfloat16",
        ),
    ],
)
def test_what_has_no_rows(outputs, text):
    with pytest.raises(ServingError) as error:
        json_answer.rows(outputs)
    assert error.value.message == text and error.value.http_status == 400


def test_decimals_are_short_and_exact():
    bits = np.random.default_rng(1).integers(0, 2**32, 100_000, np.uint64)
    values = bits.astype(np.uint32).view(np.float32)
    values = values[np.isfinite(values)]
    found = json_answer.shortest_decimals(values)
    np.testing.assert_array_equal(found.astype(np.float32), values)
    unit = np.random.default_rng(2).random(20_000, np.float32)
    for value, short in zip(
        unit, json_answer.shortest_decimals(unit), strict=True
    ):
        assert len(repr(float(short))) <= len(str(value))
    special = np.float32([0, -0.0, np.inf, 0.1, 1e-45, 3.4028235e38, 16777216])
    assert json_answer.dump(
        json_answer.shortest_decimals(special).tolist()
    ) == (
        b"[0.0, -0.0, Infinity, 0.1, 1.401298464324817e-45,"
        b" 3.4028234663852886e+38, 16777216.0]"
    )


def test_classifications_and_regressions():
    result = classification_pb2.ClassificationResult()
    with pytest.raises(ServingError, match="empty ClassificationResults"):
        json_answer.classifications(result)
    result.classifications.add().classes.add(label="a", score=0.2)
    assert json_answer.classifications(result) == b'{"results": [[["a", 0.2]]]}'
    found = regression_pb2.RegressionResult()
    with pytest.raises(ServingError, match="empty RegressionResults"):
        json_answer.regressions(found)
    found.regressions.add(value=0.7)
    assert json_answer.regressions(found) == b'{"results": [0.7]}'


def test_errors_may_quote_anything():
    assert json_answer.error('a"\ud800') == b'{"error": "a\\"?"}'
