"""The server's flags: TensorFlow Serving's names, meanings and defaults.

In: the command line. Out: ServerSettings. Flags of ours alone are marked so.
Some of TensorFlow Serving's are taken and have no effect, so that one command
line runs both servers; what cannot be ignored is no flag here: TPUs,
TensorFlow Lite, ALTS, platform config files.
"""

import dataclasses
from typing import TYPE_CHECKING

from absl import flags

if TYPE_CHECKING:
    from serving.server_settings import ServerSettings

_PORT = (0, 65535)

# Addresses.
flags.DEFINE_string(
    "host", "127.0.0.1", "(ours) address to listen on; the real one: all"
)
flags.DEFINE_integer("port", 8500, "gRPC port; 0: socket only", *_PORT)
flags.DEFINE_string("grpc_socket_path", "", "UNIX socket for gRPC")
flags.DEFINE_integer("rest_api_port", 0, "HTTP/REST port; 0: none", *_PORT)
flags.DEFINE_string("ssl_config_file", "", "text SSLConfig; REST too (ours)")

# Models.
flags.DEFINE_string("model_name", "default", "name of the only model")
flags.DEFINE_string("model_base_path", "", "its folder of versions")
flags.DEFINE_string(
    "model_config_file",
    "",
    "text ModelServerConfig; then the former two count for nothing",
)
flags.DEFINE_integer(
    "model_config_file_poll_wait_seconds", 0, "0: it is read once", 0
)
flags.DEFINE_float(
    "file_system_poll_wait_seconds", 1, "for new versions; 0: at start only", 0
)
flags.DEFINE_integer("max_num_load_retries", 5, "after the first failure", 0)
flags.DEFINE_integer(
    "load_retry_interval_micros", 60_000_000, "below 0: no wait"
)
flags.DEFINE_integer("num_load_threads", 0, "0: one load at a time", 0)
flags.DEFINE_string("saved_model_tags", "serve", "of the graph, with commas")
flags.DEFINE_bool(
    "allow_version_labels_for_unavailable_models",
    False,
    "new labels may name versions that are not loaded yet",
)
flags.DEFINE_bool("enable_model_warmup", True, "replay warm-up records")
flags.DEFINE_integer(
    "num_request_iterations_for_warmup", 0, "times of each record, if > 0", 0
)

# Running them.
flags.DEFINE_bool("enable_batching", False, "join concurrent requests")
flags.DEFINE_string("batching_parameters_file", "", "text BatchingParameters")
flags.DEFINE_bool(
    "enable_per_model_batching_parameters",
    False,
    "read batching_params.pbtxt of each version instead",
)
for _name in ("session", "intra_op", "inter_op"):
    flags.DEFINE_integer(
        f"tensorflow_{_name}_parallelism", 0, "threads; 0: by cores", 0
    )
flags.DEFINE_bool(
    "enable_serialization_as_tensor_content", False, "of Predict's answers"
)
flags.DEFINE_bool(
    "enable_signature_method_name_check", False, "as TF1 models have them"
)

# Requests.
flags.DEFINE_integer("grpc_max_threads", None, "default: 4 a core", 1)
flags.DEFINE_string(
    "grpc_channel_arguments", "", "for the server: name=value,..."
)
flags.DEFINE_integer("rest_api_num_threads", None, "default: 4 a core", 1)
flags.DEFINE_integer(
    "rest_api_timeout_in_ms", 30_000, "of a model's run; 0: none", 0
)
flags.DEFINE_bool("rest_api_enable_cors_support", False, "CORS headers")
flags.DEFINE_integer(
    "max_concurrent_requests",
    256,
    "(ours) gRPC calls at work; as many may wait for their messages",
    1,
)
flags.DEFINE_integer(
    "max_connections", 4096, "(ours) REST connections; idle ones give way", 1
)
flags.DEFINE_integer(
    "max_request_bytes", 2**28, "(ours) of one request", 1, 2**31 - 1
)
flags.DEFINE_integer(
    "max_decoded_pixels", 2**26, "(ours) of a request's images", 1
)
flags.DEFINE_integer(
    "max_tensor_elements", 2**26, "(ours) of one input tensor", 1
)

# Watching it.
flags.DEFINE_bool("enable_grpc_healthcheck_service", False, "grpc.health.v1")
flags.DEFINE_bool(
    "enable_profiler",
    True,
    "ProfilerService: clients have traces written, to paths that they say",
)
flags.DEFINE_string("monitoring_config_file", "", "text MonitoringConfig")
flags.DEFINE_enum("log_format", "text", ["text", "json"], "(ours) on stderr")
flags.DEFINE_bool("log_requests", True, "(ours) a line for each request")
flags.DEFINE_float(
    "grace_seconds", 30, "(ours) for requests under way at a stop", 0
)
flags.DEFINE_bool("version", False, "print versions and exit")

# Taken for the real one's sake.
for _name in (
    "flush_filesystem_caches",
    "remove_unused_fields_from_bundle_metagraph",
):
    flags.DEFINE_bool(_name, True, "no effect here")
flags.DEFINE_integer("num_unload_threads", 0, "no effect here", 0)
flags.DEFINE_float("per_process_gpu_memory_fraction", 0, "no effect here", 0, 1)


def settings() -> "ServerSettings":
    """What the parsed flags say.

    Raises:
      InputError: they do not go together.
    """
    from serving.server_settings import ServerSettings

    values = {
        field.name: flags.FLAGS[field.name].value
        for field in dataclasses.fields(ServerSettings)
    }
    given = {name: v for name, v in values.items() if v is not None}
    return ServerSettings(**given)
