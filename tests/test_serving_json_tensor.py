"""serving.json_text and json_tensor: JSON values to typed tensors."""

import base64
import json
import tracemalloc

import numpy as np
import pytest
from grpc import StatusCode
from tensorflow.core.framework import types_pb2

from serving import json_tensor, json_text
from serving.limits import RequestLimits
from serving.status import ServingError
from serving.tensors import to_array

LIMITS = RequestLimits()


def array(value, dtype):
    proto = json_tensor.tensor(value, getattr(types_pb2, f"DT_{dtype}"))
    return to_array(proto, "x", LIMITS)


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        (3, "FLOAT", np.float32(3)),
        ([1, 2.5], "FLOAT", np.float32([1, 2.5])),
        ([[1], [2], [3]], "INT32", np.int32([[1], [2], [3]])),
        ([[], []], "FLOAT", np.zeros((2, 0), np.float32)),
        ([-1, 255], "UINT8", np.uint8([255, 255])),
        ([128], "INT8", np.int8([-128])),
        ([2**63 - 1, -(2**63)], "INT64", np.int64([2**63 - 1, -(2**63)])),
        ([2**64 - 1], "UINT64", np.uint64([2**64 - 1])),
        ([2**32 - 1], "UINT32", np.uint32([2**32 - 1])),
        ([True, False], "BOOL", np.array([True, False])),
        ([2**53 - 1, 0.1], "DOUBLE", np.array([2**53 - 1, 0.1])),
        ([2**24 - 1], "FLOAT", np.float32([16777215])),
    ],
)
def test_values_of_a_type(value, dtype, expected):
    found = array(value, dtype)
    assert found.dtype == expected.dtype and found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)


def test_not_a_number_and_infinity():
    value = json_text.parse(b'{"v": [NaN, Infinity, -Infinity]}')["v"]
    found = array(value, "FLOAT")
    assert np.isnan(found[0]) and found[1] == np.inf and found[2] == -np.inf


def test_strings_and_bytes():
    raw = bytes(range(256))
    coded = {"b64": base64.b64encode(raw).decode()}
    found = array([["ä\n", coded]], "STRING")
    assert found.tolist() == [["ä\n".encode(), raw]]


@pytest.mark.parametrize("text", ["aGk=", "aGk", " aG\nk= "])
def test_base64_with_and_without_padding(text):
    assert array({"b64": text}, "STRING").item() == b"hi"


@pytest.mark.parametrize("text", ["a", "a===", "aG-_", "ab=c", "=", "aGk=="])
def test_what_is_no_base64(text):
    with pytest.raises(ServingError, match="Unable to base64 decode"):
        array({"b64": text}, "STRING")


INVALID = [
    ("a", "FLOAT", 'JSON Value: "a" Type: String is not of expected type: '),
    (None, "INT32", "JSON Value: null Type: Null is not of expected type: "),
    (True, "INT32", "JSON Value: true Type: True is not of expected type: "),
    (1, "BOOL", "JSON Value: 1 Type: Number is not of expected type: bool"),
    (1.0, "INT64", "JSON Value: 1.0 Type: Number is not of expected type: "),
    (2**31, "INT32", "Type: Number is not of expected type: int32"),
    (2**63, "INT64", "Type: Number is not of expected type: int64"),
    (-1, "UINT32", "Type: Number is not of expected type: uint32"),
    (1, "STRING", "Type: Number is not of expected type: string"),
    ({"a": 1}, "FLOAT", "Type: Object is not of expected type: float"),
    (2**24, "FLOAT", "Cannot convert JSON value: 16777216 to float without"),
    (1e39, "FLOAT", "to float without loss of precision."),
    (2**53, "DOUBLE", "to double without loss of precision."),
    ({"b64": 1}, "STRING", "not formatted correctly for base64 data"),
    ({"b64": "", "c": 1}, "STRING", "not formatted correctly for base64 data"),
    ([[1], 2], "FLOAT", "JSON Value: 2 found at incorrect level: 2 in the JS"),
    ([1, [2]], "FLOAT", "Encountered list at unexpected level: 1 expected < 1"),
    (
        [[1, 2], [3]],
        "FLOAT",
        "Encountered list at unexpected size: 1 at level: 1 expected size: 2",
    ),
    ([[], 1], "FLOAT", "found at incorrect level: 2 in the JSON DOM"),
    ("\ud800", "STRING", "The surrogate pair in string is invalid."),
]


