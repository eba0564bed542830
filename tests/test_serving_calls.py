"""serving.calls: what every request passes through."""

import contextlib
import io
import json

import pytest
from tensorflow_serving.apis import model_pb2

from serving import status
from serving.calls import Call, Calls
from serving.logs import Log
from serving.manager import Handle
from serving.metrics import Metrics


class Doubles:
    """A servable that doubles, and the manager that lends it."""

    signatures = {}  # noqa: RUF012

    def run(self, feeds, fetches, timeout=None):
        return [2 * feeds[name] for name in fetches]

    @contextlib.contextmanager
    def handle(self, spec):
        if spec.name != "m":
            raise status.not_found(f"no {spec.name}")
        yield Handle(self, "m", 3)

    def status(self, spec):
        if spec.name != "m":
            raise status.not_found(f"no {spec.name}")


@pytest.fixture
def stream():
    return io.StringIO()


@pytest.fixture
def calls(stream):
    return Calls(Doubles(), Metrics(), Log("json", stream))


CALL = Call("GRPC", "Predict", "an-id")


def spec(name):
    return model_pb2.ModelSpec(name=name)


def answer(name):
    def run(manager):
        with manager.handle(spec(name)) as handle:
            return handle.servable.run({"x": 2}, ["x"])

    return run


def last(stream):
    return json.loads(stream.getvalue().splitlines()[-1])


def test_an_answer(calls, stream):
    assert calls.run(CALL, spec("m"), answer("m")) == [4]
    found = last(stream)
    assert found["version"] == 3 and found["code"] == "OK"
    page = calls.metrics.page().decode()
    assert 'request_count{model_name="m",status="OK"} 1' in page
    labels = 'model_name="m",API="Predict",runtime="TF1"'
    assert f"runtime_latency_count{{{labels}}} 1" in page


def test_what_counts_as_a_request(calls):
    """As there: in REST by the URL's word, in gRPC what runs a model."""
    for call in (
        Call("REST", "Predict", ""),
        Call("REST", "GetModelStatus", ""),
        Call("GRPC", "GetModelStatus", ""),
        Call("GRPC", "Classify", ""),
    ):
        calls.run(call, spec("m"), answer("m"))
    page = calls.metrics.page().decode()
    assert 'request_count{model_name="m",status="OK"} 3' in page
    for api, entrypoint in (
        ("predict", "REST"),
        ("GetModelStatus", "REST"),
        ("Classify", "GRPC"),
    ):
        labels = f'model_name="m",API="{api}",entrypoint="{entrypoint}"'
        assert f"request_latency_count{{{labels}}} 1" in page
    assert 'API="GetModelStatus",entrypoint="GRPC"' not in page


def test_an_error_of_the_client(calls, stream):
    with pytest.raises(status.ServingError, match="no n"):
        calls.run(CALL, spec("n"), answer("n"))
    assert last(stream)["code"] == "NOT_FOUND"
    page = calls.metrics.page().decode()
    assert 'request_count{model_name="",status="NOT_FOUND"} 1' in page


def test_a_bug_of_ours(calls, stream):
    def broken(manager):
        raise KeyError("secret path")

    with pytest.raises(status.ServingError) as error:
        calls.run(CALL, spec("m"), broken)
    assert error.value.code.name == "INTERNAL"
    assert error.value.text == (
        "Internal error; the server's log has it as id=an-id"
    )
    found = last(stream)
    assert found["level"] == "error" and "KeyError" in found["error"]
    assert 'status="INTERNAL"' in calls.metrics.page().decode()


def test_requests_need_not_be_logged(stream):
    calls = Calls(Doubles(), Metrics(), Log("json", stream), False)
    calls.run(CALL, spec("m"), answer("m"))
    assert not stream.getvalue()
    with pytest.raises(status.ServingError):
        calls.run(CALL, spec("m"), lambda manager: 1 / 0)
    assert "ZeroDivisionError" in stream.getvalue()
