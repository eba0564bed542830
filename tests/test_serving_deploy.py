"""serving/deploy: what runs the real server runs ours too."""

import copy
import pathlib
import re
import sys
import time

import pytest
import serving_models
import yaml
from absl import flags
from grpc_health.v1 import health_pb2, health_pb2_grpc
from serving_running import error_of, predict_request, running

from serving import batch_parameters, model_config
from serving.server_settings import ServerSettings

FOLDER = pathlib.Path(model_config.__file__).parent / "deploy"
CONFIGS = ("models.config", "batching.config", "monitoring.config")


def read(name):
    """The documents of a manifest."""
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def compose():
    """The service of compose.yaml."""
    return read("compose.yaml")[0]["services"]["histogan"]


def pod():
    """What runs in a pod of kubernetes.yaml, and its only container."""
    spec = read("kubernetes.yaml")[0]["spec"]["template"]["spec"]
    return spec, spec["containers"][0]


def command(name):
    """Flags of a manifest: name -> value, as written."""
    lists = {
        "compose.yaml": lambda: compose()["command"],
        "kubernetes.yaml": lambda: pod()[1]["args"],
    }
    flag = re.compile(r"--(\w+)=(\S+)")
    return dict(flag.fullmatch(text).groups() for text in lists[name]())


@pytest.fixture
def server_flags():
    """The server's flags by name; gone afterwards, as others define some."""
    known = set(flags.FLAGS)
    from serving import server_flags as module

    table = flags.FLAGS.flags_by_module_dict()[module.__name__]
    yield {flag.name: copy.deepcopy(flag) for flag in table}
    for flag in set(flags.FLAGS) - known:
        delattr(flags.FLAGS, flag)
    del sys.modules[module.__name__]
    del sys.modules["serving"].server_flags


@pytest.mark.parametrize("name", ["compose.yaml", "kubernetes.yaml"])
def test_flags_are_known_and_their_values_parse(name, server_flags):
    found = command(name)
    assert len(found) >= 8
    assert {found[f] for f in found if f.endswith("_file")} == {
        f"/config/{config}" for config in CONFIGS
    }
    for flag, value in found.items():
        server_flags[flag].parse(value)
    assert server_flags["enable_batching"].value is True
    assert server_flags["file_system_poll_wait_seconds"].value == 1


def test_the_manifests_mount_what_they_name():
    mounts = dict(
        text.removesuffix(":ro").rsplit(":", 1)[::-1]
        for text in compose()["volumes"]
        if text.endswith(":ro")
    )
    assert set(mounts) == {"/models", "/config"} and mounts["/config"] == "."
    spec, container = pod()
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    mounts = {m["mountPath"]: m for m in container["volumeMounts"]}
    assert set(mounts) == {"/models", "/config", "/tmp"}
    assert mounts["/models"]["readOnly"] and mounts["/config"]["readOnly"]
    config = volumes[mounts["/config"]["name"]]["configMap"]["name"]
    kustomization = read("kustomization.yaml")[0]
    assert kustomization["resources"] == ["kubernetes.yaml"]
    assert kustomization["configMapGenerator"] == [
        {"name": config, "files": list(CONFIGS)}
    ]


def test_ports_and_probes():
    _, container = pod()
    ports = {p["name"]: p["containerPort"] for p in container["ports"]}
    assert ports == {"grpc": 8500, "http": 8501}
    asked = {"port": 8500, "service": "PredictionService"}
    for probe in ("startupProbe", "readinessProbe"):
        assert container[probe]["grpc"] == asked
    service = read("kubernetes.yaml")[1]["spec"]["ports"]
    assert {p["targetPort"] for p in service} == set(ports)
    assert compose()["ports"] == [
        f"127.0.0.1:{port}:{port}" for port in ports.values()
    ]


def test_a_stop_reaches_the_server_after_its_clients_left():
    """The image's first process is a shell, which SIGTERM does not end."""
    assert compose()["init"] is True
    spec, container = pod()
    assert spec["shareProcessNamespace"] is True
    (word, seconds) = container["lifecycle"]["preStop"]["exec"]["command"]
    timeout = int(command("kubernetes.yaml")["rest_api_timeout_in_ms"]) / 1000
    assert word == "sleep" and timeout < float(seconds)
    assert float(seconds) < spec["terminationGracePeriodSeconds"]


