"""serving.json_request and json_examples: bodies to requests."""

import numpy as np
import pytest
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import classification_pb2, predict_pb2

from serving import json_examples, json_request
from serving.limits import RequestLimits
from serving.status import ServingError
from serving.tensors import to_array

ONE = {"x": types_pb2.DT_FLOAT}
TWO = {"a": types_pb2.DT_FLOAT, "b": types_pb2.DT_STRING}


def fill(body, types):
    request = predict_pb2.PredictRequest()
    rows = json_request.fill_predict(body.encode(), lambda name: types, request)
    found = {
        name: to_array(proto, name, RequestLimits()).tolist()
        for name, proto in request.inputs.items()
    }
    return found, rows


@pytest.mark.parametrize(
    ("body", "types", "expected", "rows"),
    [
        ('{"instances": [1, 2]}', ONE, {"x": [1, 2]}, True),
        ('{"instances": [[1, 2]]}', ONE, {"x": [[1, 2]]}, True),
        ('{"instances": [{"x": [1]}, {"x": [2]}]}', ONE, {"x": [[1], [2]]}, 1),
        (
            '{"instances": [{"a": 1, "b": "c"},'
            ' {"b": {"b64": "aGk="}, "a": 2}]}',
            TWO,
            {"a": [1, 2], "b": [b"c", b"hi"]},
            True,
        ),
        ('{"inputs": [1, 2]}', ONE, {"x": [1, 2]}, False),
        ('{"inputs": 1}', ONE, {"x": 1}, False),
        ('{"inputs": {"x": [[1]], "more": 2}}', ONE, {"x": [[1]]}, False),
        (
            '{"inputs": {"a": [[1, 2]], "b": "c"}}',
            TWO,
            {"a": [[1, 2]], "b": b"c"},
            False,
        ),
        (
            '{"instances": [{"b64": "aGk="}, "b"]}',
            {"s": types_pb2.DT_STRING},
            {"s": [b"hi", b"b"]},
            True,
        ),
    ],
)
def test_rows_and_columns(body, types, expected, rows):
    assert fill(body, types) == (expected, bool(rows))


FAILED = "Failed to process element: "
INVALID = [
    ("{}", ONE, "Missing 'inputs' or 'instances' key"),
    (
        '{"inputs": 1, "instances": [1]}',
        ONE,
        "Not formatted correctly expecting only one of 'inputs' or 'instances'"
        " keys to exist ",
    ),
    ('{"instances": 1}', ONE, "Excepting 'instances' to be an list/array"),
    ('{"instances": []}', ONE, "No values in 'instances' array"),
    (
        '{"signature_name": 1, "inputs": 1}',
        ONE,
        "'signature_name' key must be a string value.",
    ),
    ('{"inputs": 1}', {}, "Failed to get input map for signature: DEFAULT"),
    (
        '{"instances": [1]}',
        TWO,
        "instances is a plain list, but expecting list of objects as multiple"
        " input tensors required as per tensorinfo_map",
    ),
    (
        '{"inputs": [1]}',
        TWO,
        "inputs is a plain value/list, but expecting an object as multiple"
        " input tensors required as per tensorinfo_map",
    ),
    (
        '{"inputs": {"a": 1}}',
        TWO,
        "Missing named input: b in 'inputs' object.",
    ),
    (
        '{"instances": [{"x": 1}, 2]}',
        ONE,
        "Expecting object but got list at item 1 of input list",
    ),
    (
        '{"instances": [1, {"x": 2}]}',
        ONE,
        "Expecting value/list but got object at item 1 of input list",
    ),
    (
        '{"instances": [{"y": 1}]}',
        ONE,
        FAILED + "0 key: y of 'instances' list. Error: INVALID_ARGUMENT: JSON"
        " object: does not have named input: y",
    ),
    (
        '{"instances": [{"a": 1}]}',
        TWO,
        'JSON object: {\n    "a": 1\n} must only have keys: a,b',
    ),
    (
        '{"instances": [[1], [2, 3]]}',
        ONE,
        FAILED + "1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting"
        " tensor size: 1 but got: 2",
    ),
    (
        '{"instances": [{"x": [[1, 2]]}, {"x": [[1], [2]]}]}',
        ONE,
        FAILED + "1 key: x of 'instances' list. Error: INVALID_ARGUMENT:"
        " Expecting shape [1,2] but got: [2,1]",
    ),
    (
        '{"instances": [1, "a"]}',
        ONE,
        FAILED + "1 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value:"
        ' "a" Type: String is not of expected type: float',
    ),
    (
        '{"instances": ["a", {"b64": "a"}]}',
        {"s": types_pb2.DT_STRING},
        FAILED + "1 of 'instances' list. Error: INVALID_ARGUMENT: Unable to"
        " base64 decode",
    ),
]


@pytest.mark.parametrize(("body", "types", "text"), INVALID)
def test_what_is_no_request(body, types, text):
    with pytest.raises(ServingError) as error:
        fill(body, types)
    assert error.value.message.endswith(text)
    assert error.value.http_status == 400


def test_the_signature_is_asked_for_by_its_name():
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "m"
    asked = []
    json_request.fill_predict(
        b'{"signature_name": "s", "inputs": 1}',
        lambda name: asked.append(name) or ONE,
        request,
    )
    assert asked == ["s"] and request.model_spec.signature_name == "s"
    assert request.model_spec.name == "m"


def examples(body):
    request = classification_pb2.ClassificationRequest()
    json_examples.fill_examples(body.encode(), request)
    return request


def test_examples_with_context():
    request = examples(
        '{"signature_name": "s", "context": {"c": "t"}, "examples":'
        ' [{"i": [1, true], "f": 0.5, "b": [{"b64": "aGk="}, "x"], "e": []},'
        " {}]}"
    )
    assert request.model_spec.signature_name == "s"
    found = request.input.example_list_with_context
    assert found.context.features.feature["c"].bytes_list.value == [b"t"]
    first = found.examples[0].features.feature
    assert list(first["i"].int64_list.value) == [1, 1]
    np.testing.assert_array_equal(first["f"].float_list.value, [0.5])
    assert list(first["b"].bytes_list.value) == [b"hi", b"x"]
    assert first["e"].WhichOneof("kind") is None and len(found.examples) == 2


def test_examples_without_context():
    request = examples('{"examples": [{"x": 1}]}')
    assert len(request.input.example_list.examples) == 1


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("{}", "When method is classify, key 'examples' is expected and was n"),
        ('{"examples": {}}', "Expecting 'examples' value to be an list/array"),
        ('{"examples": []}', "'examples' value is an empty array"),
        (
            '{"examples": [1]}',
            "Example must be JSON object but got JSON Number",
        ),
        (
            '{"examples": [{"x": null}]}',
            "Feature: x has element with unexpected JSON type: Null",
        ),
        (
            '{"examples": [{"x": [[1]]}]}',
            "Feature: x has element with unexpected JSON type: Array",
        ),
        (
            '{"examples": [{"x": [1, 0.5]}]}',
            "Unexpected element type in feature: x expecting type: int64",
        ),
        (
            '{"examples": [{"x": 1%s}]}' % ("0" * 60),
            "to float without loss of precision.",
        ),
        (
            '{"examples": [{"x": 9223372036854775808}]}',
            "Feature: x has uint64 element. Only int64 is supported.",
        ),
        ('{"examples": [{"x": 1e39}]}', "to float without loss of precision."),
    ],
)
def test_what_are_no_examples(body, text):
    with pytest.raises(ServingError) as error:
        examples(body)
    assert text in error.value.message
