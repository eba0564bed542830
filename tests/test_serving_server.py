"""serving.server as a process: start, signals, errors; and its settings."""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import grpc
import pytest
import serving_models
from serving_running import free_port, predict_request
from tensorflow_serving.apis import prediction_service_pb2_grpc

from histogan_tf.errors import InputError
from serving.server_settings import ServerSettings

ROOT = pathlib.Path(__file__).resolve().parent.parent


def command(*arguments):
    return [sys.executable, "-m", "serving.server", *map(str, arguments)]


def run(*arguments):
    """(exit code, stdout, stderr) of a server that should not stay."""
    done = subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=240,
    )
    return done.returncode, done.stdout, done.stderr


class Process:
    """A server in a process of its own; its stderr is read on the way."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            command(*arguments), stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
        self.lines = []
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        self.lines.extend(iter(self.process.stderr.readline, ""))

    def wait_for(self, text, seconds=240):
        end = time.monotonic() + seconds
        while not any(text in line for line in list(self.lines)):
            assert time.monotonic() < end, self.lines
            assert self.process.poll() is None, self.lines
            time.sleep(0.05)

    def end(self, number):
        self.process.send_signal(number)
        code = self.process.wait(120)
        self.reader.join()
        return code


@pytest.fixture
def process():
    started = []

    def start(*arguments):
        started.append(Process(*arguments))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


def test_it_waits_serves_and_ends_what_is_under_way(process, tmp_path):
    port = free_port()
    server = process(
        f"--model_base_path={tmp_path / 'm'}",
        "--model_name=m",
        f"--port={port}",
        "--file_system_poll_wait_seconds=0.2",
        "--enable_grpc_healthcheck_service",
    )
    # No version yet: ports stay closed, and the server waits.
    server.wait_for("Could not find base path")
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = predict_request(inputs={"x": [2.0]})
        with pytest.raises(grpc.RpcError) as error:
            stub.Predict(request, timeout=5)
        assert error.value.code().name == "UNAVAILABLE"
    made = serving_models.half_plus(tmp_path / "1", wait=2.0)
    (tmp_path / "m").mkdir()
    made.rename(tmp_path / "m" / "1")
    server.wait_for("Running gRPC ModelServer at 127.0.0.1:")
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        grpc.channel_ready_future(channel).result(60)
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        sent = stub.Predict.future(request, timeout=60)
        time.sleep(1.0)
        assert server.end(signal.SIGTERM) == 0
        assert list(sent.result().outputs["y"].float_val) == [3.0]
    assert "stopped" in server.lines[-1]
    assert "version 1: END" in "".join(server.lines)


def test_a_version_folder_as_base_path_is_told_of(process, tmp_path):
    path = serving_models.half_plus(tmp_path / "m" / "1")
    server = process(
        f"--model_base_path={path}",
        "--model_name=m",
        f"--port={free_port()}",
        "--file_system_poll_wait_seconds=0.05",
    )
    server.wait_for(
        f"No versions of servable m found under base path {path}. Did you"
        " forget to name your leaf directory as a number (eg. '/1/')?"
    )
    # It waits, and can be stopped.
    time.sleep(0.5)
    assert server.end(signal.SIGINT) == 0
    (line,) = [line for line in server.lines if "No versions" in line]
    assert line.split()[1] == "warning"


def test_it_can_be_stopped_while_it_waits(process, tmp_path):
    server = process(
        f"--model_base_path={tmp_path / 'm'}", f"--port={free_port()}"
    )
    server.wait_for("Could not find base path")
    assert server.end(signal.SIGINT) == 0


def test_a_model_that_cannot_be_loaded_ends_the_server(tmp_path):
    serving_models.corrupt(tmp_path / "m" / "3")
    code, _, error = run(
        f"--model_base_path={tmp_path / 'm'}",
        "--model_name=m",
        f"--port={free_port()}",
        "--max_num_load_retries=0",
    )
    assert code == 2
    last = error.splitlines()[-1]
    assert last.startswith("error: 1 model(s) did not become available:")
    assert "name: m version: 3" in last and "Traceback" not in error


def test_a_config_that_does_not_parse(tmp_path):
    path = tmp_path / "models.config"
    path.write_text("model_config_list { nonsense }")
    code, _, error = run(f"--model_config_file={path}")
    assert code == 2 and error.splitlines()[-1].startswith("error: ")
    assert "tensorflow.serving.ModelServerConfig" in error
    assert str(path) in error


def test_help_and_version_load_no_tensorflow():
    script = (
        "import sys, runpy\n"
        "sys.argv = ['serving.server', '--help']\n"
        "try:\n"
        "    runpy.run_module('serving.server', run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    print('code', end.code, 'tensorflow' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ,
        timeout=120,
    )
    assert done.stdout.endswith("code 0 False\n"), done.stderr
    assert "--model_base_path" in done.stdout and "ours" in done.stdout
    code, text, _ = run("--version")
    assert code == 0 and "TensorFlow ModelServer: 2.15.1" in text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (
            {},
            "Both server_options.model_base_path and"
            " server_options.model_config_file are empty!",
        ),
        (
            {"model_base_path": "/m", "batching_parameters_file": "b"},
            "server_options.batching_parameters_file is set without setting"
            " server_options.enable_batching to true.",
        ),
        (
            {"model_base_path": "/m", "port": 0},
            "server_options.grpc_port is not set.",
        ),
        (
            {"model_base_path": "/m", "rest_api_port": 8500},
            "--rest_api_port 8500: must be different from --port",
        ),
        (
            {
                "model_base_path": "/m",
                "tensorflow_session_parallelism": 1,
                "tensorflow_intra_op_parallelism": 1,
            },
            "You cannot configure all.",
        ),
    ],
)
def test_settings_that_do_not_go_together(values, text):
    with pytest.raises(InputError) as error:
        ServerSettings(**values)
    assert str(error.value).endswith(text)


def test_parts_of_the_settings(tmp_path):
    settings = ServerSettings(
        model_base_path="/m",
        grpc_channel_arguments="grpc.max_connection_age_ms=2000,a=b,c=-1",
        tensorflow_session_parallelism=2,
        host="::1",
    )
    assert settings.channel_arguments() == [
        ("grpc.max_connection_age_ms", 2000),
        ("a", "b"),
        ("c", -1),
    ]
    assert settings.address(8500) == "[::1]:8500"
    threads = settings.manager().threads
    assert (threads.inter_op, threads.intra_op) == (2, 2)
    (model,) = settings.models().model_config_list.config
    assert (model.name, model.base_path) == ("default", "/m")
    assert settings.metrics_path() is None
    with pytest.raises(InputError, match="write name=value"):
        ServerSettings(
            model_base_path="/m", grpc_channel_arguments="a"
        ).channel_arguments()
    path = tmp_path / "monitoring.config"
    settings = ServerSettings(
        model_base_path="/m", monitoring_config_file=str(path)
    )
    for text, expected in (
        ("", None),
        ("prometheus_config {}", None),
        (
            "prometheus_config {enable: true}",
            "/monitoring/prometheus/metrics",
        ),
        ("prometheus_config {enable: true path: '/m'}", "/m"),
    ):
        path.write_text(text)
        assert settings.metrics_path() == expected
    path.write_text("prometheus {}")
    with pytest.raises(InputError, match="Invalid protobuf file"):
        settings.metrics_path()
