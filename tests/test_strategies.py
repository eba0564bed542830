"""Strategies: two replicas and one learn the same from the same batches."""

import json
import pathlib
import subprocess
import sys

import pytest

from trainer import strategies

ROOT = pathlib.Path(__file__).resolve().parent.parent

# In a process of its own, as a CPU must be split before it is used. Prints
# for each model: the images of a batch that each call of train_step sees
# while it is traced, and the largest difference of the weights.
SCRIPT = """
import json, sys, tempfile, pathlib
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
half = tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(cpu, [half, half])

from histogan_tf.config import Config, NetworkConfig, SegmenterConfig
from histogan_tf.config import StageConfig
from histogan_tf.models import lessons
from histogan_tf.models.lessons import Lesson
from histogan_tf.models.segmenter_model import SegmenterModel
from histogan_tf.models.stage import StageModel
from trainer import loop, strategies, teaching

small = NetworkConfig((4,))
stage = StageConfig(8, 4, 5, 2.0, small, small, small)
alone = SegmenterConfig(8, 4, 5, network=small)
config = Config(stages=(stage, stage), segmenter=alone, noise_channels=2)
weights = tf.constant([1.0, 2.0])
styles = tf.constant(np.random.default_rng(1).normal(size=(3, 6)), tf.float32)


def paint(mask, style, seed):
    tint = teaching.drawn_styles(styles, seed, 0.15)[:, None, None, :3]
    return mask[..., :1] * tint


some_lessons = [
    Lesson("labelled", 2.0, lessons.labelled(weights)),
    Lesson("consistency", 1.0, lessons.consistent(0.05), ramp=0.5),
    Lesson("stained", 1.0, lessons.labelled(weights, 0.5)),
    Lesson("painted", 0.5, lessons.painted(weights, paint)),
]
builds = {
    "stage 0": lambda: StageModel(config, 0, [1.0, 2.0]),
    "stage 1": lambda: StageModel(config, 1, [1.0, 2.0]),
    "segmenter": lambda: SegmenterModel(
        alone, config.optimizer, 2, some_lessons
    ),
}


def batches(start, rows):
    rng = np.random.default_rng(0)
    labels = np.eye(2, dtype=np.float32)[rng.integers(0, 2, (20, 8, 8))]
    # The first half of a batch is labelled, as in dataset.py.
    labels[np.arange(20) % 4 >= 2] = 0
    whole = tf.data.Dataset.from_tensor_slices({
        "image": rng.uniform(-1, 1, (20, 8, 8, 3)).astype(np.float32),
        "labels": labels,
        "style": rng.normal(size=(20, 6)).astype(np.float32),
        "seed": np.arange(20) + 7,
    })
    return whole.batch(4, drop_remainder=True).skip(start)


class Keep:
    def begin(self, model, step):
        self.model, self.sizes = model, []
        step = model.train_step
        def seen(batch):
            self.sizes.append(batch["image"].shape[0])
            return step(batch)
        model.train_step = seen
        self.first = [v.numpy() for v in model.variables]

    def log(self, step, losses):
        self.losses = losses

    def end(self):
        pass


def train(build, strategy):
    folder = pathlib.Path(tempfile.mkdtemp())
    phase = loop.Phase("test", folder, 5, 4, build, batches, seed=3)
    kept = Keep()
    loop.run(phase, strategy, loop.LoopSettings(), kept)
    return kept


strategies.prepare("float32", 0)
out = {}
for name in sys.argv[1:]:
    one = train(builds[name], strategies.one())
    two = train(builds[name], strategies.mirrored())
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
