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
# The generator doubles and the last segmenter halves; one level traces faster.
FLAT = NetworkConfig((4,))
STAGE = StageConfig(8, 4, 9, generator=SMALL, critic=FLAT, segmenter=FLAT)


def stage():
    tf.keras.utils.set_random_seed(1)
    return StageModel(Config(stages=(STAGE, STAGE)), 1, [1.0, 1.0, 1.0])


def last_segmenter():
    tf.keras.utils.set_random_seed(1)
    some = [Lesson("labelled", 1.0, lessons.labelled(tf.ones([3])))]
    settings = SegmenterConfig(8, 4, 9, network=SMALL)
    return SegmenterModel(settings, OptimizerConfig(), 3, some)


def traced(step, example):
    return tf.function(step, autograph=False).get_concrete_function(example)


def optimizers(model):
    # Keras' own `optimizer` is None.
    kept = [v for k, v in vars(model).items() if k.endswith("optimizer")]
    return [one for one in kept if one]


def trained(kind):
    """How many loops a step has; its loss terms; its weights after it."""
    model, example = kind(), batch()
    step = traced(model.train_step, example)
    terms = {name: float(value) for name, value in step(example).items()}
    # Whatever the layers calculate in, each number that is kept is float32.
    moments = [v for o in optimizers(model) for v in o.variables()]
    assert len(moments) > len(model.trainable_variables)
    for variable in (*model.variables, *moments):
        if variable.dtype.is_floating:
            assert variable.dtype == tf.float32
            assert np.isfinite(variable.numpy()).all(), variable.name
    weights = [tf.reshape(v, [-1]) for v in model.trainable_variables]
    return compiled(step.graph), terms, tf.concat(weights, 0).numpy()


@pytest.fixture(scope="module")
def apart():
    """Of each kind, in float32, nothing fused."""
    return {kind: trained(kind) for kind in (stage, last_segmenter)}


@pytest.mark.parametrize("kind", [stage, last_segmenter])
def test_a_step_of_many_pixels_is_the_same_fused(kind, apart, monkeypatch):
    monkeypatch.setattr(fused, "LARGE", 4 * 8 * 8)
    loops, terms, weights = trained(kind)
    none, wanted, others = apart[kind]
    assert (none, loops > 5) == (0, True)
    assert terms == pytest.approx(wanted, rel=1e-5)
    # Adam's first step is the gradient's sign; that of rounding is chance.
    assert (np.abs(weights - others) > 1e-5).mean() < 0.005


def test_a_step_in_bfloat16_is_fused_and_nearly_the_same(apart, bfloat16):
    loops, terms, weights = trained(stage)
    _, wanted, others = apart[stage]
    assert loops > 10
    # Consistency is small yet: a mean of squares of what rounding changes.
    assert terms == pytest.approx(wanted, rel=0.005, abs=3e-5)
    assert (np.abs(weights - others) > 1e-4).mean() < 0.05


def test_a_step_beside_gpus_is_left_as_it_is(bfloat16, monkeypatch):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [kind])
    assert trained(last_segmenter)[0] == 0


def test_only_a_step_that_trains_is_compiled(bfloat16):
    model, example = stage(), batch()
    assert compiled(traced(model.test_step, example).graph) == 0


def by_xla(kind):
    """Loss terms of a step that is one function by XLA; weights after it."""
    model, example = kind(), batch()
    terms = fused.compiled_whole(model.train_step)(example)
    weights = [tf.reshape(v, [-1]) for v in model.trainable_variables]
    found = {name: float(value) for name, value in terms.items()}
    return found, tf.concat(weights, 0).numpy()


def test_a_whole_step_by_xla_is_the_same(apart, monkeypatch):
    monkeypatch.setattr(fused, "LARGE", 4 * 8 * 8)
    terms, weights = by_xla(last_segmenter)
    _, wanted, others = apart[last_segmenter]
    assert terms == pytest.approx(wanted, rel=1e-5)
    assert (np.abs(weights - others) > 1e-5).mean() < 0.005


def test_a_whole_step_by_xla_in_bfloat16_is_nearly_the_same(apart, bfloat16):
    terms, weights = by_xla(last_segmenter)
    _, wanted, others = apart[last_segmenter]
    assert terms == pytest.approx(wanted, rel=0.005)
    assert (np.abs(weights - others) > 1e-4).mean() < 0.05
