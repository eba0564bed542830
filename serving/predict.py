"""Predict: tensors in, the tensors of a signature out.

In: a PredictRequest. Out: a PredictResponse whose spec names the signature
and version that answered. Codes and texts are those of tensorflow/serving's
predict_util.cc and TensorFlow's `saved_model::GetInputValues`; the type of an
input is checked here with the text of TensorFlow's own call frame. Shapes are
left to the session, as they are there.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2

from serving import inference, status, tensors
from serving.inference import SignatureDef
from serving.limits import RequestLimits

if TYPE_CHECKING:
    from serving.manager import ModelManager


def predict(
    manager: "ModelManager",
    request: predict_pb2.PredictRequest,
    limits: RequestLimits,
    as_content: bool = False,
    check_method_name: bool = False,
    timeout: float | None = None,
) -> predict_pb2.PredictResponse:
    """Answers a Predict request.

    Args:
      manager: of the models.
      request: nothing of it is trusted.
      limits: of this request.
      as_content: answer in tensor_content, not in typed fields.
      check_method_name: refuse signatures made for other methods.
      timeout: seconds that the model may take.

    Raises:
      ServingError: the request cannot be answered.
    """
    inference.check_has_spec(request.HasField("model_spec"))
    with manager.handle(request.model_spec) as handle:
        signature = _signature(handle.servable.signatures, request)
        if check_method_name:
            _check_method(signature)
        feeds = _feeds(signature, request, limits)
        aliases = _outputs(signature, request)
        fetches = [signature.outputs[alias].name for alias in aliases]
        arrays = handle.servable.run(feeds, fetches, timeout)
        version = handle.version
    response = predict_pb2.PredictResponse(
        model_spec=inference.answer_spec(request.model_spec, version)
    )
    for alias, array in zip(aliases, arrays, strict=True):
        tensors.fill_proto(response.outputs[alias], array, as_content)
    return response


def _signature(
    signatures: dict[str, SignatureDef], request: predict_pb2.PredictRequest
) -> SignatureDef:
    name = inference.signature_name(request.model_spec)
    if name not in signatures:
        raise status.failed_precondition(
            f'Serving signature key "{name}" not found.'
        )
    return signatures[name]


def _check_method(signature: SignatureDef) -> None:
    methods = (inference.PREDICT, inference.CLASSIFY, inference.REGRESS)
    if signature.method_name not in methods:
        raise status.internal(
            "Expected prediction signature method_name to be one of"
            f" {{{', '.join(methods)}}}. Was: {signature.method_name}"
        )


def _feeds(
    signature: SignatureDef,
    request: predict_pb2.PredictRequest,
    limits: RequestLimits,
) -> dict[str, np.ndarray]:
    """The arrays to feed, by tensor name."""
    _check_count(signature, request)
    feeds, types = {}, {}
    for alias in sorted(signature.inputs):
        info = signature.inputs[alias]
        if alias in request.inputs:
            proto = request.inputs[alias]
        elif alias in signature.defaults:
            proto = signature.defaults[alias]
        else:
            raise _missing(alias, info.name, signature, request)
        array = tensors.to_array(proto, alias, limits)
        if proto.dtype == types_pb2.DT_STRING:
            limits.check_images(alias, array.flat)
        feeds[info.name] = array
        types[info.name] = (info.dtype, proto.dtype)
    unknown = set(request.inputs) - set(signature.inputs)
    if unknown:
        raise status.invalid(
            "Inputs contains invalid name. Used request inputs:"
            f" {_joined(set(request.inputs) - unknown)},"
            f" request input: {_joined(request.inputs)}"
        )
    _check_types(types)
    return feeds


def _check_count(
    signature: SignatureDef, request: predict_pb2.PredictRequest
) -> None:
    sent, needed = set(request.inputs), set(signature.inputs)
    fewer = len(sent) < len(needed) and not signature.defaults
    if len(sent) > len(needed) or fewer:
        raise status.invalid(
            "input size does not match signature:"
            f" {len(sent)}!={len(needed)} len({{{_joined(sent)}}}) !="
            f" len({{{_joined(needed)}}}). Sent extra:"
            f" {{{_joined(sent - needed)}}}. Missing but required:"
            f" {{{_joined(needed - sent)}}}."
        )


def _missing(
    alias: str,
    feed: str,
    signature: SignatureDef,
    request: predict_pb2.PredictRequest,
) -> status.ServingError:
    # TensorFlow lists the names that were sent as those it expects; so do we.
    return status.invalid(
        f"Signature input alias: {alias}(feed name: {feed}) not found in"
        " request and no default value provided. Inputs expected to be in the"
        f" request {{{_joined(request.inputs)}}}, or default input alias set:"
        f" {_joined(signature.defaults)}"
    )


def _check_types(types: dict[str, tuple[int, int]]) -> None:
    # TensorFlow numbers the arguments by the order of their tensor names.
    for place, feed in enumerate(sorted(types)):
        wanted, given = types[feed]
        if given != wanted and wanted != types_pb2.DT_INVALID:
            raise status.invalid(
                f"Expects arg[{place}] to be {tensors.type_name(wanted)} but"
                f" {tensors.type_name(given)} is provided"
            )


def _outputs(
    signature: SignatureDef, request: predict_pb2.PredictRequest
) -> list[str]:
    """Names of the wanted outputs; without a filter all, in order."""
    chosen: list[str] = []
    for alias in request.output_filter:
        if alias not in signature.outputs:
            raise status.invalid(
                f"output tensor alias not found in signature: {alias} Outputs"
                f" expected to be in the set {{{_joined(signature.outputs)}}}."
            )
        if alias in chosen:
            raise status.invalid(f"duplicate output tensor alias: {alias}")
        chosen.append(alias)
    return chosen or sorted(signature.outputs)


def _joined(names: Iterable[str]) -> str:
    return ",".join(sorted(names))
