"""The gRPC port: services, message sizes, threads, sockets.

In: calls and settings. Out: a server that is started and stopped. Ports are
never shared with another process (SO_REUSEPORT), which would split the
requests between an old and a new server without a word.
"""

import logging
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health_pb2_grpc
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from histogan_tf.errors import InputError
from serving import tls
from serving.calls import Calls
from serving.grpc_gate import Gate
from serving.grpc_services import ModelService, PredictionService
from serving.health import HealthServicer
from serving.loop_thread import LoopThread
from serving.methods import Methods
from serving.profiler import ProfilerServicer
from serving.protos import ssl_config_pb2
from serving.server_settings import ServerSettings

# Connections without calls, milliseconds; clients open new ones by themselves.
_IDLE = 10 * 60_000
_HANDSHAKE = 10_000


class GrpcServer:
    """PredictionService, ModelService; by settings profiler and health."""

    def __init__(
        self,
        calls: Calls,
        methods: Methods,
        settings: ServerSettings,
        ssl_config: ssl_config_pb2.SSLConfig | None,
    ):
        """Binds the port; takes requests from `start` on.

        Raises:
          InputError: the address is taken or not ours.
        """
        # It logs a traceback for every message that does not parse.
        logging.getLogger("grpc").setLevel(logging.CRITICAL)
        self._pool = ThreadPoolExecutor(settings.grpc_max_threads, "grpc")
        self._thread = LoopThread("grpc")
        self._thread.start()
        self._health: HealthServicer | None = None
        if settings.enable_grpc_healthcheck_service:
            self._health = HealthServicer()
        try:
            self._server = self._thread.run(
                self._make(calls, methods, settings, ssl_config)
            )
        except InputError:
            self._thread.close()
            raise

    async def _make(
        self,
        calls: Calls,
        methods: Methods,
        settings: ServerSettings,
        ssl_config: ssl_config_pb2.SSLConfig | None,
    ) -> grpc.aio.Server:
        """On the loop, to which a server is bound by its making."""
        server = grpc.aio.server(
            interceptors=[Gate(self._pool, settings.gate_limits())],
            options=_options(settings),
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            PredictionService(calls, methods), server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(
            ModelService(calls), server
        )
        if self._health:
            health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        if settings.enable_profiler:
            profiler = ProfilerServicer(calls.log)
            server.add_generic_rpc_handlers((profiler.handlers(),))
        _bind(server, settings, ssl_config)
        return server

    def start(self) -> None:
        """Takes requests from now on."""
        self._thread.run(self._server.start())

    def stop(self, grace: float) -> None:
        """No new requests; those at work may end within `grace` seconds."""
        self._thread.run(self._stop(grace))
        self._thread.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _stop(self, grace: float) -> None:
        if self._health:
            self._health.stop()
        await self._server.stop(grace)


def _options(settings: ServerSettings) -> list[tuple[str, str | int]]:
    return [
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", settings.max_request_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_connection_idle_ms", _IDLE),
        ("grpc.server_handshake_timeout_ms", _HANDSHAKE),
        *settings.channel_arguments(),
    ]


def _bind(
    server: grpc.aio.Server,
    settings: ServerSettings,
    ssl_config: ssl_config_pb2.SSLConfig | None,
) -> None:
    addresses = []
    if settings.port:
        addresses.append(settings.address(settings.port))
    if settings.grpc_socket_path:
        addresses.append(f"unix:{settings.grpc_socket_path}")
    for address in addresses:
        try:
            if ssl_config:
                server.add_secure_port(
                    address, tls.grpc_credentials(ssl_config)
                )
            else:
                server.add_insecure_port(address)
        except RuntimeError as error:
            raise InputError(
                f"--port, --host: cannot listen on {address}: taken, or"
                " not an address of this machine"
            ) from error
