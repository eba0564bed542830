"""serving.grpc_gate: all messages together have a budget of bytes."""

import time

import numpy as np
import pytest
import serving_models
from grpc_health.v1 import health_pb2, health_pb2_grpc
from serving_running import error_of, predict_request, running

from serving import server_settings
from serving.grpc_gate import GateLimits

PATH = "/tensorflow.serving.PredictionService/Predict"
LARGE = predict_request(inputs={"x": np.zeros(10_000)})  # 40 kB
FULL = (
    "RESOURCE_EXHAUSTED",
    "Too many bytes of requests are held; the limit held_bytes is 100000;"
    " try again",
)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return serving_models.quick_and_slow(tmp_path_factory.mktemp("models"))


def serving(base, model="m", **values):
    """A server with one thread for requests."""
    values |= {"grpc_max_threads": 1, "grace_seconds": 5}
    path = str(base / model)
    return running(model_name="m", model_base_path=path, **values)


@pytest.fixture
def limited(monkeypatch):
    """Sets limits of the gate; two of LARGE fit."""

    def limit(**values):
        limits = GateLimits(held_bytes=100_000, **values)
        name = "gate_limits"
        monkeypatch.setattr(
            server_settings.ServerSettings, name, lambda _: limits
        )

    return limit


def test_messages_share_a_budget(base, limited):
    limited()
    with serving(base, model="slow") as server:
        predict = server.predictions.Predict
        first = predict.future(LARGE, timeout=20)
        time.sleep(0.3)
        first.cancel()  # but a thread is at it
        second = predict.future(LARGE, timeout=20)
        time.sleep(0.3)
        assert error_of(predict, LARGE) == FULL
        second.cancel()  # no thread will be
        time.sleep(0.3)
        third = predict.future(LARGE, timeout=20)
        time.sleep(0.3)
        # The first still counts.
        assert error_of(predict, LARGE) == FULL
        assert len(third.result().outputs["y"].float_val) == 10_000
        fourth, fifth = (predict.future(LARGE, timeout=20) for _ in range(2))
        time.sleep(0.3)
        assert not fourth.done() and not fifth.done()
        fourth.cancel()
        fifth.cancel()


def test_bytes_are_given_back_however_a_call_ends(base, limited):
    limited()
    with serving(base, enable_grpc_healthcheck_service=True) as server:
        predict = server.predictions.Predict
        other = predict_request("other", {"x": np.zeros(10_000)})
        raw = server.channel.unary_unary(PATH)
        health = health_pb2_grpc.HealthStub(server.channel).Check
        service = health_pb2.HealthCheckRequest(service="x" * 40_000)
        for _ in range(3):
            predict(LARGE, timeout=20)
            assert error_of(predict, other)[0] == "NOT_FOUND"
            assert error_of(raw, b"\xff" * 40_000)[0] == "INTERNAL"
            assert error_of(health, service)[0] == "NOT_FOUND"


def test_a_message_larger_than_the_budget(base, limited):
    limited()
    with serving(base) as server:
        predict = server.predictions.Predict
        # As REST: 503, not 413, which is for --max_request_bytes.
        request = predict_request(inputs={"x": np.zeros(30_000)})
        for _ in range(2):
            assert error_of(predict, request) == FULL
        predict(LARGE, timeout=20)


def test_calls_above_the_limit_hold_nothing(base, limited):
    limited(running=1)
    with serving(base, model="slow") as server:
        predict = server.predictions.Predict
        first = predict.future(LARGE, timeout=20)
        time.sleep(0.3)
        for _ in range(3):
            text = "Concurrent RPC limit exceeded!"
            assert error_of(predict, LARGE) == ("RESOURCE_EXHAUSTED", text)
        first.result()
