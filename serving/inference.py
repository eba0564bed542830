"""What all kinds of inference share: the signature and the answer's spec.

In: a model spec of a request and the signatures of a loaded model. Out: the
signature that is meant, and the spec that an answer carries. Codes and texts
are those of tensorflow/serving: its servables/tensorflow/*.cc.
"""

from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef
from tensorflow_serving.apis import model_pb2

from serving import status

DEFAULT_SIGNATURE = "serving_default"
PREDICT = "tensorflow/serving/predict"
CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"


def signature_name(spec: model_pb2.ModelSpec) -> str:
    """The signature that a spec means: without a name, serving_default."""
    return spec.signature_name or DEFAULT_SIGNATURE


def answer_spec(spec: model_pb2.ModelSpec, version: int) -> model_pb2.ModelSpec:
    """The spec of an answer: name, signature and version that were used."""
    answer = model_pb2.ModelSpec(
        name=spec.name, signature_name=signature_name(spec)
    )
    answer.version.value = version
    return answer


def check_has_spec(present: bool) -> None:
    """Raises INVALID_ARGUMENT for a request without a model spec."""
    if not present:
        raise status.invalid("Missing ModelSpec")


def head_signature(
    signatures: dict[str, SignatureDef], spec: model_pb2.ModelSpec
) -> SignatureDef:
    """The signature for Classify or Regress.

    Raises:
      ServingError: INVALID_ARGUMENT, where Predict says FAILED_PRECONDITION.
    """
    name = signature_name(spec)
    if name not in signatures:
        raise status.invalid(f"No signature was found with the name: {name}")
    return signatures[name]


def check_method(signature: SignatureDef, kind: str, method: str) -> None:
    """Raises INVALID_ARGUMENT for a signature made for another method.

    Args:
      signature: of the model.
      kind: "classification" or "regression".
      method: what `signature.method_name` must be.
    """
    if signature.method_name != method:
        raise status.invalid(
            f"Expected {kind} signature method_name to be {method}."
            f" Was: {signature.method_name}"
        )


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape as TensorFlow's DebugString: [2,3]."""
    return "[" + ",".join(str(size) for size in shape) + "]"
