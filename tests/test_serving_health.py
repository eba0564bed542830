"""serving.health: what probes and load balancers ask."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.health import make_servicer

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def probe():
    """The servicer, and a stub that asks it."""
    server = grpc.server(ThreadPoolExecutor(1))
    servicer = make_servicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield servicer, health_pb2_grpc.HealthStub(channel)
    server.stop(None).wait()


def ask(stub, name):
    request = health_pb2.HealthCheckRequest(service=name)
    return stub.Check(request, timeout=10).status


@pytest.mark.parametrize("name", ["", "ModelService", "PredictionService"])
def test_names_of_tensorflow_serving(probe, name):
    servicer, stub = probe
    assert ask(stub, name) == SERVING
    servicer.enter_graceful_shutdown()
    assert ask(stub, name) == NOT_SERVING


def test_other_names(probe):
    with pytest.raises(grpc.RpcError) as error:
        ask(probe[1], "tensorflow.serving.PredictionService")
    assert error.value.code().name == "NOT_FOUND"


def test_watchers_are_told_and_hold_no_thread(probe):
    servicer, stub = probe
    request = health_pb2.HealthCheckRequest(service="ModelService")
    watches = [stub.Watch(request, timeout=20) for _ in range(3)]
    assert [next(watch).status for watch in watches] == [SERVING] * 3
    assert ask(stub, "") == SERVING  # the only thread is free
    servicer.enter_graceful_shutdown()
    assert [next(watch).status for watch in watches] == [NOT_SERVING] * 3
    for watch in watches:
        watch.cancel()
