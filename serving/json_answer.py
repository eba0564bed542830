"""Answers as JSON text.

In: responses. Out: UTF-8 JSON as tensorflow/serving's util/json_tensor.cc
writes it, but for white space: rows under "predictions", columns under
"outputs" (the name of a single output is dropped), "results" of classify and
regress, messages of status and metadata. NaN and Infinity are written as
such. Strings of outputs whose names end in `_bytes` become `{"b64": ...}`;
others are written as they are, even when they are no UTF-8.

Decimals have the fewest digits, from 6 on, that give the same value back.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from google.protobuf import json_format
from google.protobuf.message import Message
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    regression_pb2,
)

from serving import status, tensors
from serving.limits import UNLIMITED

_WRITTEN = {
    types_pb2.DT_FLOAT,
    types_pb2.DT_DOUBLE,
    types_pb2.DT_INT32,
    types_pb2.DT_INT16,
    types_pb2.DT_INT8,
    types_pb2.DT_UINT8,
    types_pb2.DT_STRING,
    types_pb2.DT_INT64,
    types_pb2.DT_BOOL,
    types_pb2.DT_UINT32,
    types_pb2.DT_UINT64,
}
# Powers of ten up to here are exact in float64.
_EXACT = 22

Outputs = Mapping[str, tensor_pb2.TensorProto]


def rows(outputs: Outputs) -> bytes:
    """`{"predictions": [...]}`: an entry for each row of the batch.

    Raises:
      ServingError: INVALID_ARGUMENT: outputs without a common batch, or of a
        type without a JSON form.
    """
    _check_any(outputs)
    batch = 0
    for name, proto in outputs.items():
        sizes = [dim.size for dim in proto.tensor_shape.dim]
        if not sizes:
            raise status.invalid(
                f"Tensor name: {name} has no shape information "
            )
        if sizes[0] < 1:
            raise status.invalid(
                f"Tensor name: {name} has invalid batch size: {sizes[0]}"
            )
        if batch and batch != sizes[0]:
            raise status.invalid(
                f"Tensor name: {name} has inconsistent batch size: {sizes[0]}"
                f" expecting: {batch}"
            )
        batch = sizes[0]
    lists = {name: _values(name, proto) for name, proto in outputs.items()}
    if len(lists) == 1:
        return dump({"predictions": next(iter(lists.values()))})
    columns = zip(*lists.values(), strict=True)
    found = [dict(zip(lists, row, strict=True)) for row in columns]
    return dump({"predictions": found})


def columns(outputs: Outputs) -> bytes:
    """`{"outputs": ...}`: whole tensors; raises as `rows`."""
    _check_any(outputs)
    lists = {name: _values(name, proto) for name, proto in outputs.items()}
    if len(lists) == 1:
        return dump({"outputs": next(iter(lists.values()))})
    return dump({"outputs": lists})


def classifications(result: classification_pb2.ClassificationResult) -> bytes:
    """`{"results": [[[label, score], ...], ...]}`."""
    if not result.classifications:
        raise status.invalid(
            "Cannot convert empty ClassificationResults to JSON"
        )
    found = [
        [[one.label, shortest(one.score)] for one in example.classes]
        for example in result.classifications
    ]
    return dump({"results": found})


def regressions(result: regression_pb2.RegressionResult) -> bytes:
    """`{"results": [value, ...]}`."""
    if not result.regressions:
        raise status.invalid("Cannot convert empty RegressionResults to JSON")
    return dump(
        {"results": [shortest(one.value) for one in result.regressions]}
    )


def message(proto: Message) -> bytes:
    """A message with all of its plain fields, set or not."""
    return json_format.MessageToJson(
        proto,
        including_default_value_fields=True,
        preserving_proto_field_name=True,
    ).encode()


def metadata(
    response: get_model_metadata_pb2.GetModelMetadataResponse,
) -> bytes:
    """Model spec and signatures, the latter out of their Any."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    spec = message(response.model_spec).decode()
    inner = message(signatures).decode()
    return (
        f'{{\n"model_spec":{spec},\n"metadata": {{"signature_def": {inner}}}\n'
        "}\n"
    ).encode()


def error(text: str) -> bytes:
    """`{"error": text}`."""
    # A text may quote half a surrogate pair of a request.
    return dump({"error": text.encode("utf-8", "replace").decode()})


def dump(value: Any) -> bytes:
    """Compact JSON; what came in as broken UTF-8 goes out as it was."""
    return json.dumps(value, ensure_ascii=False).encode(
        "utf-8", "surrogateescape"
    )


def _check_any(outputs: Outputs) -> None:
    if not outputs:
        raise status.invalid("Cannot convert empty tensor map to JSON")


def _values(name: str, proto: tensor_pb2.TensorProto) -> Any:
    if proto.dtype not in _WRITTEN:
        raise status.invalid(
            "Failed to write JSON value for tensor type:"
            f" {tensors.type_name(proto.dtype)}"
        )
    # An answer is bounded by the model, not by the client.
    array = tensors.to_array(proto, name, UNLIMITED)
    if proto.dtype == types_pb2.DT_STRING:
        write = _base64 if name.endswith("_bytes") else _text
        flat = np.empty(array.size, object)
        flat[:] = [write(value) for value in array.flat]
        return flat.reshape(array.shape).tolist()
    if proto.dtype == types_pb2.DT_FLOAT:
        array = shortest_decimals(array)
    return array.tolist()


def _base64(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def shortest(value: float) -> float:
    """The double that prints shortest and is this float32."""
    return shortest_decimals(np.array([value], np.float32)).item()


def shortest_decimals(array: np.ndarray) -> np.ndarray:
    """float32 [...] -> the float64 [...] that print shortest.

    0.2 as float32 is 0.20000000298023224 as float64; what is written is 0.2.
    """
    exact = array.astype(np.float64)
    found = exact.copy()
    open_ = np.isfinite(exact) & (exact != 0)
    with np.errstate(over="ignore"):
        for digits in (6, 7, 8, 9):
            if not open_.any():
                break
            tried = _rounded(exact[open_], digits)
            same = tried.astype(np.float32) == array[open_]
            places = np.flatnonzero(open_)
            found.flat[places[same]] = tried[same]
            open_.flat[places[same]] = False
    return found


def _rounded(values: np.ndarray, digits: int) -> np.ndarray:
    """Finite values other than 0, rounded to so many significant digits."""
    place = digits - 1 - np.floor(np.log10(np.abs(values))).astype(int)
    # Divided, or multiplied, by an exact power: the nearest double.
    power = 10.0 ** np.minimum(np.abs(place), _EXACT)
    up = np.rint(values * power) / power
    down = np.rint(values / power) * power
    found = np.where(place >= 0, up, down)
    return np.where(np.abs(place) <= _EXACT, found, values)
