"""What tests of strategies train: every model, small, on random batches.

Import it once the process's devices are set up: it uses TensorFlow.
"""

import pathlib

import numpy as np
import tensorflow as tf

from histogan_tf.config import (
    Config,
    NetworkConfig,
    SegmenterConfig,
    StageConfig,
)
from histogan_tf.models import lessons, other_stain
from histogan_tf.models.lessons import Lesson
from histogan_tf.models.segmenter_model import SegmenterModel
from histogan_tf.models.stage import StageModel
from trainer import calibration, loop

small = NetworkConfig((4, 5))
# Tracing takes as long as there are layers. Segmenters have two levels, as
# their norms share statistics; the others treat each image by itself.
flat = NetworkConfig((4,))
stage = StageConfig(
    8, 4, 5, 2.0, flat, flat, small, critic_patch=2, segmenter_patch=2
)
alone = SegmenterConfig(8, 4, 5, network=small)
config = Config(stages=(stage, stage), segmenter=alone, noise_channels=2)
weights = tf.constant([1.0, 2.0])
LOOP = loop.LoopSettings()
styles = tf.constant(np.random.default_rng(1).normal(size=(3, 6)), tf.float32)


def paint(mask, style, seed):
    tint = other_stain.drawn_styles(styles, seed, 3001, 0.15)
    return mask[..., :1] * tint[:, None, None, :3]


restained = other_stain.restained(styles, 0.15, 0.8)
some_lessons = [
    Lesson("labelled", 2.0, lessons.labelled(weights)),
    Lesson("consistency", 1.0, lessons.consistent(0.05), 0.5, taught=True),
    Lesson("painted", 0.5, lessons.painted(weights, paint), taught=True),
]
builds = {
    "stage 1": lambda: StageModel(config, 1, [1.0, 2.0], restained),
    "segmenter": lambda: SegmenterModel(
        alone, config.optimizer, 2, some_lessons
    ),
}


def batches(start, rows):
    rng = np.random.default_rng(0)
    labels = np.eye(2, dtype=np.float32)[rng.integers(0, 2, (20, 8, 8))]
    # The first half of a batch is labelled, as in dataset.py.
    labels[np.arange(20) % 4 >= 2] = 0
    whole = tf.data.Dataset.from_tensor_slices(
        {
            "image": rng.uniform(-1, 1, (20, 8, 8, 3)).astype(np.float32),
            "labels": labels,
            "style": rng.normal(size=(20, 6)).astype(np.float32),
            "seed": np.arange(20) + 7,
        }
    )
    whole = whole.batch(4, drop_remainder=True).skip(start)
    mine = slice(rows.start, rows.stop)
    # Endless, as those of `dataset.py` are.
    return whole.map(lambda b: {k: v[mine] for k, v in b.items()}).repeat()


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


def calibrate(model):
    rng = np.random.default_rng(2)
    tiles = rng.integers(0, 255, (3, 12, 10, 3)).astype(np.uint8)
    calibration.calibrate(model.average_segmenter, tiles)


def train(build, strategy, folder: pathlib.Path, every=LOOP):
    """Five steps of four images; gives the watcher."""
    # A seed may bring an input of a leaky ReLU so near to zero (3 once did,
    # 1.2e-7) that its slope depends on rounding.
    phase = loop.Phase(
        "test", folder, 5, 4, build, batches, seed=4, finish=calibrate
    )
    kept = Keep()
    loop.run(phase, strategy, every, kept)
    return kept
