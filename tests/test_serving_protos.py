"""serving.protos: the messages that the official wheel lacks."""

import importlib
import pathlib
import re

import pytest
from google.protobuf import text_format

from serving.protos import (
    monitoring_config_pb2,
    profiler_service_pb2,
    session_bundle_config_pb2,
    ssl_config_pb2,
)

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "serving" / "protos"
NAMES = [
    "monitoring_config",
    "profiler_service",
    "session_bundle_config",
    "ssl_config",
]


def stated(text):
    """Message -> {field: (number, type)} as the .proto file states it."""
    text = re.sub(r"//.*", "", text)
    field = r"(?:repeated )?([\w.]+) (\w+) = (\d+);"
    return {
        message: {
            name: (int(number), kind.split(".")[-1])
            for kind, name, number in re.findall(field, body)
        }
        for message, body in re.findall(r"message (\w+) \{(.*?)\}", text, re.S)
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_modules_are_what_the_files_say(name):
    module = importlib.import_module(f"serving.protos.{name}_pb2")
    text = (FOLDER / f"{name}.proto").read_text()
    messages = module.DESCRIPTOR.message_types_by_name
    kinds = {9: "string", 8: "bool", 5: "int32", 4: "uint64", 3: "int64"}
    found = {
        message: {
            field.name: (
                field.number,
                kinds.get(field.type) or field.message_type.name,
            )
            for field in descriptor.fields
        }
        for message, descriptor in messages.items()
    }
    assert found == stated(text) and found
    assert module.DESCRIPTOR.package == re.search(r"package ([\w.]+);", text)[1]


def test_a_batching_file_of_tensorflow_serving():
    # As in tensorflow/serving's batching/README.md.
    text = """
      max_batch_size { value: 128 }
      batch_timeout_micros { value: 0 }
      max_enqueued_batches { value: 1000000 }
      num_batch_threads { value: 8 }
      thread_pool_name { value: "pool" }
      allowed_batch_sizes: 32
      allowed_batch_sizes: 128
      pad_variable_length_inputs: true
    """
    found = text_format.Parse(
        text, session_bundle_config_pb2.BatchingParameters()
    )
    assert found.max_batch_size.value == 128
    assert found.HasField("batch_timeout_micros")
    assert found.batch_timeout_micros.value == 0
    assert list(found.allowed_batch_sizes) == [32, 128]
    # Number 1, a message of one varint field 1: bytes that any reader knows.
    only = session_bundle_config_pb2.BatchingParameters()
    only.max_batch_size.value = 128
    assert only.SerializeToString() == b"\x0a\x03\x08\x80\x01"


def test_a_monitoring_file_of_tensorflow_serving():
    text = 'prometheus_config { enable: true, path: "/metrics" }'
    found = text_format.Parse(text, monitoring_config_pb2.MonitoringConfig())
    assert found.prometheus_config.enable
    assert found.prometheus_config.path == "/metrics"


def test_an_ssl_file_of_tensorflow_serving():
    text = r"""
      server_key: "-----BEGIN PRIVATE KEY-----\nMC4C\n"
      server_cert: "-----BEGIN CERTIFICATE-----\n"
      client_verify: true
    """
    found = text_format.Parse(text, ssl_config_pb2.SSLConfig())
    assert found.server_key.splitlines()[1] == "MC4C"
    assert found.client_verify and found.custom_ca == ""
    assert found.SerializeToString().endswith(b"\x20\x01")


def test_a_request_of_tensorflows_profiler():
    # Tags of profiler_service.pb.h in TensorFlow's wheel: opts 4 (its
    # duration 9), repository_root 5, session_id 6, host_name 7.
    found = profiler_service_pb2.ProfileRequest.FromString(
        b"\x22\x03\x48\xf4\x03\x2a\x02/r\x32\x01s\x3a\x01h"
    )
    assert found.opts.duration_ms == 500
    names = (found.repository_root, found.session_id, found.host_name)
    assert names == ("/r", "s", "h")


def test_an_unknown_field_is_refused():
    with pytest.raises(text_format.ParseError, match="max_batch"):
        text_format.Parse(
            "max_batch { value: 1 }",
            session_bundle_config_pb2.BatchingParameters(),
        )
