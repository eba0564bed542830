"""Whole train steps of fused functions: the same weights, where wanted."""

import numpy as np
import pytest
import tensorflow as tf
from fused_steps import batch, compiled

from histogan_tf.config import (
    Config,
    NetworkConfig,
    OptimizerConfig,
    SegmenterConfig,
    StageConfig,
)
from histogan_tf.models import fused, lessons
from histogan_tf.models.lessons import Lesson
from histogan_tf.models.segmenter_model import SegmenterModel
from histogan_tf.models.stage import StageModel

SMALL = NetworkConfig((4, 6))
STAGE = StageConfig(8, 4, 9, generator=SMALL, critic=SMALL, segmenter=SMALL)


def stage():
    tf.keras.utils.set_random_seed(1)
    return StageModel(Config(stages=(STAGE, STAGE)), 1, [1.0, 1.0, 1.0])


def last_segmenter():
    tf.keras.utils.set_random_seed(1)
    some = [Lesson("labelled", 1.0, lessons.labelled(tf.ones([3])))]
    settings = SegmenterConfig(8, 4, 9, network=SMALL)
    return SegmenterModel(settings, OptimizerConfig(), 3, some)


def test_a_fused_step_learns_what_another_does(bfloat16, monkeypatch):
    example, found = batch(), []
    for gpus in ([], ["GPU:0"]):
        monkeypatch.setattr(
            tf.config, "list_logical_devices", lambda kind, found=gpus: found
        )
        model = stage()
        step = tf.function(model.train_step).get_concrete_function(example)
        assert (compiled(step.graph) > 10) == (not gpus)
        terms = step(example)
        weights = [tf.reshape(v, [-1]) for v in model.trainable_variables]
        found.append((terms, tf.concat(weights, 0).numpy()))
    (terms, weights), (others, wanted) = found
    for name, value in terms.items():
        assert float(value) == pytest.approx(float(others[name]), rel=0.02)
    # A step of Adam turns on a gradient's sign, which rounding may turn.
    moved = np.abs(wanted - weights) > 1e-4
    assert moved.mean() < 0.05


@pytest.mark.parametrize("kind", [stage, last_segmenter])
def test_a_step_of_large_crops_is_the_same_in_float32(kind, monkeypatch):
    example, found = batch(), []
    for large in (8, 9):
        monkeypatch.setattr(fused, "LARGE", large)
        model = kind()
        step = tf.function(model.train_step).get_concrete_function(example)
        assert (compiled(step.graph) > 5) == (large == 8)
        terms = step(example)
        weights = [tf.reshape(v, [-1]) for v in model.trainable_variables]
        found.append((terms, tf.concat(weights, 0).numpy()))
    (terms, weights), (others, wanted) = found
    for name, value in terms.items():
        assert float(value) == pytest.approx(float(others[name]), rel=1e-5)
    # Adam's first step is the gradient's sign; that of rounding is chance.
    assert (np.abs(wanted - weights) > 1e-5).mean() < 0.005


def test_only_a_step_that_trains_is_compiled(bfloat16):
    model, example = stage(), batch()
    graph = tf.function(model.test_step).get_concrete_function(example).graph
    assert compiled(graph) == 0


def test_a_fused_step_may_stand_in_one_by_xla(monkeypatch):
    """As with `--jit_compile`, of large crops or in bfloat16."""
    monkeypatch.setattr(fused, "LARGE", 8)
    example, found = batch(), []
    for jit in (False, True):
        model = last_segmenter()
        step = tf.function(model.train_step, jit_compile=jit, autograph=False)
        terms = step(example)
        found.append([*terms.values(), *model.trainable_variables])
    for one, other in zip(*found, strict=True):
        far = np.abs(one - other) > 1e-5
        assert far.mean() < 0.01
