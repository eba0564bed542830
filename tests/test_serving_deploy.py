"""serving/deploy: what runs the real server runs ours too."""

import copy
import pathlib
import re
import sys

import pytest
import serving_models
from absl import flags
from serving_running import running

from serving import batch_parameters, model_config
from serving.server_settings import ServerSettings

FOLDER = pathlib.Path(model_config.__file__).parent / "deploy"
CONFIGS = ("models.config", "batching.config", "monitoring.config")


def command(name):
    """Flags of a manifest: name -> value."""
    text = (FOLDER / name).read_text()
    return dict(re.findall(r"^\s+- --(\w+)=(\S+)$", text, re.M))


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
    compose = (FOLDER / "compose.yaml").read_text()
    assert '- ".:/config:ro"' in compose and ":/models:ro" in compose
    kustomization = (FOLDER / "kustomization.yaml").read_text()
    assert f"files: [{', '.join(CONFIGS)}]" in kustomization
    pods = (FOLDER / "kubernetes.yaml").read_text()
    assert "mountPath: /config" in pods and "mountPath: /models" in pods
    names = re.findall(r"name: (histogan-config)", kustomization + pods)
    assert len(names) == 2


def test_config_files_as_they_are():
    models = model_config.read(str(FOLDER / "models.config"))
    model_config.check(models, model_config.ModelServerConfig())
    assert [m.name for m in models.model_config_list.config] == ["histogan"]
    batching = batch_parameters.read(FOLDER / "batching.config")
    assert batching.max_batch_size == 8 and batching.num_batch_threads == 2
    settings = ServerSettings(
        model_base_path="/m",
        monitoring_config_file=str(FOLDER / "monitoring.config"),
    )
    assert settings.metrics_path() == "/monitoring/prometheus/metrics"


def test_our_server_runs_by_the_same_command(tmp_path):
    """The same files, but that /models is another folder here."""
    serving_models.half_plus(tmp_path / "histogan" / "1")
    serving_models.half_plus(tmp_path / "histogan" / "2")
    text = (FOLDER / "models.config").read_text()
    config = tmp_path / "models.config"
    config.write_text(text.replace("/models/", f"{tmp_path}/"))
    with running(
        model_config_file=str(config),
        enable_batching=True,
        batching_parameters_file=str(FOLDER / "batching.config"),
        monitoring_config_file=str(FOLDER / "monitoring.config"),
        enable_grpc_healthcheck_service=True,
    ) as server:
        for version, expected in (("", 3.0), ("/versions/1", 3.0)):
            assert server.json(
                f"/v1/models/histogan{version}:predict", {"instances": [2.0]}
            ) == (200, {"predictions": [expected]})
        code, _, page = server.http("GET", "/monitoring/prometheus/metrics")
        assert code == 200
        assert b'queuing_latency_count{thread_pool_name="histogan"} 2' in page
        # What the readiness probe of the pods asks.
        check = server.channel.unary_unary("/grpc.health.v1.Health/Check")
        assert check(b"\x0a\x11PredictionService") == b"\x08\x01"
