"""What a segmenter learns from: supervised, consistent, and a fallible hint."""

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf.models import losses
from histogan_tf.models.segmenter_loss import (
    segmenter_losses,
    simulated_opinion,
)


def batch(classes=3, count=64, size=16, labelled=None):
    """The left half is class 0, the right class 1; the rest unlabelled."""
    labelled = count if labelled is None else labelled
    ids = np.zeros((count, size, size), int)
    ids[:, :, size // 2 :] = 1
    labels = np.eye(classes, dtype=np.float32)[ids]
    labels[labelled:] = 0
    image = np.random.default_rng(0).uniform(-1, 1, (count, size, size, 3))
    return {
        "image": tf.constant(image, tf.float32),
        "labels": tf.constant(labels),
        "seed": tf.range(count, dtype=tf.int64),
        "style": tf.zeros([count, 6]),
    }


@pytest.mark.parametrize("classes", [2, 5])
def test_opinions_are_probabilities(classes):
    opinion = simulated_opinion(batch(classes, labelled=40)).numpy()
    assert opinion.shape == (64, 16, 16, classes)
    assert opinion.min() >= -1e-6 and opinion.max() <= 1 + 1e-6
    np.testing.assert_allclose(opinion.sum(-1), 1, atol=1e-5)


def test_half_of_the_labelled_images_and_no_other_get_a_hint():
    opinion = simulated_opinion(batch(count=200, labelled=150)).numpy()
    none = np.abs(opinion - 1 / 3).max((1, 2, 3)) < 1e-6
    assert none[150:].all()
    # 75 expected, standard deviation 6.
    assert 51 <= (~none[:150]).sum() <= 99


def test_the_hint_is_good_and_fallible():
    opinion = simulated_opinion(batch()).numpy()
    shown = opinion[np.abs(opinion - 1 / 3).max((1, 2, 3)) > 1e-6]
    truth = np.zeros((16, 16), int)
    truth[:, 8:] = 1
    right = (shown.argmax(-1) == truth).mean()
    assert 0.6 < right < 0.99


def test_hints_follow_the_seed_not_the_place_in_the_batch():
    data = batch(count=8)
    whole = simulated_opinion(data).numpy()
    turned = simulated_opinion({k: v[::-1] for k, v in data.items()}).numpy()
    np.testing.assert_allclose(turned[::-1], whole, atol=1e-6)


def test_hints_are_blind_to_ignored_pixels():
    data = batch(count=32)
    gap = np.ones((32, 16, 16, 1), np.float32)
    gap[:, 4:12, 4:12] = 0
    opinion = simulated_opinion(data | {"labels": data["labels"] * gap})
    assert np.isfinite(opinion).all()
    np.testing.assert_allclose(np.sum(opinion, -1), 1, atol=1e-5)


def constant_segmenter(logits, seen):
    def segmenter(image, opinion, training):
        assert not training
        seen.append((image, opinion))
        return logits

    return segmenter


def brighter(data):
    return data["image"] + 0.5


def test_terms_by_kind_of_image():
    data, seen = batch(count=4, labelled=2), []
    rng = np.random.default_rng(1)
    logits = tf.constant(rng.normal(size=(4, 16, 16, 3)), tf.float32)
    teacher = tf.nn.softmax(tf.constant(rng.normal(size=logits.shape)))
    teacher, weights = tf.cast(teacher, tf.float32), tf.constant([1.0, 2, 3])
    opinion = simulated_opinion(data)
    found = segmenter_losses(
        constant_segmenter(logits, seen),
        data,
        opinion,
        weights,
        teacher,
        brighter,
    )
    fit = losses.cross_entropy(logits, data["labels"], weights)
    fit += losses.soft_dice(logits, data["labels"])
    np.testing.assert_allclose(found.labelled[:2], fit[:2], rtol=1e-6)
    np.testing.assert_array_equal(found.labelled[2:], [0, 0])
    gap = losses.consistency(logits, teacher)
    np.testing.assert_array_equal(found.consistency[:2], [0, 0])
    np.testing.assert_allclose(found.consistency[2:], gap[2:], rtol=1e-6)
    ((image, shown),) = seen
    np.testing.assert_allclose(image, brighter(data))
    assert shown is opinion


def test_consistency_of_a_partly_labelled_image_is_that_of_its_gap():
    data = batch(count=2)
    labels = data["labels"].numpy()
    labels[0, 4:] = 0
    rng = np.random.default_rng(1)
    logits = tf.constant(rng.normal(size=labels.shape), tf.float32)
    teacher = np.full(labels.shape, 1 / 3, np.float32)
    found = segmenter_losses(
        constant_segmenter(logits, []),
        data | {"labels": tf.constant(labels)},
        simulated_opinion(data),
        tf.ones([3]),
        teacher,
        brighter,
    )
    gap = ((tf.nn.softmax(logits) - teacher) ** 2).numpy().sum(-1)
    wanted = [gap[0, 4:].sum() / 16**2, 0]
    np.testing.assert_allclose(found.consistency, wanted, rtol=1e-5)