def test_environment():
    expected = {"TF_CPP_MIN_LOG_LEVEL": "1", "NVIDIA_TF32_OVERRIDE": "0"}
    assert compose()["environment"] == expected
    _, container = pod()
    assert {v["name"]: v["value"] for v in container["env"]} == expected


def test_config_files_as_they_are():
    models = model_config.read(str(FOLDER / "models.config"))
    model_config.check(models, model_config.ModelServerConfig())
    assert [m.name for m in models.model_config_list.config] == ["histogan"]
    batching = batch_parameters.read(FOLDER / "batching.config")
    assert batching.max_batch_size == 8 and batching.num_batch_threads == 2
    assert batching.max_enqueued_batches == 256
    # One row a run, so that no request is joined with another.
    assert batching.splitting and batching.execution_size == 1
    settings = ServerSettings(
        model_base_path="/m",
        monitoring_config_file=str(FOLDER / "monitoring.config"),
    )
    assert settings.metrics_path() == "/monitoring/prometheus/metrics"


def settings(name, server_flags, folder):
    """Settings by a manifest's command, with its folders in another."""
    for file in CONFIGS:
        text = (FOLDER / file).read_text()
        (folder / file).write_text(text.replace("/models/", f"{folder}/"))
    found = {}
    for flag, value in command(name).items():
        server_flags[flag].parse(value.replace("/config/", f"{folder}/"))
        found[flag] = server_flags[flag].value
    return found


@pytest.mark.parametrize("name", ["compose.yaml", "kubernetes.yaml"])
def test_our_server_runs_by_the_same_command(name, server_flags, tmp_path):
    """The same files, but that /models is another folder here."""
    serving_models.half_plus(tmp_path / "histogan" / "1")
    serving_models.half_plus(tmp_path / "histogan" / "2", 3.0)
    with running(**settings(name, server_flags, tmp_path)) as server:
        for version, expected in (("", 4.0), ("/versions/1", 3.0)):
            assert server.json(
                f"/v1/models/histogan{version}:predict", {"instances": [2.0]}
            ) == (200, {"predictions": [expected]})
        code, _, page = server.http("GET", "/monitoring/prometheus/metrics")
        assert code == 200
        assert b'queuing_latency_count{thread_pool_name="histogan"} 2' in page
        # What the readiness probe of the pods asks.
        asked = pod()[1]["readinessProbe"]["grpc"]["service"]
        request = health_pb2.HealthCheckRequest(service=asked)
        found = health_pb2_grpc.HealthStub(server.channel).Check(request)
        assert found.status == health_pb2.HealthCheckResponse.SERVING


@pytest.fixture
def wide_server(server_flags, tmp_path):
    """A server by compose.yaml; its model takes a second a run."""
    serving_models.half_plus(tmp_path / "histogan" / "1", wait=1.0)
    with running(**settings("compose.yaml", server_flags, tmp_path)) as found:
        yield found


def test_requests_are_split_and_never_joined(wide_server):
    def ask(*values, signature="serving_default"):
        inputs = {"x": values}
        return predict_request("histogan", inputs, signature_name=signature)

    predict = wide_server.predictions.Predict
    # Both threads are busy, so that what comes now waits together.
    busy = predict.future(ask(1.0, 2.0), timeout=30)
    time.sleep(0.3)
    good, bad, more = (
        predict.future(ask(*values, signature="positive"), timeout=30)
        for values in ((1.0,), (2.0, -1.0), (4.0, 5.0, 6.0))
    )
    assert list(good.result().outputs["x"].float_val) == [1.0]
    assert list(more.result().outputs["x"].float_val) == [4.0, 5.0, 6.0]
    assert bad.code().name == "INVALID_ARGUMENT"
    assert list(busy.result().outputs["y"].float_val) == [2.5, 3.0]
    assert error_of(predict, ask(*range(9))) == (
        "INVALID_ARGUMENT",
        "Task size 9 is larger than maximum input batch size 8",
    )
    _, _, page = wide_server.http("GET", "/monitoring/prometheus/metrics")
    # A run for each row.
    assert b'queuing_latency_count{thread_pool_name="histogan"} 8' in page
