"""Regress: tf.Examples in, one number for each out.

In: a RegressionRequest for a signature with an input `inputs` and an output
`outputs`. Out: a RegressionResponse. Codes and texts are those of
tensorflow/serving's regressor.cc.
"""

from typing import TYPE_CHECKING

import numpy as np
from tensorflow_serving.apis import regression_pb2

from serving import example_head, inference, status, tensors
from serving.inference import SignatureDef
from serving.limits import RequestLimits

if TYPE_CHECKING:
    from serving.manager import ModelManager

INPUTS, OUTPUTS = "inputs", "outputs"


def regress(
    manager: "ModelManager",
    request: regression_pb2.RegressionRequest,
    limits: RequestLimits,
    check_method_name: bool = False,
    timeout: float | None = None,
) -> regression_pb2.RegressionResponse:
    """Answers a Regress request; arguments and errors as of `predict`."""
    found = example_head.run(
        manager, request, limits, tensor_names, check_method_name, timeout
    )
    return regression_pb2.RegressionResponse(
        model_spec=found.spec,
        result=to_result(found.signature, found.examples, found.arrays),
    )


def tensor_names(
    signature: SignatureDef, check_method_name: bool
) -> tuple[str, list[str]]:
    """Names of the tensors to feed and to fetch.

    Raises:
      ServingError: this is no signature for Regress.
    """
    if check_method_name:
        inference.check_method(signature, "regression", inference.REGRESS)
    if len(signature.inputs) != 1:
        raise status.invalid("Expected one input Tensor.")
    if len(signature.outputs) != 1:
        raise status.invalid("Expected one output Tensor.")
    if INPUTS not in signature.inputs:
        raise status.failed_precondition(
            f"No regression inputs found in SignatureDef: {signature}"
        )
    if OUTPUTS not in signature.outputs:
        raise status.failed_precondition(
            f"No regression outputs found in SignatureDef: {signature}"
        )
    return signature.inputs[INPUTS].name, [signature.outputs[OUTPUTS].name]


def to_result(
    signature: SignatureDef, count: int, found: dict[str, np.ndarray]
) -> regression_pb2.RegressionResult:
    """The answer made of a model's output.

    Args:
      signature: that was run.
      count: number of examples.
      found: outputs by tensor name: float32 [count] or [count, 1].

    Raises:
      ServingError: INVALID_ARGUMENT: the output is not of this form.
    """
    values = found[signature.outputs[OUTPUTS].name]
    if not (values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1)):
        raise status.invalid(
            "Expected output Tensor shape to be either [batch_size] or"
            f" [batch_size, 1] but got {inference.shape_text(values.shape)}"
        )
    if len(values) != count:
        raise status.invalid(
            "Input batch size did not match output batch size:"
            f" {count} vs. {len(values)}"
        )
    if values.dtype != np.float32:
        raise status.invalid(
            "Expected output Tensor of DT_FLOAT.  Got:"
            f" {tensors.enum_name(values.dtype)}"
        )
    result = regression_pb2.RegressionResult()
    for value in values.reshape(-1).tolist():
        result.regressions.add().value = value
    return result
