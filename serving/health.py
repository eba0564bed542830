"""grpc.health.v1: whether the server takes requests.

In: start and stop of the server. Out: a servicer that tells SERVING for "",
"ModelService" and "PredictionService" (unqualified, as TensorFlow Serving
names them), NOT_SERVING once the server stops, and NOT_FOUND for others.
Nothing here needs a thread, so probes are answered when all are at work.
"""

import asyncio
from collections.abc import AsyncIterator

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

SERVICES = ("", "ModelService", "PredictionService")
_Answer = health_pb2.HealthCheckResponse


class HealthServicer(health_pb2_grpc.HealthServicer):
    """All services are serving, until `stop`; for one event loop."""

    def __init__(self):
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """From now on none is serving; those who watch are told and left."""
        self._stopping.set()

    async def Check(  # noqa: N802
        self,
        request: health_pb2.HealthCheckRequest,
        context: grpc.aio.ServicerContext,
    ) -> health_pb2.HealthCheckResponse:
        """The state of a service; NOT_FOUND when there is none."""
        if request.service not in SERVICES:
            await context.abort(grpc.StatusCode.NOT_FOUND)
        stopping = self._stopping.is_set()
        return _Answer(
            status=_Answer.NOT_SERVING if stopping else _Answer.SERVING
        )

    async def Watch(  # noqa: N802
        self,
        request: health_pb2.HealthCheckRequest,
        context: grpc.aio.ServicerContext,
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """The state of a service now, and when it changes."""
        if request.service not in SERVICES:
            yield _Answer(status=_Answer.SERVICE_UNKNOWN)
            await self._stopping.wait()
            return
        if not self._stopping.is_set():
            yield _Answer(status=_Answer.SERVING)
        await self._stopping.wait()
        yield _Answer(status=_Answer.NOT_SERVING)
