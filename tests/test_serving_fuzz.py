"""Broken messages and JSON at random, from fixed seeds: always an error."""

import json
import random

import grpc
import numpy as np
import pytest
import serving_models
from google.protobuf.message import DecodeError
from serving_running import predict_request, running, tensor, undisturbed
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    regression_pb2,
)

from serving.protos import profiler_service_pb2

PATH = "/tensorflow.serving.PredictionService/Predict"
CONFIG = """model_config_list {
  config { name: "m" base_path: "BASE/m" model_platform: "tensorflow" }
  config { name: "heads" base_path: "BASE/heads" model_platform: "tensorflow" }
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    serving_models.half_plus(folder / "m" / "1")
    serving_models.heads(folder / "heads" / "1")
    config = folder / "models.config"
    config.write_text(CONFIG.replace("BASE", str(folder)))
    with running(model_config_file=str(config)) as found:
        yield found


@pytest.fixture(autouse=True)
def others_are_unaffected(server):
    with undisturbed(server):
        yield


def mutated(data, rng):
    """Bytes with some cut, turned or put in."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            del data[at:]
        elif kind == 1:
            data[at : at + 1] = rng.randbytes(1)
        elif kind == 2:
            data[at:at] = rng.randbytes(rng.randint(1, 8))
        else:
            del data[at : at + rng.randint(1, 4)]
        data = data or bytearray(b"\x00")
    return bytes(data)


def turned(data, rng):
    """Bytes with a bit of one changed: often a message still."""
    at = rng.randrange(len(data))
    changed = bytes([data[at] ^ 1 << rng.randrange(8)])
    return data[:at] + changed + data[at + 1 :]


def distorted(request, rng):
    """A request whose tensors are not what they say."""
    found = type(request)()
    found.CopyFrom(request)
    for alias in list(found.inputs):
        proto = found.inputs[alias]
        kind = rng.randrange(6)
        if kind == 0:
            proto.dtype = rng.randrange(30)
        elif kind == 1:
            sizes = (-1, 0, 1, 3, 2**31, 2**40, 2**62)
            proto.tensor_shape.dim.add().size = rng.choice(sizes)
        elif kind == 2:
            proto.tensor_content = rng.randbytes(rng.randrange(40))
        elif kind == 3:
            proto.tensor_shape.unknown_rank = True
        elif kind == 4:
            found.inputs[alias + "z"].CopyFrom(proto)
            del found.inputs[alias]
        else:
            found.output_filter.append(rng.choice(["y", "z", ""]))
    return found


# What a broken message may meet; never UNKNOWN, which hides a bug.
EXPECTED = {
    "OK",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "FAILED_PRECONDITION",
    "UNIMPLEMENTED",
    "OUT_OF_RANGE",
}


def checked(call, body):
    """The code of an answer, which is none that hides a bug."""
    try:
        call(body, timeout=20)
    except grpc.RpcError as error:
        code, text = error.code().name, error.details()
        if code == "INTERNAL":
            assert text == "Exception deserializing request!", body
        else:
            assert code in EXPECTED, (code, text, body)
        return code
    return "OK"


def test_fuzzed_messages(server):
    rng = random.Random(1)
    call = server.channel.unary_unary(PATH)
    whole = [
        predict_request(inputs={"x": [1.0, 2.0]}, version=1),
        predict_request(
            signature_name="two",
            inputs={"a": np.ones((1, 2, 3)), "b": [1.0]},
        ),
        predict_request(
            signature_name="text", inputs={"text": tensor([b"abc"], bytes)}
        ),
    ]
    seen = {}
    for _ in range(400):
        chosen = rng.choice(whole)
        if rng.random() < 0.5:
            body = mutated(chosen.SerializeToString(), rng)
        else:
            body = distorted(chosen, rng).SerializeToString()
        code = checked(call, body)
        seen[code] = seen.get(code, 0) + 1
    assert seen["INTERNAL"] > 20 and seen["INVALID_ARGUMENT"] > 20, seen


def heads(request, signature=""):
    """A request of examples to a model with heads."""
    request.model_spec.name = "heads"
    request.model_spec.signature_name = signature
    for place in range(2):
        example = request.input.example_list.examples.add()
        values = example.features.feature["x"].float_list.value
        values.append(place / 4)
    return request


def multi_inference():
    request = inference_pb2.MultiInferenceRequest()
    for kind in ("classify", "regress"):
        task = request.tasks.add(method_name=f"tensorflow/serving/{kind}")
        task.model_spec.name = "heads"
        task.model_spec.signature_name = kind
    request.input.CopyFrom(
        heads(classification_pb2.ClassificationRequest()).input
    )
    return request


def metadata():
    request = get_model_metadata_pb2.GetModelMetadataRequest()
    request.model_spec.name = "m"
    request.metadata_field.append("signature_def")
    return request


