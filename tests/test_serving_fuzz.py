"""Broken messages and JSON at random, from fixed seeds: always an error."""

import json
import random

import grpc
import numpy as np
import pytest
import serving_models
from serving_running import predict_request, running, tensor, undisturbed

PATH = "/tensorflow.serving.PredictionService/Predict"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    serving_models.half_plus(folder / "m" / "1")
    with running(model_name="m", model_base_path=str(folder / "m")) as found:
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
        try:
            call(body, timeout=20)
            code = "OK"
        except grpc.RpcError as error:
            code, text = error.code().name, error.details()
            if code == "INTERNAL":
                assert text == "Exception deserializing request!"
            else:
                assert code in EXPECTED, (code, text, body)
        seen[code] = seen.get(code, 0) + 1
    assert seen["INTERNAL"] > 20 and seen["INVALID_ARGUMENT"] > 20, seen


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
