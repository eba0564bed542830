"""All settings of the server, by the names of TensorFlow Serving's flags.

In: values of flags. Out: a frozen ServerSettings, checked, and the parts that
modules take: limits, models, batching, channel arguments. Texts for
combinations that TensorFlow Serving refuses are its own.
"""

import os
from dataclasses import dataclass

from google.protobuf import text_format

from histogan_tf.errors import InputError
from serving import model_config
from serving.grpc_gate import GateLimits
from serving.http_limits import HttpLimits
from serving.limits import RequestLimits
from serving.metrics import DEFAULT_PATH
from serving.protos import monitoring_config_pb2
from serving.servable import Threads
from serving.settings import ManagerSettings

_CORES = os.cpu_count() or 1
# A gRPC message may take so many seconds, and one more for each so many bytes
# of the largest that is allowed; how long it is, is seen when it is there.
_MESSAGE, _RATE = 10.0, 2**20
# Requests of the largest size that a port may hold at once.
_LARGEST = 4


@dataclass(frozen=True)
class ServerSettings:
    """Settings of one server; `server_flags` explains each.

    Raises:
      InputError: a value out of its range, or values that do not go together.
    """

    host: str = "127.0.0.1"
    port: int = 8500
    grpc_socket_path: str = ""
    grpc_channel_arguments: str = ""
    grpc_max_threads: int = 4 * _CORES
    max_concurrent_requests: int = 256
    rest_api_port: int = 0
    rest_api_num_threads: int = 4 * _CORES
    rest_api_timeout_in_ms: int = 30_000
    rest_api_enable_cors_support: bool = False
    max_connections: int = 4096
    model_name: str = "default"
    model_base_path: str = ""
    model_config_file: str = ""
    model_config_file_poll_wait_seconds: int = 0
    file_system_poll_wait_seconds: float = 1
    max_num_load_retries: int = 5
    load_retry_interval_micros: int = 60_000_000
    num_load_threads: int = 0
    saved_model_tags: str = "serve"
    allow_version_labels_for_unavailable_models: bool = False
    enable_model_warmup: bool = True
    num_request_iterations_for_warmup: int = 0
    enable_batching: bool = False
    batching_parameters_file: str = ""
    enable_per_model_batching_parameters: bool = False
    tensorflow_session_parallelism: int = 0
    tensorflow_intra_op_parallelism: int = 0
    tensorflow_inter_op_parallelism: int = 0
    enable_serialization_as_tensor_content: bool = False
    enable_signature_method_name_check: bool = False
    enable_grpc_healthcheck_service: bool = False
    enable_profiler: bool = True
    monitoring_config_file: str = ""
    ssl_config_file: str = ""
    max_request_bytes: int = 2**28
    max_decoded_pixels: int = 2**26
    max_tensor_elements: int = 2**26
    log_format: str = "text"
    log_requests: bool = True
    grace_seconds: float = 30.0

    def __post_init__(self):
        if not self.model_base_path and not self.model_config_file:
            raise InputError(
                "Both server_options.model_base_path and"
                " server_options.model_config_file are empty!"
            )
        if self.batching_parameters_file and not self.enable_batching:
            raise InputError(
                "server_options.batching_parameters_file is set without"
                " setting server_options.enable_batching to true."
            )
        if not self.port and not self.grpc_socket_path:
            raise InputError("server_options.grpc_port is not set.")
        if self.rest_api_port and self.rest_api_port == self.port:
            raise InputError(
                f"--rest_api_port {self.rest_api_port}: must be different"
                " from --port"
            )
        apart = (
            self.tensorflow_intra_op_parallelism
            or self.tensorflow_inter_op_parallelism
        )
        if apart and self.tensorflow_session_parallelism:
            raise InputError(
                "Either configure server_options.tensorflow_session_parallelism"
                " or (server_options.tensorflow_intra_op_parallelism,"
                " server_options.tensorflow_inter_op_parallelism) separately."
                " You cannot configure all."
            )

    def address(self, port: int) -> str:
        """Host and port as gRPC and people write them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{port}"

    def manager(self) -> ManagerSettings:
        """Of the model manager."""
        both = self.tensorflow_session_parallelism
        return ManagerSettings(
            file_system_poll_wait_seconds=self.file_system_poll_wait_seconds,
            max_num_load_retries=self.max_num_load_retries,
            load_retry_interval_micros=self.load_retry_interval_micros,
            num_load_threads=self.num_load_threads,
            allow_version_labels_for_unavailable_models=(
                self.allow_version_labels_for_unavailable_models
            ),
            saved_model_tags=tuple(self.saved_model_tags.split(",")),
            threads=Threads(
                inter_op=both or self.tensorflow_inter_op_parallelism,
                intra_op=both or self.tensorflow_intra_op_parallelism,
            ),
        )

    def request_limits(self) -> RequestLimits:
        """Of every request."""
        return RequestLimits(
            message_bytes=self.max_request_bytes,
            tensor_elements=self.max_tensor_elements,
            decoded_pixels=self.max_decoded_pixels,
        )

    def gate_limits(self) -> GateLimits:
        """Of the gRPC port."""
        return GateLimits(
            waiting=self.max_concurrent_requests,
            running=self.max_concurrent_requests,
            seconds=_MESSAGE + self.max_request_bytes / _RATE,
            held_bytes=_LARGEST * self.max_request_bytes,
        )

    def http_limits(self) -> HttpLimits:
        """Of the REST port."""
        return HttpLimits(
            body_bytes=self.max_request_bytes,
            held_bytes=_LARGEST * self.max_request_bytes,
            connections=self.max_connections,
            threads=self.rest_api_num_threads,
        )

    def models(self) -> model_config.ModelServerConfig:
        """The models to serve first.

        Raises:
          InputError: the file cannot be read or parsed.
        """
        if self.model_config_file:
            return model_config.read(self.model_config_file)
        return model_config.single(self.model_name, self.model_base_path)

    def metrics_path(self) -> str | None:
        """Where Prometheus reads; None: nowhere.

        Raises:
          InputError: the file cannot be read or parsed.
        """
        path = self.monitoring_config_file
        if not path:
            return None
        try:
            with open(path, encoding="utf-8") as file:
                config = text_format.Parse(
                    file.read(), monitoring_config_pb2.MonitoringConfig()
                )
        except (text_format.ParseError, UnicodeDecodeError) as error:
            raise InputError(
                f"{path}: Invalid protobuf file: {error}; a MonitoringConfig"
                " is needed"
            ) from error
        prometheus = config.prometheus_config
        if not prometheus.enable:
            return None
        return prometheus.path or DEFAULT_PATH

    def channel_arguments(self) -> list[tuple[str, str | int]]:
        """Those of --grpc_channel_arguments: `name=value,...`.

        Raises:
          InputError: an entry of another form.
        """
        found: list[tuple[str, str | int]] = []
        for entry in filter(None, self.grpc_channel_arguments.split(",")):
            name, mark, value = entry.partition("=")
            if not name or not mark:
                raise InputError(
                    f"--grpc_channel_arguments {entry!r}: write name=value"
                )
            number = value.removeprefix("-")
            whole = number.isascii() and number.isdigit()
            found.append((name, int(value) if whole else value))
        return found
