"""Strategies: what they train on; what they learn is in test_replicas."""

import json

import pytest

from benchmarks.ports import free_ports
from trainer import strategies


def test_bfloat16_is_found_in_the_cpus_flags(tmp_path):
    known = tmp_path / "cpuinfo"
    known.write_text("flags : fpu avx512_bf16 sse\n")
    assert strategies.cpu_has_bfloat16(known)
    known.write_text("flags : fpu avx512f sse\n")
    assert not strategies.cpu_has_bfloat16(known)
    assert not strategies.cpu_has_bfloat16(tmp_path / "none")


def gpus(monkeypatch, *capabilities):
    """A machine with these GPUs, by compute capability."""
    config = strategies.tf.config
    monkeypatch.setattr(
        config,
        "list_physical_devices",
        lambda kind=None: list(capabilities) if kind == "GPU" else [],
    )
    monkeypatch.setattr(
        config.experimental,
        "get_device_details",
        lambda found: {"compute_capability": found, "device_name": f"X{found}"},
    )


@pytest.mark.parametrize(
    "capabilities, wanted",
    [(((8, 0), (9, 0)), True), (((8, 0), (7, 5)), False), (((7, 0),), False)],
)
def test_bfloat16_is_what_all_gpus_know(capabilities, wanted, monkeypatch):
    gpus(monkeypatch, *capabilities)
    # What the processor knows matters no more.
    monkeypatch.setattr(strategies, "cpu_has_bfloat16", lambda path: True)
    assert strategies.has_bfloat16() is wanted


def test_devices_in_words(monkeypatch):
    gpus(monkeypatch, (8, 0), (8, 0))
    assert strategies.devices() == "2 x X(8, 0)"
    gpus(monkeypatch)
    assert strategies.devices().startswith("no GPU that TensorFlow can use; ")


def test_several_machines_use_the_gpus_of_each(monkeypatch):
    (port,) = free_ports(1)
    cluster = {"worker": [f"127.0.0.1:{port}", "127.0.0.1:1"]}
    task = {"type": "worker", "index": 0}
    monkeypatch.setenv(
        "TF_CONFIG", json.dumps({"cluster": cluster, "task": task})
    )
    gpus(monkeypatch, (8, 0), (8, 0), (8, 0))
    made = []
    monkeypatch.setattr(
        strategies.tf.distribute, "MultiWorkerMirroredStrategy", made.append
    )
    strategies.multi_worker()
    (resolver,) = made
    # Where TensorFlow's strategy looks for them, else it takes the CPU.
    assert resolver.num_accelerators() == {"GPU": 3}
    assert resolver.task_id == 0
