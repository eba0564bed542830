"""The JSON body of a predict call -> a PredictRequest.

In: `{"signature_name": ..., "instances": [...]}` (rows) or `"inputs"`
(columns). Out: the request with its tensors, and whether it came in rows: the
answer has the same form. Rules and texts are those of tensorflow/serving's
util/json_tensor.cc: the signature's types decide how values are read.

Rows: each element is one instance; plain values when the signature has one
input, else objects with all inputs' names. Columns: an object with all
inputs' names (others are passed over), or the value itself when there is one.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2

from serving import inference, json_tensor, json_text, status
from serving.json_tensor import Dense

# Signature name -> number of a DataType by the name of each input.
InputTypes = Callable[[str], Mapping[str, int]]


def fill_predict(
    body: bytes, types_of: InputTypes, request: predict_pb2.PredictRequest
) -> bool:
    """Fills in signature and inputs of a request.

    Args:
      body: JSON.
      types_of: the signature's inputs; raises when there is no such one.
      request: its model_spec may be set already.

    Returns:
      Whether the body holds rows ("instances").

    Raises:
      ServingError: INVALID_ARGUMENT, or what `types_of` raises.
    """
    document = json_text.parse(body)
    name = fill_signature(document, request.model_spec)
    types = types_of(name)
    if not types:
        raise status.invalid(
            f"Failed to get input map for signature: {name or 'DEFAULT'}"
        )
    if "instances" in document and "inputs" in document:
        raise _format_error(
            document,
            "Not formatted correctly expecting only one of 'inputs' or"
            " 'instances' keys to exist ",
        )
    if "instances" in document:
        rows = document["instances"]
        if not isinstance(rows, list):
            raise _format_error(
                document, "Excepting 'instances' to be an list/array"
            )
        if not rows:
            raise _format_error(document, "No values in 'instances' array")
        tensors = from_rows(rows, types)
    elif "inputs" in document:
        tensors = from_columns(document["inputs"], types)
    else:
        raise status.invalid("Missing 'inputs' or 'instances' key")
    for alias, tensor in tensors.items():
        request.inputs[alias].CopyFrom(tensor)
    return "instances" in document


def fill_signature(document: dict[str, Any], spec: Any) -> str:
    """Copies "signature_name" into a ModelSpec; "" when there is none."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise _format_error(
            document,
            "not formatted correctly. 'signature_name' key must be a string"
            " value.",
        )
    # A name that is no UTF-8 is no name of a signature.
    spec.signature_name = json_tensor.encode_text(name).decode()
    return name


def _format_error(document: Any, text: str) -> status.ServingError:
    return status.invalid(f"JSON Value: {json_text.quote(document)} {text}")


def from_rows(
    rows: list[Any], types: Mapping[str, int]
) -> dict[str, tensor_pb2.TensorProto]:
    """Tensors of "instances": element by element, joined to a batch."""
    first = rows[0]
    if not isinstance(first, dict) and len(types) > 1:
        raise status.invalid(
            "instances is a plain list, but expecting list of objects as"
            " multiple input tensors required as per tensorinfo_map"
        )
    if _is_named(first):
        columns = _named_columns(rows, types)
    else:
        columns = _plain_column(rows, next(iter(types)))
    batch = {}
    for alias, column in columns.items():
        try:
            batch[alias] = json_tensor.tensor(column, types[alias])
        except status.ServingError:
            # Once more, row by row, as the error names the row.
            found = _join_rows(rows, alias, column, types[alias])
            batch[alias] = json_tensor.to_proto(found, types[alias])
    return batch


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and not json_tensor.is_base64(value)


def _plain_column(rows: list[Any], alias: str) -> dict[str, list[Any]]:
    for place, row in enumerate(rows):
        if _is_named(row):
            raise status.invalid(
                "Expecting value/list but got object at item"
                f" {place} of input list"
            )
    return {alias: rows}


def _named_columns(
    rows: list[Any], types: Mapping[str, int]
) -> dict[str, list[Any]]:
    for place, row in enumerate(rows):
        if not _is_named(row):
            raise status.invalid(
                f"Expecting object but got list at item {place} of input list"
            )
        for key in row:
            if key not in types:
                raise status.invalid(
                    f"Failed to process element: {place} key: {key} of"
                    " 'instances' list. Error: INVALID_ARGUMENT: JSON object:"
                    f" does not have named input: {key}"
                )
        if row.keys() != types.keys():
            raise status.invalid(
                f"Failed to process element: {place} of 'instances' list."
                f" JSON object: {json_text.quote(row)} must only have keys:"
                f" {','.join(sorted(types))}"
            )
    return {alias: [row[alias] for row in rows] for alias in types}


def _join_rows(
    rows: list[Any], alias: str, column: list[Any], dtype: int
) -> Dense:
    """The batch of one input, for the error of the first bad row."""
    key = f" key: {alias}" if _is_named(rows[0]) else ""
    values: list[Any] = []
    first: Dense | None = None
    for place, item in enumerate(column):
        try:
            found = json_tensor.dense(item, dtype)
            json_tensor.to_proto(found, dtype)
            first = first or found
            _check_same(first, found)
        except status.ServingError as error:
            raise status.invalid(
                f"Failed to process element: {place}{key} of 'instances'"
                f" list. Error: {error.code.name}: {error.message}"
            ) from error
        values += found.values
    assert first is not None
    return Dense((len(column), *first.shape), values)


def _check_same(first: Dense, found: Dense) -> None:
    if len(found.values) != len(first.values):
        raise status.invalid(
            f"Expecting tensor size: {len(first.values)} but got:"
            f" {len(found.values)}"
        )
    if found.shape != first.shape:
        raise status.invalid(
            f"Expecting shape {inference.shape_text(first.shape)} but got:"
            f" {inference.shape_text(found.shape)}"
        )


def from_columns(
    value: Any, types: Mapping[str, int]
) -> dict[str, tensor_pb2.TensorProto]:
    """Tensors of "inputs": each is one whole tensor."""
    if not _is_named(value):
        if len(types) > 1:
            raise status.invalid(
                "inputs is a plain value/list, but expecting an object as"
                " multiple input tensors required as per tensorinfo_map"
            )
        alias, dtype = next(iter(types.items()))
        return {alias: json_tensor.tensor(value, dtype)}
    for alias in types:
        if alias not in value:
            raise status.invalid(
                f"Missing named input: {alias} in 'inputs' object."
            )
    return {
        alias: json_tensor.tensor(value[alias], dtype)
        for alias, dtype in types.items()
    }
