"""The gRPC port: services, message sizes, threads, sockets.

In: calls and settings. Out: a server that is started and stopped. Ports are
never shared with another process (SO_REUSEPORT), which would split the
requests between an old and a new server without a word.
"""

import logging
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from histogan_tf.errors import InputError
from serving import tls
from serving.calls import Calls
from serving.grpc_services import ModelService, PredictionService
from serving.health import make_servicer
from serving.methods import Methods
from serving.protos import ssl_config_pb2
from serving.server_settings import ServerSettings


class GrpcServer:
    """PredictionService, ModelService and, if asked for, health."""

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
        self._server = grpc.server(
            self._pool,
            options=[
                ("grpc.so_reuseport", 0),
                (
                    "grpc.max_receive_message_length",
                    settings.max_request_bytes,
                ),
                ("grpc.max_send_message_length", -1),
                *settings.channel_arguments(),
            ],
            maximum_concurrent_rpcs=settings.max_concurrent_requests,
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            PredictionService(calls, methods), self._server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(
            ModelService(calls), self._server
        )
        self._health: health.HealthServicer | None = None
        if settings.enable_grpc_healthcheck_service:
            self._health = make_servicer()
            health_pb2_grpc.add_HealthServicer_to_server(
                self._health, self._server
            )
        self._bind(settings, ssl_config)

    def _bind(
        self,
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
                    self._server.add_secure_port(
                        address, tls.grpc_credentials(ssl_config)
                    )
                else:
                    self._server.add_insecure_port(address)
            except RuntimeError as error:
                raise InputError(
                    f"--port, --host: cannot listen on {address}: taken, or"
                    " not an address of this machine"
                ) from error

    def start(self) -> None:
        """Takes requests from now on."""
        self._server.start()

    def stop(self, grace: float) -> None:
        """No new requests; those at work may end within `grace` seconds."""
        if self._health:
            self._health.enter_graceful_shutdown()
        self._server.stop(grace).wait()
        self._pool.shutdown(wait=False, cancel_futures=True)
