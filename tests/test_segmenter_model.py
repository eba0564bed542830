"""A segmenter by itself: its step, its average, its terms."""

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf.config import NetworkConfig, OptimizerConfig, SegmenterConfig
from histogan_tf.models import lessons, losses
from histogan_tf.models.lessons import Lesson
from histogan_tf.models.segmenter_model import SegmenterModel

SMALL = NetworkConfig((4, 6))
WEIGHTS = tf.constant([1.0, 3.0])


def brighter(batch):
    return batch["image"] + 0.3


def make_batch(labelled=2):
    rng = np.random.default_rng(3)
    labels = np.eye(2)[rng.integers(0, 2, (4, 8, 8))]
    labels[0, :4] = 0
    labels[labelled:] = 0
    return {
        "image": tf.constant(rng.uniform(-1, 1, (4, 8, 8, 3)), tf.float32),
        "labels": tf.constant(labels, tf.float32),
        "style": tf.constant(rng.normal(size=(4, 6)), tf.float32),
        "seed": tf.constant([1, 2, 3, 4], tf.int64),
    }


def make_model(*some, patch=1):
    settings = SegmenterConfig(8, 4, 10, network=SMALL, patch=patch)
    return SegmenterModel(settings, OptimizerConfig(), 2, some)


def real():
    return Lesson("labelled", 2.0, lessons.labelled(WEIGHTS))


def paint(mask, style, seed):
    """Shows class 0 in all channels."""
    del style, seed
    return tf.repeat(mask[..., :1], 3, axis=-1) * 2 - 1


def every_lesson():
    return (
        real(),
        Lesson("consistency", 1.0, lessons.consistent(0.1), 0.4, taught=True),
        Lesson("stained", 0.5, lessons.labelled(WEIGHTS, brighter)),
        Lesson("painted", 0.5, lessons.painted(WEIGHTS, paint), taught=True),
    )


def test_a_step_moves_the_network_and_its_average():
    model = make_model(*every_lesson())
    before = [v.numpy() for v in model.variables]
    model.test_step(make_batch())
    for old, new in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, new)
    model.train_step(make_batch())
    student = model.segmenter.trainable_variables
    twin = model.average_segmenter.trainable_variables
    # Both started as the same; decay is 2/11 after the first update.
    start = dict(zip([v.ref() for v in model.variables], before, strict=True))
    for new, found in zip(student, twin, strict=True):
        wanted = start[found.ref()] * 2 / 11 + new.numpy() * 9 / 11
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert any((v.numpy() != start[v.ref()]).any() for v in student)


def test_without_a_teacher_statistics_follow_as_weights_do():
    model = make_model(real())
    before = [v.numpy() for v in model.average_segmenter.variables]
    model.train_step(make_batch())
    pairs = zip(
        before,
        model.segmenter.variables,
        model.average_segmenter.variables,
        strict=True,
    )
    moved = 0
    for old, new, found in pairs:
        wanted = old * 2 / 11 + new.numpy() * 9 / 11
        np.testing.assert_allclose(found, wanted, atol=1e-6)
        moved += "moving" in found.name and (old != new.numpy()).any()
    assert moved


def test_terms_are_weighted_sums_over_the_global_batch():
    model, batch = make_model(real()), make_batch()
    assert model.term_names == ("segmenter/labelled",)
    logits = model.read(model.segmenter, batch["image"])
    fit = losses.cross_entropy(logits, batch["labels"], WEIGHTS)
    fit += losses.soft_dice(logits, batch["labels"])
    found = model.test_step(batch)["segmenter/labelled"]
    assert float(found) == pytest.approx(2 * float(fit[0] + fit[1]) / 4)


def test_the_teacher_is_the_average():
    model = make_model(Lesson("gap", 1.0, lessons.consistent(0.0), taught=True))
    batch = make_batch()
    # Without noise, student and teacher are the same until the first step.
    assert float(model.test_step(batch)["segmenter/gap"]) < 1e-10
    for variable in model.segmenter.trainable_variables:
        variable.assign(variable * 1.5 + 0.1)
    student = model.read(model.segmenter, batch["image"])
    teacher = tf.nn.softmax(model.read(model.average_segmenter, batch["image"]))
    free = losses.gaps(batch["labels"])
    each = losses.consistency(student, teacher, free).numpy()
    found = model.test_step(batch)["segmenter/gap"]
    assert float(found) == pytest.approx(each.sum() / 4, rel=1e-4)


def test_a_ramp_counts_the_models_own_steps():
    model = make_model(real(), Lesson("one", 1.0, lambda *_: tf.ones(4), 0.5))
    found = []
    for _ in range(7):
        terms = model.train_step(make_batch())
        found.append(float(terms["segmenter/one"]))
    # 10 steps, the ramp ends at the fifth.
    t = np.minimum(np.arange(7) / 5, 1)
    np.testing.assert_allclose(found, np.exp(-5 * (1 - t) ** 2), rtol=1e-5)


def test_shares_of_two_halves_add_up():
    model, batch = make_model(*every_lesson()), make_batch()
    whole = model.test_step(batch)
    halves = [
        model.test_step({k: v[i::2] for k, v in batch.items()}) for i in (0, 1)
    ]
    for name, value in whole.items():
        added = float(halves[0][name]) + float(halves[1][name])
        assert added == pytest.approx(float(value), rel=1e-4, abs=1e-7), name


@pytest.mark.parametrize("patch", [1, 2])
def test_a_step_in_bfloat16_is_finite(patch):
    before = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = make_model(*every_lesson(), patch=patch)
        terms = model.train_step(make_batch())
    finally:
        tf.keras.mixed_precision.set_global_policy(before)
    for name, value in terms.items():
        assert value.dtype == tf.float32 and np.isfinite(value), name
