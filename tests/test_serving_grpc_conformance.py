"""gRPC as TensorFlow Serving answers it: a test for each rule."""

import numpy as np
import pytest
import serving_models
from serving_running import error_of, predict_request, running, tensor
from tensorflow.core.example import example_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    regression_pb2,
)

INVALID = "INVALID_ARGUMENT"
CONFIG = """model_config_list {
  config {
    name: "m" base_path: "BASE/m" model_platform: "tensorflow"
    model_version_policy { all {} }
    version_labels { key: "stable" value: 1 }
  }
  config { name: "heads" base_path: "BASE/heads" model_platform: "tensorflow" }
}"""


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    serving_models.half_plus(folder / "m" / "1", 2)
    serving_models.half_plus(folder / "m" / "2", 3)
    serving_models.heads(folder / "heads" / "1")
    (folder / "config.txt").write_text(CONFIG.replace("BASE", str(folder)))
    return folder


@pytest.fixture(scope="module")
def server(base):
    with running(
        model_config_file=str(base / "config.txt"),
        # A label at the first load names a version that is not there yet.
        allow_version_labels_for_unavailable_models=True,
    ) as found:
        yield found


X = {"x": [1.0, 2.0]}
NO_INPUTS = (
    "input size does not match signature: 0!=1 len({}) != len({x})."
    " Sent extra: {}. Missing but required: {x}."
)
PREDICT = [
    ({"model": ""}, INVALID, "ModelSpec has no name specified."),
    (
        {"model": "none"},
        "NOT_FOUND",
        "Servable not found for request: Latest(none)",
    ),
    (
        {"version": 7},
        "NOT_FOUND",
        "Servable not found for request: Specific(m, 7)",
    ),
    (
        {"version_label": "L"},
        INVALID,
        "Unrecognized servable version label: L",
    ),
    (
        {"signature_name": "S"},
        "FAILED_PRECONDITION",
        'Serving signature key "S" not found.',
    ),
    ({"inputs": {}}, INVALID, NO_INPUTS),
    (
        {"inputs": {**X, "y": 1.0}},
        INVALID,
        "input size does not match signature: 2!=1 len({x,y}) != len({x})."
        " Sent extra: {y}. Missing but required: {}.",
    ),
]


@pytest.mark.parametrize(("values", "code", "text"), PREDICT)
def test_predict_errors(server, values, code, text):
    request = predict_request(**({"inputs": X} | values))
    assert error_of(server.predictions.Predict, request) == (code, text)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (
            ["z"],
            "output tensor alias not found in signature: z Outputs expected to"
            " be in the set {y}.",
        ),
        (["y", "y"], "duplicate output tensor alias: y"),
    ],
)
def test_output_filter(server, names, text):
    request = predict_request(inputs=X)
    request.output_filter.extend(names)
    assert error_of(server.predictions.Predict, request) == (INVALID, text)


def test_an_answer_names_what_answered(server):
    answer = server.predictions.Predict(predict_request(inputs=X))
    assert answer.model_spec.name == "m"
    assert answer.model_spec.signature_name == "serving_default"
    assert answer.model_spec.version.value == 2
    assert list(answer.outputs["y"].float_val) == [3.5, 4.0]
    assert not answer.outputs["y"].tensor_content
    for chosen in ({"version": 1}, {"version_label": "stable"}):
        answer = server.predictions.Predict(predict_request(inputs=X, **chosen))
        assert answer.model_spec.version.value == 1
        assert list(answer.outputs["y"].float_val) == [2.5, 3.0]


def requests_of(kind):
    """Stub method and an empty request."""
    return {
        "GetModelMetadata": get_model_metadata_pb2.GetModelMetadataRequest,
        "GetModelStatus": get_model_status_pb2.GetModelStatusRequest,
        "Classify": classification_pb2.ClassificationRequest,
        "Regress": regression_pb2.RegressionRequest,
    }[kind]()


@pytest.mark.parametrize(
    "kind", ["GetModelMetadata", "GetModelStatus", "Classify", "Regress"]
)
def test_no_spec(server, kind):
    stub = server.models if kind == "GetModelStatus" else server.predictions
    found = error_of(getattr(stub, kind), requests_of(kind))
    assert found == (INVALID, "Missing ModelSpec")


