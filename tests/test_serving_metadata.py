"""serving.metadata: the signatures of a model."""

import pytest
from serving_doubles import OneModel
from serving_examples import two_heads
from tensorflow_serving.apis import get_model_metadata_pb2

from serving.metadata import get_model_metadata
from serving.status import ServingError


def ask(*fields, model="m"):
    request = get_model_metadata_pb2.GetModelMetadataRequest(
        metadata_field=fields
    )
    request.model_spec.name = model
    return request


def test_all_signatures_in_an_any():
    servable = two_heads()
    found = get_model_metadata(OneModel(servable), ask("signature_def"))
    assert found.model_spec.name == "m"
    assert found.model_spec.version.value == 7
    assert not found.model_spec.signature_name
    packed = found.metadata["signature_def"]
    assert packed.type_url.endswith("tensorflow.serving.SignatureDefMap")
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert packed.Unpack(signatures)
    assert dict(signatures.signature_def) == servable.signatures


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (
            get_model_metadata_pb2.GetModelMetadataRequest(),
            "Missing ModelSpec",
        ),
        (
            ask(),
            "GetModelMetadataRequest must specify at least one metadata_field",
        ),
        (
            ask("signature_def", "x"),
            "Metadata field x is not supported",
        ),
    ],
)
def test_requests_that_do_not_fit(request_, text):
    with pytest.raises(ServingError) as caught:
        get_model_metadata(OneModel(two_heads()), request_)
    assert caught.value.code.name == "INVALID_ARGUMENT"
    assert caught.value.message == text


def test_unknown_model():
    with pytest.raises(ServingError) as caught:
        get_model_metadata(
            OneModel(two_heads()), ask("signature_def", model="x")
        )
    assert caught.value.code.name == "NOT_FOUND"
