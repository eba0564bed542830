"""GetModelMetadata: the signatures of a model.

In: a GetModelMetadataRequest. Out: a GetModelMetadataResponse with a
SignatureDefMap under "signature_def", the one field there is. Texts are those
of tensorflow/serving's get_model_metadata_impl.cc.
"""

from typing import TYPE_CHECKING

from tensorflow_serving.apis import get_model_metadata_pb2

from serving import inference, status

if TYPE_CHECKING:
    from serving.manager import ModelManager

FIELD = "signature_def"


def get_model_metadata(
    manager: "ModelManager",
    request: get_model_metadata_pb2.GetModelMetadataRequest,
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """Answers a GetModelMetadata request.

    Raises:
      ServingError: no spec, no such model, or fields other than FIELD.
    """
    inference.check_has_spec(request.HasField("model_spec"))
    if not request.metadata_field:
        raise status.invalid(
            "GetModelMetadataRequest must specify at least one metadata_field"
        )
    for field in request.metadata_field:
        if field != FIELD:
            raise status.invalid(f"Metadata field {field} is not supported")
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    found = get_model_metadata_pb2.SignatureDefMap()
    with manager.handle(request.model_spec) as handle:
        for name, signature in handle.servable.signatures.items():
            found.signature_def[name].CopyFrom(signature)
        response.model_spec.name = handle.name
        response.model_spec.version.value = handle.version
    response.metadata[FIELD].Pack(found)
    return response
