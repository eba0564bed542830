"""What Classify and Regress share: examples through a signature of one input.

In: a request, and the function that checks the signature and names its
tensors. Out: the arrays, with the signature and the version that gave them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from tensorflow_serving.apis import (
    classification_pb2,
    model_pb2,
    regression_pb2,
)

from serving import examples_input, inference
from serving.inference import SignatureDef
from serving.limits import RequestLimits

if TYPE_CHECKING:
    from serving.manager import ModelManager

# Signature, whether its method is checked -> tensors to feed and to fetch.
TensorNames = Callable[[SignatureDef, bool], tuple[str, list[str]]]


@dataclass(frozen=True)
class HeadAnswer:
    """`arrays` by tensor name; `examples` is how many were asked."""

    spec: model_pb2.ModelSpec
    signature: SignatureDef
    examples: int
    arrays: dict[str, np.ndarray]


def run(
    manager: "ModelManager",
    request: classification_pb2.ClassificationRequest
    | regression_pb2.RegressionRequest,
    limits: RequestLimits,
    tensor_names: TensorNames,
    check_method_name: bool,
    timeout: float | None,
) -> HeadAnswer:
    """Runs the examples of a request.

    Raises:
      ServingError: as of `predict`, or of `tensor_names`.
    """
    inference.check_has_spec(request.HasField("model_spec"))
    spec = request.model_spec
    with manager.handle(spec) as handle:
        servable = handle.servable
        signature = inference.head_signature(servable.signatures, spec)
        feed, fetches = tensor_names(signature, check_method_name)
        examples = examples_input.serialized(request.input, limits)
        arrays = servable.run({feed: examples}, fetches, timeout)
        version = handle.version
    return HeadAnswer(
        inference.answer_spec(spec, version),
        signature,
        len(examples),
        dict(zip(fetches, arrays, strict=True)),
    )
