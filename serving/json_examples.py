"""The JSON body of a classify or regress call -> examples.

In: `{"signature_name": ..., "context": {...}, "examples": [{...}, ...]}`.
Out: the request's Input of tf.Examples. Rules and texts are those of
tensorflow/serving's util/json_tensor.cc: the first value of a feature decides
its type: bytes (strings, `{"b64": ...}`), int64 (integers, booleans) or float
(numbers with a point or exponent).
"""

import math
from typing import Any

import numpy as np
from tensorflow.core.example import example_pb2, feature_pb2
from tensorflow_serving.apis import classification_pb2, regression_pb2

from serving import json_request, json_tensor, json_text, status

_INT64 = range(-(2**63), 2**63)
_FLOAT_MAX = float(np.finfo(np.float32).max)


def fill_examples(
    body: bytes,
    request: (
        classification_pb2.ClassificationRequest
        | regression_pb2.RegressionRequest
    ),
) -> None:
    """Fills in signature and examples of a request.

    Raises:
      ServingError: INVALID_ARGUMENT.
    """
    document = json_text.parse(body)
    json_request.fill_signature(document, request.model_spec)
    inputs: Any = request.input.example_list
    if "context" in document:
        inputs = request.input.example_list_with_context
        inputs.context.CopyFrom(_example(document["context"]))
    examples = _listed(document)
    inputs.examples.extend(map(_example, examples))


def _listed(document: dict[str, Any]) -> list[Any]:
    shown = f"JSON Value: {json_text.quote(document)}"
    if "examples" not in document:
        raise status.invalid(
            f"{shown} When method is classify, key 'examples' is expected and"
            " was not found"
        )
    examples = document["examples"]
    if not isinstance(examples, list):
        raise status.invalid(
            f"{shown} Expecting 'examples' value to be an list/array"
        )
    if not examples:
        raise status.invalid(f"{shown} 'examples' value is an empty array")
    return examples


def _example(value: Any) -> example_pb2.Example:
    if not isinstance(value, dict):
        raise status.invalid(
            f"Example must be JSON object but got JSON {json_text.kind(value)}"
        )
    example = example_pb2.Example()
    for name, content in value.items():
        key = json_tensor.encode_text(name).decode()
        feature = example.features.feature[key]
        for item in content if isinstance(content, list) else [content]:
            _add(item, name, feature)
    return example


def _add(value: Any, name: str, feature: feature_pb2.Feature) -> None:
    if isinstance(value, str):
        _of_kind("bytes_list", name, feature)
        feature.bytes_list.value.append(json_tensor.encode_text(value))
    elif json_tensor.is_base64(value):
        _of_kind("bytes_list", name, feature)
        feature.bytes_list.value.append(json_tensor.decode_base64(value))
    elif isinstance(value, float) or (
        isinstance(value, int) and not json_text.is_integer(value)
    ):
        _of_kind("float_list", name, feature)
        feature.float_list.value.append(_float(value))
    elif isinstance(value, int):
        _of_kind("int64_list", name, feature)
        feature.int64_list.value.append(_int64(value, name))
    else:
        raise status.invalid(
            f"Feature: {name} has element with unexpected JSON type:"
            f" {json_text.kind(value)}"
        )


def _of_kind(wanted: str, name: str, feature: feature_pb2.Feature) -> None:
    found = feature.WhichOneof("kind")
    if found not in (None, wanted):
        raise status.invalid(
            f"Unexpected element type in feature: {name} expecting type:"
            f" {found.removesuffix('_list')}"
        )


def _float(value: float) -> float:
    # A comparison first: integers may be beyond all floats.
    if abs(value) > _FLOAT_MAX and abs(value) != math.inf:
        raise status.invalid(
            f"Cannot convert JSON value: {json_text.quote(value)} to float"
            " without loss of precision."
        )
    return value


def _int64(value: int, name: str) -> int:
    if value not in _INT64:
        raise status.invalid(
            f"Feature: {name} has uint64 element. Only int64 is supported."
        )
    return value
