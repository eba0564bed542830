"""A whole server in the test's process, and ways to talk to it."""

import contextlib
import http.client
import io
import json
import os
import socket
import time

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.lifecycle import State
from serving.logs import Log
from serving.server_app import ModelServer
from serving.server_settings import ServerSettings


def free_port():
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Running:
    """A started server with its stubs."""

    def __init__(self, settings):
        self.settings, self.lines = settings, io.StringIO()
        self.server = ModelServer(settings, Log("json", self.lines))
        self.server.start()
        self._settle()
        self.channel = grpc.insecure_channel(
            f"127.0.0.1:{settings.port}",
            [
                ("grpc.max_send_message_length", -1),
                ("grpc.max_receive_message_length", -1),
            ],
        )
        self.predictions = prediction_service_pb2_grpc.PredictionServiceStub(
            self.channel
        )
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def _settle(self):
        """Ports open with a model's first version; others may follow."""
        deadline = time.monotonic() + 60
        for model in self.settings.models().model_config_list.config:
            spec = model_pb2.ModelSpec(name=model.name)
            while time.monotonic() < deadline:
                rows = self.server.manager.status(spec).model_version_status
                if all(row.state >= State.AVAILABLE for row in rows):
                    break
                time.sleep(0.05)

    def close(self):
        self.channel.close()
        assert self.server.stop()

    def log(self):
        """All lines so far."""
        return [json.loads(row) for row in self.lines.getvalue().splitlines()]

    def http(self, method, path, body=None, headers=None, timeout=30):
        """(status, headers, body) of one request over REST."""
        port = self.settings.rest_api_port
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        try:
            link.request(method, path, body, headers or {})
            answer = link.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            link.close()

    def json(self, path, value=None, timeout=30):
        """(status, parsed JSON): GET without a value, else POST."""
        body = value if value is None else json.dumps(value)
        method = "GET" if value is None else "POST"
        code, _, text = self.http(method, path, body, timeout=timeout)
        return code, json.loads(text)


@contextlib.contextmanager
def running(**values):
    """Starts a server on free ports; values are settings."""
    ports = {"port": free_port(), "rest_api_port": free_port()}
    quick = {"file_system_poll_wait_seconds": 0.2, "max_num_load_retries": 0}
    found = Running(ServerSettings(**(ports | quick | values)))
    try:
        yield found
    finally:
        found.close()


def tensor(value, dtype=np.float32):
    """A TensorProto of numbers, or of bytes."""
    return tf.make_tensor_proto(value, None if dtype is bytes else dtype)


def predict_request(model="m", inputs=None, **spec):
    """A PredictRequest; `version`, `version_label`, `signature_name`."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    version = spec.pop("version", None)
    if version is not None:
        request.model_spec.version.value = version
    for name, value in spec.items():
        setattr(request.model_spec, name, value)
    for name, value in (inputs or {}).items():
        proto = value
        if not isinstance(value, tensor_pb2.TensorProto):
            proto = tensor(value)
        request.inputs[name].CopyFrom(proto)
    return request


def error_of(call, *args, **kwargs):
    """(code's name, text) of a gRPC call that must fail."""
    try:
        answer = call(*args, timeout=kwargs.pop("timeout", 30), **kwargs)
    except grpc.RpcError as error:
        return error.code().name, error.details()
    raise AssertionError(f"no error but {answer}")


def resident():
    """Bytes of this process's memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def undisturbed(server):
    """Afterwards, model `m` answers, memory is as it was, no bug is logged."""
    before = resident()
    yield
    start = time.monotonic()
    answer = server.predictions.Predict(predict_request(inputs={"x": [2.0]}))
    assert list(answer.outputs["y"].float_val) == [3.0]
    assert server.json("/v1/models/m:predict", {"inputs": [2.0]})[0] == 200
    assert time.monotonic() - start < 5
    assert resident() - before < 200 * 2**20
    for row in server.log():
        assert "Traceback" not in json.dumps(row)