@pytest.mark.parametrize(("value", "dtype", "text"), INVALID)
def test_what_does_not_fit(value, dtype, text):
    with pytest.raises(ServingError) as error:
        array(value, dtype)
    assert text in error.value.message
    assert error.value.code is StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("dtype", ["FLOAT", "DOUBLE"])
def test_integers_beyond_64_bits_are_reals(dtype):
    """What JavaScript prints for 1e20, and RapidJSON reads as a double."""
    found = array([10**20, -(2**63) - 1], dtype)
    np.testing.assert_allclose(found, [1e20, -(2.0**63)], rtol=1e-7)
    with pytest.raises(ServingError, match="without loss of precision"):
        array([10**400], dtype)


@pytest.mark.parametrize("dtype", ["HALF", "BFLOAT16", "COMPLEX64"])
def test_types_without_a_json_form(dtype):
    with pytest.raises(ServingError, match="Conversion of JSON Value: 1 to"):
        array([1], dtype)
    with pytest.raises(ServingError) as error:
        array([1], dtype)
    assert error.value.code is StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "JSON Parse error: The document is empty"),
        (b"[1", "Missing a comma or ] after an array element. at offset: 2"),
        (b'{"a": {"b": 1 ', "Missing a comma or } after an object member."),
        (b'{"a": [{"]": 1} 2', "Missing a comma or ] after an array element."),
        (b'{"\\"[": "{\\\\" 2', "Missing a comma or } after an object me"),
        (b'{"a": [[], [1]], "b": 2 3', "Missing a comma or } after an object"),
        (b'{"a" 1}', "Missing a colon after a name of object member."),
        (b"{a: 1}", "Missing a name for object member. at offset: 1"),
        (b'{"a": }', "Invalid value. at offset: 6"),
        (b'{"a": "b', "Missing a closing quotation mark in string."),
        (b'{"a": "\\x"}', "Invalid escape character in string."),
        (b"{} {}", "The document root must not be followed by other values."),
        (b'{"a": "\xff"}', "Invalid encoding in string. at offset: 7"),
        (b"[" * 100_000, "Nested too deeply."),
        (b'{"a": ' + b"9" * 5000 + b"}", "Number too big to be stored in dou"),
        (b"[1]", "JSON Value: [\n    1\n] Is not object"),
        (b"null", "JSON Value: null Is not object"),
    ],
)
def test_what_is_no_json(body, text):
    with pytest.raises(ServingError) as error:
        json_text.parse(body)
    assert text in error.value.message
    assert error.value.code is StatusCode.INVALID_ARGUMENT


def test_errors_take_little_memory():
    """A quoted megabyte before a missing comma once took 118."""
    body = b'{"a": "' + b"x" * 2**20 + b'" 1}'
    tracemalloc.start()
    with pytest.raises(ServingError, match="Missing a comma or }"):
        json_text.parse(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6 * len(body)


def test_memory_of_values_is_about_what_python_takes():
    for body in (
        b'{"z": [' + b'{"":0},' * 20_000 + b"0]}",
        b'{"z": [' + b"[]," * 20_000 + b"0]}",
        b'{"z": [' + b"0.123," * 20_000 + b"0]}",
    ):
        tracemalloc.start()
        found = json_text.parse(body)
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(found["z"]) == 20_001
        assert taken < json_text.memory(body) < 2.5 * taken


def test_a_mark_of_byte_order_is_passed_over():
    assert json_text.parse(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_too_many_values_are_refused_before_they_are_parsed():
    body = b'{"instances": [' + b"1," * json_text.VALUES + b"1]}"
    with pytest.raises(ServingError, match=f"limit is {json_text.VALUES}"):
        json_text.parse(body)


def test_quoted_values_are_cut():
    shown = json_text.quote({"a": "b" * 10**6})
    assert len(shown) < 500 and shown.endswith("...")


def test_a_picture_of_numbers_is_quick():
    image = np.random.default_rng(1).integers(0, 256, (256, 256, 3))
    value = json.loads(json.dumps(image.tolist()))
    np.testing.assert_array_equal(array(value, "UINT8"), image)
    np.testing.assert_array_equal(array(value, "FLOAT"), image)
