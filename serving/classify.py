"""Classify: tf.Examples in, labels and scores of each out.

In: a ClassificationRequest for a signature with an input `inputs` and the
outputs `classes`, `scores` or both. Out: a ClassificationResponse. Codes and
texts are those of tensorflow/serving's classifier.cc.
"""

from typing import TYPE_CHECKING

import numpy as np
from tensorflow_serving.apis import classification_pb2

from serving import example_head, inference, status, tensors
from serving.inference import SignatureDef
from serving.limits import RequestLimits

if TYPE_CHECKING:
    from serving.manager import ModelManager

Class = classification_pb2.Class
INPUTS, CLASSES, SCORES = "inputs", "classes", "scores"


def classify(
    manager: "ModelManager",
    request: classification_pb2.ClassificationRequest,
    limits: RequestLimits,
    check_method_name: bool = False,
    timeout: float | None = None,
) -> classification_pb2.ClassificationResponse:
    """Answers a Classify request; arguments and errors as of `predict`."""
    found = example_head.run(
        manager, request, limits, tensor_names, check_method_name, timeout
    )
    return classification_pb2.ClassificationResponse(
        model_spec=found.spec,
        result=to_result(found.signature, found.examples, found.arrays),
    )


def tensor_names(
    signature: SignatureDef, check_method_name: bool
) -> tuple[str, list[str]]:
    """Names of the tensors to feed and to fetch.

    Raises:
      ServingError: this is no signature for Classify.
    """
    if check_method_name:
        inference.check_method(signature, "classification", inference.CLASSIFY)
    if len(signature.inputs) != 1:
        raise status.invalid("Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        raise status.invalid(
            "Expected one or two output Tensors, found"
            f" {len(signature.outputs)}"
        )
    if INPUTS not in signature.inputs:
        raise status.failed_precondition(
            f"No classification inputs found in SignatureDef: {signature}"
        )
    fetches = [
        signature.outputs[alias].name
        for alias in (CLASSES, SCORES)
        if alias in signature.outputs
    ]
    if not fetches:
        raise status.failed_precondition(
            "Expected classification signature outputs to contain at least"
            f' one of "{CLASSES}" or "{SCORES}". Signature was: {signature}'
        )
    return signature.inputs[INPUTS].name, fetches


def to_result(
    signature: SignatureDef, count: int, found: dict[str, np.ndarray]
) -> classification_pb2.ClassificationResult:
    """The answer made of a model's outputs.

    Args:
      signature: that was run.
      count: number of examples.
      found: outputs by tensor name: classes, strings [count, N]; scores,
        float32 [count, N].

    Raises:
      ServingError: INVALID_ARGUMENT: the outputs are not of this form.
    """
    classes = _output(signature, CLASSES, found)
    scores = _output(signature, SCORES, found)
    if classes is not None:
        _check(classes, CLASSES, np.dtype(object), "DT_STRING", count)
    if scores is not None:
        _check(scores, SCORES, np.dtype(np.float32), "DT_FLOAT", count)
    if classes is not None and scores is not None:
        widths = classes.shape[1], scores.shape[1]
        if widths[0] != widths[1]:
            raise status.invalid(
                "Tensors class and score should match in dim_size(1). Got"
                f" {widths[0]} vs. {widths[1]}"
            )
    result = classification_pb2.ClassificationResult()
    for row in range(count):
        added = result.classifications.add()
        if classes is not None:
            labels = [_text(label) for label in classes[row]]
            added.classes.extend(Class(label=label) for label in labels)
        if scores is None:
            continue
        for place, score in enumerate(scores[row].tolist()):
            if classes is None:
                added.classes.add()
            added.classes[place].score = score
    return result


def _output(
    signature: SignatureDef, alias: str, found: dict[str, np.ndarray]
) -> np.ndarray | None:
    if alias not in signature.outputs:
        return None
    return found[signature.outputs[alias].name]


def _check(
    array: np.ndarray, alias: str, dtype: np.dtype, name: str, count: int
) -> None:
    if array.ndim != 2:
        raise status.invalid(
            "Expected Tensor shape: [batch_size num_classes] but got"
            f" {inference.shape_text(array.shape)}"
        )
    if array.dtype != dtype:
        raise status.invalid(
            f"Expected {alias} Tensor of {name}. Got:"
            f" {tensors.enum_name(array.dtype)}"
        )
    if len(array) != count:
        raise status.invalid(
            f"Expected {alias} output batch size of {count}. Got: {len(array)}"
        )


def _text(label: bytes | str) -> str:
    # The field is text; what is no UTF-8 would not reach the client at all.
    if isinstance(label, str):
        return label
    return label.decode("utf-8", "replace")
