"""A segmenter by itself: its terms, its paint, its judge's purity."""

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf.config import Config, NetworkConfig, SegmenterConfig
from histogan_tf.models import losses
from histogan_tf.models.segmenter_model import SegmenterModel

SMALL = NetworkConfig((4, 6))
WEIGHTS = [1.0, 3.0]


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


def make_model(synthetic, consistency, paint=None):
    settings = SegmenterConfig(8, 4, 10, synthetic, consistency, SMALL)
    return SegmenterModel(Config(), settings, WEIGHTS, paint or refuse)


def refuse(*_):
    raise AssertionError("must not paint")


def painting(calls):
    """Paint that shows class 0 in the first channel, and notes its calls."""

    def paint(mask, style, seed):
        calls.append((mask.numpy(), style.numpy(), seed.numpy()))
        return tf.repeat(mask[..., :1], 3, axis=-1) * 2 - 1

    return paint


@pytest.mark.parametrize(
    "synthetic, consistency, names",
    [
        (0, 0, ["labelled"]),
        (0, 1, ["consistency", "labelled"]),
        (0.5, 0, ["labelled", "painted"]),
        (0.5, 1, ["consistency", "labelled", "painted"]),
    ],
)
def test_terms_that_the_settings_ask_for(synthetic, consistency, names):
    paint = painting([]) if synthetic else None
    model = make_model(synthetic, consistency, paint)
    terms = model.test_step(make_batch())
    assert model.term_names == tuple(f"segmenter/{n}" for n in names)
    assert tuple(sorted(terms)) == model.term_names
    assert all(np.isfinite(v) for v in terms.values())


def test_a_step_moves_the_network_and_its_average():
    model = make_model(0, 1)
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


def test_the_labelled_term_by_hand():
    model, batch = make_model(0, 0), make_batch()
    logits = model.read(model.segmenter, batch["image"])
    fit = losses.cross_entropy(logits, batch["labels"], tf.constant(WEIGHTS))
    fit += losses.soft_dice(logits, batch["labels"])
    found = model.test_step(batch)["segmenter/labelled"]
    assert float(found) == pytest.approx(float(fit[0] + fit[1]) / 2, rel=1e-5)


def test_the_consistency_term_is_of_unlabelled_images_only():
    model = make_model(0, 2)
    model.train_step(make_batch())  # student and teacher part
    batch = make_batch()
    student = model.read(model.segmenter, batch["image"])
    teacher = tf.nn.softmax(model.read(model.average_segmenter, batch["image"]))
    each = losses.consistency(student, teacher).numpy()
    found = model.test_step(batch)["segmenter/consistency"]
    assert float(found) == pytest.approx(2 * each[2:].sum() / 4, rel=1e-4)


def test_paint_gets_complete_masks_and_each_images_own_style():
    calls, batch = [], make_batch()
    model = make_model(0.5, 0, painting(calls))
    found = model.test_step(batch)["segmenter/painted"]
    ((mask, style, seed),) = calls
    np.testing.assert_allclose(mask.sum(-1), 1)
    valid = batch["labels"].numpy().sum(-1) > 0
    np.testing.assert_array_equal(mask[valid], batch["labels"].numpy()[valid])
    np.testing.assert_array_equal(style, batch["style"])
    np.testing.assert_array_equal(seed, [1, 2, 3, 4])
    image = tf.repeat(tf.constant(mask[..., :1]), 3, axis=-1) * 2 - 1
    logits = model.read(model.segmenter, image)
    fit = losses.cross_entropy(logits, mask, tf.constant(WEIGHTS))
    fit += losses.soft_dice(logits, mask)
    wanted = 0.5 * float(tf.reduce_sum(fit)) / 4
    assert float(found) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("synthetic", [0, 0.5])
def test_shares_of_two_halves_add_up(synthetic):
    paint = painting([]) if synthetic else None
    model, batch = make_model(synthetic, 1, paint), make_batch()
    whole = model.test_step(batch)
    halves = [
        model.test_step({k: v[i::2] for k, v in batch.items()}) for i in (0, 1)
    ]
    for name, value in whole.items():
        added = float(halves[0][name]) + float(halves[1][name])
        assert added == pytest.approx(float(value), rel=1e-4), name


def test_a_step_in_bfloat16_is_finite():
    before = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = make_model(0.5, 1, painting([]))
        terms = model.train_step(make_batch())
    finally:
        tf.keras.mixed_precision.set_global_policy(before)
    for name, value in terms.items():
        assert value.dtype == tf.float32 and np.isfinite(value), name
