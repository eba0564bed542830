"""serving.health: what probes and load balancers ask."""

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.health import HealthServicer
from serving.loop_thread import LoopThread

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Probe:
    """A server of health alone, and a stub that asks it."""

    def __init__(self):
        self.thread = LoopThread("health")
        self.thread.start()
        self.servicer = HealthServicer()
        self.server, port = self.thread.run(self.open())
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.stub = health_pb2_grpc.HealthStub(self.channel)

    async def open(self):
        server = grpc.aio.server()
        health_pb2_grpc.add_HealthServicer_to_server(self.servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server, port

    def stop(self):
        self.thread.loop.call_soon_threadsafe(self.servicer.stop)


@pytest.fixture
def probe():
    found = Probe()
    yield found
    found.channel.close()
    found.thread.run(found.server.stop(None))
    found.thread.close()


def ask(stub, name):
    request = health_pb2.HealthCheckRequest(service=name)
    return stub.Check(request, timeout=10).status


@pytest.mark.parametrize("name", ["", "ModelService", "PredictionService"])
def test_names_of_tensorflow_serving(probe, name):
    assert ask(probe.stub, name) == SERVING
    probe.stop()
    assert ask(probe.stub, name) == NOT_SERVING


def test_other_names(probe):
    with pytest.raises(grpc.RpcError) as error:
        ask(probe.stub, "tensorflow.serving.PredictionService")
    assert error.value.code().name == "NOT_FOUND"


def test_watchers_are_told_and_left(probe):
    names = ["ModelService"] * 3 + ["none"]
    watches = [
        probe.stub.Watch(
            health_pb2.HealthCheckRequest(service=name), timeout=20
        )
        for name in names
    ]
    unknown = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    first = [next(watch).status for watch in watches]
    assert first == [SERVING] * 3 + [unknown]
    watches.pop(0).cancel()
    assert ask(probe.stub, "") == SERVING
    probe.stop()
    rest = [[answer.status for answer in watch] for watch in watches]
    assert rest == [[NOT_SERVING], [NOT_SERVING], []]
