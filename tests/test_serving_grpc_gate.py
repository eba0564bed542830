"""serving.grpc_gate: clients that are slow, or go, and others who are not."""

import contextlib
import queue
import socket
import threading
import time
from dataclasses import replace

import grpc
import pytest
import serving_models
from google.protobuf import text_format
from serving_running import error_of, predict_request, running
from tensorflow_serving.apis import model_management_pb2, predict_pb2

from serving import grpc_server, server_settings
from serving.grpc_gate import Caller
from serving.status import ServingError

PATH = "/tensorflow.serving.PredictionService/Predict"
X = {"x": [2.0]}
BODY = predict_request(inputs=X).SerializeToString()


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return serving_models.quick_and_slow(tmp_path_factory.mktemp("models"))


@contextlib.contextmanager
def serving(base, model="m", **values):
    quick = {"grpc_max_threads": 1, "grace_seconds": 5}
    path = str(base / model)
    with running(
        model_name="m", model_base_path=path, **(quick | values)
    ) as found:
        yield found


class Slow:
    """Calls that send headers; each sends its message when it is told to."""

    def __init__(self, server, stack):
        address = f"127.0.0.1:{server.settings.port}"
        # A connection of its own.
        options = [("grpc.use_local_subchannel_pool", 1)]
        channel = grpc.insecure_channel(address, options)
        self._call = stack.enter_context(channel).stream_unary(PATH)
        self._stack = stack

    def open(self):
        told = threading.Event()
        self._stack.callback(told.set)

        def messages():
            told.wait()
            yield BODY

        return self._call.future(messages(), timeout=60), told


def threads():
    names = [thread.name for thread in threading.enumerate()]
    return sum(name.startswith("grpc_") for name in names)


@pytest.mark.parametrize("count", [8, 400])
def test_slow_clients_hold_no_thread(base, count):
    with (
        serving(base, max_concurrent_requests=64) as server,
        contextlib.ExitStack() as stack,
    ):
        slow, before = Slow(server, stack), threads()
        calls = [slow.open() for _ in range(count)]
        time.sleep(0.5)
        start = time.monotonic()
        for _ in range(20):
            answer = server.predictions.Predict(predict_request(inputs=X))
            assert list(answer.outputs["y"].float_val) == [3.0]
        assert time.monotonic() - start < 2.5
        assert threads() - before <= 1
        # The first gave way, the last may still send its message.
        last, told = calls[-1]
        told.set()
        answer = predict_pb2.PredictResponse.FromString(last.result(20))
        assert list(answer.outputs["y"].float_val) == [3.0]
        refused = [one for one, _ in calls if one.done() and one is not last]
        assert abs(len(refused) - max(0, count - 64)) <= 2
        for one in refused:
            assert one.code() is grpc.StatusCode.UNAVAILABLE
            assert one.details() == "Too many calls wait for their messages"


def test_a_message_must_come_in_time(base, monkeypatch):
    monkeypatch.setattr(server_settings, "_MESSAGE", 0.5)
    with (
        serving(base, max_request_bytes=2**16) as server,
        contextlib.ExitStack() as stack,
    ):
        call, _ = Slow(server, stack).open()
        start = time.monotonic()
        assert call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert call.details() == "The request came too slowly"
        assert 0.3 < time.monotonic() - start < 5


def test_limits_by_the_largest_message(base):
    settings = server_settings.ServerSettings(
        model_base_path=str(base), max_request_bytes=2**24
    )
    assert settings.gate_limits().seconds == 26.0
    assert settings.gate_limits().held_bytes == 2**26
    assert settings.http_limits().held_bytes == 2**26


def test_no_message_and_more_than_one(base):
    with serving(base) as server:
        call = server.channel.stream_unary(PATH)
        code, text = error_of(call, iter([]))
        assert code == "UNIMPLEMENTED"
        assert text == "The method requires exactly one request message."
        # The first counts.
        answer = predict_pb2.PredictResponse.FromString(
            call(iter([BODY, BODY]), timeout=20)
        )
        assert list(answer.outputs["y"].float_val) == [3.0]


def test_calls_above_the_limit_and_calls_that_were_given_up(base):
    with serving(base, model="slow", max_concurrent_requests=2) as server:
        predict = server.predictions.Predict
        request = predict_request(inputs=X)
        first = predict.future(request, timeout=20)
        time.sleep(0.3)
        second = predict.future(request, timeout=20)
        time.sleep(0.3)
        assert error_of(predict, request) == (
            "RESOURCE_EXHAUSTED",
            "Concurrent RPC limit exceeded!",
        )
        second.cancel()
        assert list(first.result().outputs["y"].float_val) == [3.0]
        predict(request)
        # The one that nobody waits for was never run.
        rows = [row for row in server.log() if row.get("method") == "Predict"]
        assert [row["code"] for row in rows] == ["OK", "OK"]


