"""Strategies: two replicas and one learn the same from the same batches."""

import json
import pathlib
import subprocess
import sys

import pytest

from benchmarks.ports import free_ports
from trainer import strategies

ROOT = pathlib.Path(__file__).resolve().parent.parent

# In a process of its own, as a CPU must be split before it is used. Prints
# for each model: the images of a batch that each call of train_step sees
# while it is traced, and the largest difference of the weights.
SCRIPT = """
import json, pathlib, sys, tempfile
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
half = tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(cpu, [half, half])

sys.path.insert(0, "tests")
from strategy_models import builds, train
from benchmarks.ports import free_ports
from trainer import strategies


def trained(build, strategy):
    return train(build, strategy, pathlib.Path(tempfile.mkdtemp()))


strategies.prepare("float32", 0)
out = {}
for name in sys.argv[1:]:
    one = trained(builds[name], strategies.one())
    two = trained(builds[name], strategies.mirrored())
    pairs = list(zip(one.model.variables, two.model.variables))
    out[name] = {
        "one": one.sizes,
        "two": two.sizes,
        "weights": max(
            float(np.abs(a.numpy() - b.numpy()).max()) for a, b in pairs
        ),
        "moved": float(max(
            np.abs(a - b.numpy()).max()
            for a, b in zip(one.first, one.model.variables)
            if a.dtype == np.float32
        )),
        "losses": max(abs(one.losses[k] - two.losses[k]) for k in one.losses),
    }
print(json.dumps(out))
"""


@pytest.fixture(scope="module")
def compared():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "stage 0", "stage 1", "segmenter"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", ["stage 0", "stage 1", "segmenter"])
def test_two_replicas_give_the_weights_of_one(compared, name):
    found = compared[name]
    assert found["weights"] < 1e-5
    assert found["losses"] < 1e-4
    assert found["moved"] > 1e-3
    # Each of the two sees half of the batch, and each is traced once.
    assert found["one"] == [4]
    assert found["two"] == [2, 2]


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