@pytest.mark.parametrize("kind", ["Classify", "Regress"])
def test_examples_and_signatures(server, kind):
    request = requests_of(kind)
    request.model_spec.name = "heads"
    request.model_spec.signature_name = "S"
    call = getattr(server.predictions, kind)
    text = "No signature was found with the name: S"
    assert error_of(call, request) == (INVALID, text)
    request.model_spec.signature_name = kind.lower()
    assert error_of(call, request) == (INVALID, "Input is empty.")


def example(value):
    found = example_pb2.Example()
    found.features.feature["x"].float_list.value.append(value)
    return found


def test_classify_and_regress(server):
    request = requests_of("Classify")
    request.model_spec.name = "heads"
    request.input.example_list.examples.append(example(0.25))
    found = server.predictions.Classify(request)
    rows = found.result.classifications[0].classes
    assert [(row.label, row.score) for row in rows] == [
        ("low", 0.75),
        ("high", 0.25),
    ]
    request = requests_of("Regress")
    request.model_spec.name = "heads"
    request.model_spec.signature_name = "regress"
    request.input.example_list.examples.append(example(0.5))
    found = server.predictions.Regress(request)
    assert [row.value for row in found.result.regressions] == [2.25]
    assert found.model_spec.version.value == 1


def test_multi_inference(server):
    request = inference_pb2.MultiInferenceRequest()
    for kind in ("classify", "regress"):
        task = request.tasks.add(method_name=f"tensorflow/serving/{kind}")
        task.model_spec.name = "heads"
        task.model_spec.signature_name = kind
    request.input.example_list.examples.append(example(0.5))
    found = server.predictions.MultiInference(request)
    assert found.results[1].regression_result.regressions[0].value == 2.25
    assert len(found.results[0].classification_result.classifications) == 1


def test_metadata(server):
    request = requests_of("GetModelMetadata")
    request.model_spec.name = "m"
    call = server.predictions.GetModelMetadata
    text = "GetModelMetadataRequest must specify at least one metadata_field"
    assert error_of(call, request) == (INVALID, text)
    request.metadata_field.append("signature_def")
    found = get_model_metadata_pb2.SignatureDefMap()
    assert call(request).metadata["signature_def"].Unpack(found)
    assert list(found.signature_def["serving_default"].inputs) == ["x"]
    request.metadata_field.append("X")
    text = "Metadata field X is not supported"
    assert error_of(call, request) == (INVALID, text)


def test_a_long_text_is_cut(server):
    request = predict_request(inputs=X, signature_name="s" * 5000)
    _, text = error_of(server.predictions.Predict, request)
    assert len(text) == 1024 + len("...TRUNCATED")
    assert text.endswith("sss...TRUNCATED")


def test_large_messages(server):
    many = np.arange(2_000_000, dtype=np.float32)
    request = predict_request(inputs={"x": tensor(many)})
    answer = server.predictions.Predict(request)
    assert answer.ByteSize() > 4 * 2**20
    np.testing.assert_array_equal(answer.outputs["y"].float_val, many / 2 + 3)


def test_a_deadline_bounds_the_call(tmp_path):
    # A second's work: no clock is too coarse to see a tenth of it pass.
    serving_models.half_plus(tmp_path / "m" / "1", wait=1.0)
    with running(model_name="m", model_base_path=f"{tmp_path}/m") as server:
        code, _ = error_of(
            server.predictions.Predict,
            predict_request(inputs=X),
            timeout=0.1,
        )
    assert code == "DEADLINE_EXCEEDED"


def test_neither_reflection_nor_sessions(server):
    for method in (
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        "/tensorflow.serving.SessionService/SessionRun",
        "/grpc.health.v1.Health/Check",  # only with its flag
    ):
        call = server.channel.unary_unary(method)
        assert error_of(call, b"")[0] == "UNIMPLEMENTED"


def test_the_profiler_is_on_by_default(server):
    call = server.channel.unary_unary("/tensorflow.ProfilerService/Profile")
    assert error_of(call, b"")[0] == INVALID  # it names no folder


def test_the_log_has_every_request(server):
    _, call = server.predictions.Predict.with_call(
        predict_request(inputs=X), metadata=[("x-request-id", "my-id")]
    )
    assert dict(call.trailing_metadata())["x-request-id"] == "my-id"
    line = next(row for row in server.log() if row.get("id") == "my-id")
    assert line["method"] == "Predict" and line["code"] == "OK"
    assert line["model"] == "m" and line["version"] == 2 and line["ms"] > 0