def model_status():
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "m"
    request.model_spec.version.value = 1
    return request


@pytest.mark.parametrize(
    ("method", "make"),
    [
        (
            "Prediction/Classify",
            lambda: heads(classification_pb2.ClassificationRequest()),
        ),
        (
            "Prediction/Regress",
            lambda: heads(regression_pb2.RegressionRequest(), "regress"),
        ),
        ("Prediction/MultiInference", multi_inference),
        ("Prediction/GetModelMetadata", metadata),
        ("Model/GetModelStatus", model_status),
    ],
)
def test_fuzzed_messages_of_other_methods(server, method, make):
    rng = random.Random(4)
    service, name = method.split("/")
    call = server.channel.unary_unary(
        f"/tensorflow.serving.{service}Service/{name}"
    )
    whole, seen = make().SerializeToString(), set()
    call(whole, timeout=20)
    for _ in range(50):
        seen.add(checked(call, mutated(whole, rng)))
        seen.add(checked(call, turned(whole, rng)))
    assert "INTERNAL" in seen and len(seen) > 1, seen


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        (
            "Profile",
            profiler_service_pb2.ProfileRequest(
                repository_root="here", session_id="run", host_name="a/b"
            ),
        ),
        ("Terminate", profiler_service_pb2.TerminateRequest(session_id="run")),
    ],
)
def test_fuzzed_profiles(server, name, request_, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # mutants' folders
    rng = random.Random(6)
    call = server.channel.unary_unary(f"/tensorflow.ProfilerService/{name}")
    whole, seen = request_.SerializeToString(), set()
    for _ in range(50):
        seen.add(checked(call, mutated(whole, rng)))
    assert "INTERNAL" in seen and len(seen) > 1, seen


def test_fuzzed_reloads(server):
    """Of a config that is refused: one that is taken may unload `m`."""
    rng = random.Random(5)
    request = model_management_pb2.ReloadConfigRequest()
    for _ in range(2):
        model = request.config.model_config_list.config.add()
        model.name, model.base_path = "m", "/none"
        model.model_platform = "tensorflow"
        model.version_labels["stable"] = 7
    call = server.channel.unary_unary(
        "/tensorflow.serving.ModelService/HandleReloadConfigRequest"
    )
    whole, seen = request.SerializeToString(), set()
    for _ in range(50):
        for body in (mutated(whole, rng), turned(whole, rng)):
            if harmless(body):
                seen.add(checked(call, body))
    assert {"INTERNAL", "INVALID_ARGUMENT"} <= seen, seen


def harmless(body):
    """Whether a config cannot be taken: it is broken, or lists `m` twice."""
    try:
        found = model_management_pb2.ReloadConfigRequest.FromString(body)
    except DecodeError:
        return True
    if found.config.WhichOneof("config") != "model_config_list":
        return True
    names = [m.name for m in found.config.model_config_list.config]
    return len(set(names)) < len(names)


@pytest.mark.parametrize("method", ["classify", "regress"])
def test_fuzzed_json_of_other_methods(server, method):
    rng = random.Random(6)
    whole = (
        b'{"signature_name": "%s", "context": {"y": {"b64": "aGk="}},'
        b' "examples": [{"x": 0.25}, {"x": [0.5]}]}' % method.encode()
    )
    path, seen = f"/v1/models/heads:{method}", set()
    assert server.http("POST", path, whole)[0] == 200
    for _ in range(100):
        body = mutated(whole, rng)
        code, _, text = server.http("POST", path, body)
        assert code in (200, 400, 501), (code, text, body)
        assert code == 200 or json.loads(text)["error"]
        seen.add(code)
    assert 400 in seen


def test_fuzzed_json(server):
    rng = random.Random(2)
    whole = [
        b'{"instances": [1.5, 2, NaN]}',
        b'{"signature_name": "two", "inputs": {"a": [[[1,2,3]]], "b": [1]}}',
        b'{"signature_name": "text", "instances": [{"b64": "aGk="}, "\\u00e4"'
        b"]}",
    ]
    seen = {}
    for _ in range(400):
        body = mutated(rng.choice(whole), rng)
        code, _, text = server.http("POST", "/v1/models/m:predict", body)
        assert code in (200, 400, 501), (code, text, body)
        if code != 200:
            assert json.loads(text)["error"]
        seen[code] = seen.get(code, 0) + 1
    assert seen[400] > 50, seen


def test_deep_json(server):
    for body in (
        b"[" * 500_000,
        b'{"a":' * 100_000,
        b'{"inputs":' + b"[" * 900,
    ):
        code, _, _ = server.http("POST", "/v1/models/m:predict", body)
        assert code == 400
    nested = b'{"inputs":' + b"[" * 600 + b"]" * 600 + b"}"
    assert server.http("POST", "/v1/models/m:predict", nested)[0] == 400
