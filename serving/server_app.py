"""The server as one object: models, gRPC, REST, and its start and stop.

In: settings. Out: open ports once every configured model has a version that
serves. A stop ends in this order: no new requests, those under way finish or
are cut off after a grace time, models are unloaded.
"""

import logging
import pathlib
import resource
import threading
import time
from typing import TYPE_CHECKING

from histogan_tf.errors import InputError
from serving import batch_parameters, polling, ports, status, tls, warmup
from serving.batching import Batcher, BatchRecord
from serving.calls import Calls
from serving.grpc_server import GrpcServer
from serving.http_server import HttpServer
from serving.loading import WarmUp, Wrap, cold, unwrapped
from serving.logs import Bridge, Log
from serving.manager import ModelManager
from serving.methods import Methods
from serving.metrics import Metrics
from serving.protos import ssl_config_pb2
from serving.rest import RestApi, RestSettings
from serving.server_settings import ServerSettings

if TYPE_CHECKING:
    from serving.servable import Servable

_FILES = 512  # for models and logs, beside connections
_CLOSING = 10.0  # seconds for unloading when requests do not end
_SOURCE = logging.getLogger("serving")


class ModelServer:
    """Made once, started once, stopped once."""

    def __init__(self, settings: ServerSettings, log: Log):
        """Reads and checks all files but the models.

        Raises:
          InputError: names the file and what is wrong with it.
        """
        self.metrics, self._settings, self._log = Metrics(), settings, log
        self._config = settings.models()
        self._metrics_path = settings.metrics_path()
        self._ssl: ssl_config_pb2.SSLConfig | None = None
        if settings.ssl_config_file:
            self._ssl = tls.read(settings.ssl_config_file)
        settings.channel_arguments()
        self._batcher = self._make_batcher()
        wrap: Wrap = self._batcher.wrap if self._batcher else unwrapped
        warm_up: WarmUp = cold
        if settings.enable_model_warmup:
            warm_up = self._warm_up
        self.manager = ModelManager(settings.manager(), wrap, warm_up)
        self._bridge = Bridge(log)
        self._grpc: GrpcServer | None = None
        self._http: HttpServer | None = None
        self._watcher: polling.Periodic | None = None
        self._stopping = threading.Lock()
        self._stopped = False

    def _make_batcher(self) -> Batcher | None:
        settings = self._settings
        if not settings.enable_batching:
            return None
        common = batch_parameters.BatchParameters()
        if settings.batching_parameters_file:
            common = batch_parameters.read(settings.batching_parameters_file)

        def observe(record: BatchRecord) -> None:
            self.metrics.batch(record, common.thread_pool_name)

        return Batcher(
            common,
            settings.enable_per_model_batching_parameters,
            settings.request_limits(),
            observe,
        )

    def _warm_up(self, servable: "Servable", path: pathlib.Path) -> None:
        start, code = time.monotonic(), "OK"
        try:
            again = self._settings.num_request_iterations_for_warmup
            for _ in range(max(1, again)):
                warmup.warm_up(servable, path)
        except status.ServingError as error:
            code = error.code.name
            raise
        finally:
            taken = time.monotonic() - start
            self.metrics.warmup(str(path), code, taken)

    def start(self) -> None:
        """Loads the models, then opens the ports, which must be free now.

        Waits without end for a model without a version; `stop` ends that.

        Raises:
          InputError: a config is refused, a model cannot be loaded, or a
            port is taken.
        """
        ports.check_free(self._settings)
        _SOURCE.addHandler(self._bridge)
        _SOURCE.setLevel(logging.INFO)
        _SOURCE.propagate = False
        try:
            self.manager.start(self._config)
        except status.ServingError as error:
            raise InputError(error.message) from error
        if self._settings.model_config_file_poll_wait_seconds:
            self._watcher = polling.watch_config(
                self._settings.model_config_file,
                self.manager.reload,
                self._settings.model_config_file_poll_wait_seconds,
            )
        self._open_ports()

    def _open_ports(self) -> None:
        settings = self._settings
        # As many clients may come by gRPC, whether there is REST or not.
        _allow_files(2 * settings.max_connections + _FILES)
        methods = Methods(
            settings.request_limits(),
            self.metrics,
            settings.enable_serialization_as_tensor_content,
            settings.enable_signature_method_name_check,
        )
        calls = Calls(
            self.manager, self.metrics, self._log, settings.log_requests
        )
        with self._stopping:
            if self._stopped:
                return
            self._grpc = GrpcServer(calls, methods, settings, self._ssl)
            if settings.rest_api_port:
                self._open_http(calls, methods)
            # Both are bound: from here on nothing can fail.
            self._grpc.start()
        if settings.port:
            address = settings.address(settings.port)
            self._log.info(f"Running gRPC ModelServer at {address} ...")

    def _open_http(self, calls: Calls, methods: Methods) -> None:
        settings = self._settings
        handler = RestApi(
            calls,
            methods,
            RestSettings(
                settings.rest_api_timeout_in_ms / 1000 or None,
                settings.rest_api_enable_cors_support,
                self._metrics_path,
            ),
        )
        context = tls.http_context(self._ssl) if self._ssl else None
        self._http = HttpServer(handler, settings.http_limits(), context)
        address = settings.address(settings.rest_api_port)
        try:
            self._http.start(settings.host, settings.rest_api_port)
        except OSError as error:
            raise ports.refused("rest_api_port", address, error) from error
        self._log.info(f"Exporting HTTP/REST API at:{address} ...")

    def stop(self) -> bool:
        """Stops; returns whether all requests ended and models are unloaded.

        May be called while `start` waits, which then raises.
        """
        with self._stopping:
            if self._stopped:
                return True
            self._stopped = True
        grace = self._settings.grace_seconds
        stops = [
            threading.Thread(target=part.stop, args=(grace,))
            for part in (self._grpc, self._http)
            if part
        ]
        for thread in stops:
            thread.start()
        for thread in stops:
            thread.join()
        closing = threading.Thread(target=self._close, daemon=True)
        closing.start()
        # A run that does not end keeps its model; do not wait for ever.
        closing.join(_CLOSING)
        _SOURCE.removeHandler(self._bridge)
        return not closing.is_alive()

    def _close(self) -> None:
        self.manager.close()
        if self._watcher:
            self._watcher.stop()
        if self._batcher:
            self._batcher.close()


def _allow_files(count: int) -> None:
    """Raises the soft limit of open files as far as is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