def reload_request(base, *names):
    request = model_management_pb2.ReloadConfigRequest()
    entry = 'config { name: "%s" base_path: "%s" model_platform: "tensorflow" }'
    entries = " ".join(entry % (name, base / name) for name in names)
    text_format.Parse(f"model_config_list {{ {entries} }}", request.config)
    return request


@pytest.mark.parametrize("deadline", [None, 7e9])
def test_a_reload_of_a_new_model_needs_no_deadline(base, deadline):
    with serving(base) as server:
        request = reload_request(base, "m", "slow")
        server.models.HandleReloadConfigRequest(request, timeout=deadline)
        answer = server.predictions.Predict(
            predict_request("slow", X), timeout=deadline
        )
        assert list(answer.outputs["y"].float_val) == [3.0]


def test_a_reload_that_is_given_up_frees_its_thread(base):
    (base / "none").mkdir(exist_ok=True)
    with serving(base) as server:
        reload = server.models.HandleReloadConfigRequest
        call = reload.future(reload_request(base, "m", "none"))
        time.sleep(0.5)
        assert not call.done()
        call.cancel()
        # There is one thread only.
        server.predictions.Predict(predict_request(inputs=X), timeout=10)
        method = "HandleReloadConfigRequest"
        rows = [row for row in server.log() if row.get("method") == method]
        assert [row["code"] for row in rows] == ["CANCELLED"]


def test_answers_that_clients_leave_behind_have_a_budget(base, monkeypatch):
    """Each is 4 MiB; a client that does not read keeps its own waiting."""
    limits = server_settings.ServerSettings.gate_limits
    monkeypatch.setattr(
        server_settings.ServerSettings,
        "gate_limits",
        lambda self: replace(limits(self), answer_bytes=6 * 2**20),
    )
    body = predict_request(inputs={"x": [2.0] * 2**20}).SerializeToString()
    with serving(base) as server:
        address = f"127.0.0.1:{server.settings.port}"
        # A client that takes little before somebody reads.
        options = [
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.http2.bdp_probe", 0),
            ("grpc.http2.lookahead_bytes", 2**16),
        ]
        with grpc.insecure_channel(address, options) as channel:
            left = channel.unary_stream(PATH)(body)
            time.sleep(3)  # nobody reads it
            ask = server.channel.unary_unary(PATH)
            with pytest.raises(grpc.RpcError) as error:
                ask(body, timeout=30)
            assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "Too many answers" in error.value.details()
            left.cancel()
            time.sleep(1)
            for _ in range(3):  # and read ones are given back
                assert len(ask(body, timeout=30)) > 2**22


class Context:
    """What grpc tells of a call."""

    def __init__(self, left, *metadata):
        self.time_remaining = lambda: left
        self.invocation_metadata = lambda: metadata


def test_callers():
    for left in (None, 99_999_999 * 3600.0, 9.2e18):
        caller = Caller.of(Context(left, ("x-request-id", "my-id")))
        assert caller.seconds_left() is None and caller.request_id == "my-id"
    assert 4 < Caller.of(Context(5.0)).seconds_left() <= 5
    with pytest.raises(ServingError, match="Deadline Exceeded"):
        Caller.of(Context(0.0)).seconds_left()


def test_connections_without_a_client_or_calls_are_closed(base, monkeypatch):
    monkeypatch.setattr(grpc_server, "_HANDSHAKE", 300)
    monkeypatch.setattr(grpc_server, "_IDLE", 300)
    with serving(base) as server:
        address = ("127.0.0.1", server.settings.port)
        with socket.create_connection(address, 10) as link:
            while link.recv(2**16):  # the server's settings, then the end
                pass
        states = queue.SimpleQueue()
        server.channel.subscribe(states.put)
        server.predictions.Predict(predict_request(inputs=X))
        found = [states.get(timeout=10)]
        while grpc.ChannelConnectivity.READY not in found[:-1]:
            found.append(states.get(timeout=10))
        assert found[-1] is grpc.ChannelConnectivity.IDLE
        # Clients do not notice.
        server.predictions.Predict(predict_request(inputs=X))
