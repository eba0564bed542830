"""MultiInference: several heads of one model, run together.

In: a MultiInferenceRequest: examples, and tasks that each name a signature
and whether to classify or to regress. Out: a MultiInferenceResponse with a
result a task, from one run of the model. Codes and texts are those of
tensorflow/serving's multi_inference.cc.
"""

from typing import TYPE_CHECKING

from tensorflow_serving.apis import inference_pb2, model_pb2

from serving import classify, examples_input, inference, regress, status
from serving.inference import SignatureDef
from serving.limits import RequestLimits

if TYPE_CHECKING:
    from serving.manager import ModelManager

_HEADS = {inference.CLASSIFY: classify, inference.REGRESS: regress}
_RESULTS = {
    inference.CLASSIFY: "classification_result",
    inference.REGRESS: "regression_result",
}


def multi_inference(
    manager: "ModelManager",
    request: inference_pb2.MultiInferenceRequest,
    limits: RequestLimits,
    check_method_name: bool = False,
    timeout: float | None = None,
) -> inference_pb2.MultiInferenceResponse:
    """Answers a MultiInference request; arguments as of `predict`.

    The version that answers is that of the first task's spec.

    Raises:
      ServingError: the request cannot be answered.
    """
    first = model_pb2.ModelSpec()
    if request.tasks:
        first = request.tasks[0].model_spec
    with manager.handle(first) as handle:
        servable = handle.servable
        feed, fetches = _tensor_names(
            servable.signatures, request, check_method_name
        )
        examples = examples_input.serialized(request.input, limits)
        arrays = servable.run({feed: examples}, fetches, timeout)
        signatures, version = servable.signatures, handle.version
    found = dict(zip(fetches, arrays, strict=True))
    response = inference_pb2.MultiInferenceResponse()
    for task in request.tasks:
        signature = signatures[inference.signature_name(task.model_spec)]
        head = _HEADS[task.method_name]
        result = head.to_result(signature, len(examples), found)
        added = response.results.add()
        getattr(added, _RESULTS[task.method_name]).CopyFrom(result)
        spec = inference.answer_spec(task.model_spec, version)
        added.model_spec.CopyFrom(spec)
    return response


def _tensor_names(
    signatures: dict[str, SignatureDef],
    request: inference_pb2.MultiInferenceRequest,
    check_method_name: bool,
) -> tuple[str, list[str]]:
    """The one tensor to feed, and all to fetch."""
    model, feed = request.tasks[0].model_spec.name, ""
    seen: set[str] = set()
    fetches: set[str] = set()
    for task in request.tasks:
        _check_model(task.model_spec, model)
        name = inference.signature_name(task.model_spec)
        if name in seen:
            raise status.invalid(f"Duplicate evaluation of signature: {name}")
        seen.add(name)
        if name not in signatures:
            raise status.invalid(
                f"Requested signature not found in model graph: {name}"
            )
        if task.method_name not in _HEADS:
            raise status.unimplemented(
                f"Unsupported signature method_name: {task.method_name}"
            )
        head = _HEADS[task.method_name]
        wanted, outputs = head.tensor_names(signatures[name], check_method_name)
        if wanted != (feed or wanted):
            raise status.invalid(
                "Input tensor must be the same for all Signatures."
            )
        feed = wanted
        fetches.update(outputs)
    return feed, sorted(fetches)


def _check_model(spec: model_pb2.ModelSpec, model: str) -> None:
    if not spec.name:
        raise status.invalid("Found ModelSpec with an empty model name.")
    if spec.name != model:
        raise status.invalid(
            "All ModelSpecs in a MultiInferenceRequest must access the same"
            " model name."
        )
