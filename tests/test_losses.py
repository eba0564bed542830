"""Losses against hand-computed numbers and formulas written in numpy."""

import math

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf.models import losses

LOG = math.log


def grid(*pixels):
    """[1, 1, W, N] from a list of pixels."""
    return tf.constant([[list(pixels)]], tf.float32)


def ones(count):
    return tf.ones([count])


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def random_case(classes, extra=0, seed=0):
    """Logits, soft targets of which a third is ignored, weights."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (3, 4, 5, classes + extra))
    target = rng.dirichlet(np.ones(classes), (3, 4, 5))
    target *= rng.uniform(size=(3, 4, 5, 1)) > 0.33
    weights = rng.uniform(0.5, 4, classes)
    return [np.float32(x) for x in (logits, target, weights)]


# class_weights


def test_class_weights_by_hand():
    # 100 pixels, 2 classes: 100 / (2 * 80) and 100 / (2 * 20).
    assert losses.class_weights([80, 20], 10.0) == [0.625, 2.5]
    # Equal classes weigh 1.
    assert losses.class_weights([7, 7, 7, 7, 7], 10.0) == [1.0] * 5


def test_class_weights_of_rare_and_absent_classes():
    # Present: 2. 1000 / (2 * 998), and 1000 / (2 * 2) = 250 cut to 10.
    found = losses.class_weights([998, 0, 2], 10.0)
    assert found == [pytest.approx(0.501002), 0.0, 10.0]


def test_weighted_pixels_have_an_equal_say():
    pixels = [900, 60, 40]
    weights = losses.class_weights(pixels, 1e6)
    says = [w * n for w, n in zip(weights, pixels, strict=True)]
    assert says == pytest.approx([1000 / 3] * 3)


# cross_entropy


def test_cross_entropy_by_hand():
    # p = (1/4, 3/4): the pixel of class 1 costs log(4/3).
    logits, target = grid([0, LOG(3)]), grid([0, 1])
    found = losses.cross_entropy(logits, target, ones(2))
    assert found.shape == (1,)
    assert float(found[0]) == pytest.approx(LOG(4 / 3))
    # Weights multiply: 5 * log 4 for class 0.
    weights = tf.constant([5.0, 1.0])
    found = losses.cross_entropy(logits, grid([1, 0]), weights)
    assert float(found[0]) == pytest.approx(5 * LOG(4))


def test_cross_entropy_of_a_soft_pixel_by_hand():
    # p = (1/2, 1/2): 2 * 0.25 * log 2 + 3 * 0.75 * log 2 = 2.75 log 2.
    weights = tf.constant([2.0, 3.0])
    found = losses.cross_entropy(grid([4, 4]), grid([0.25, 0.75]), weights)
    assert float(found[0]) == pytest.approx(2.75 * LOG(2), rel=1e-5)


def test_ignored_pixels_cost_nothing_but_count_in_the_mean():
    logits = grid([0, 0], [9, -9], [-9, 9], [3, 1])
    target = grid([1, 0], [0, 0], [0, 0], [0, 0])
    found = losses.cross_entropy(logits, target, ones(2))
    # log 2 of one pixel over four pixels.
    assert float(found[0]) == pytest.approx(LOG(2) / 4)


def test_the_generated_logit_takes_part_in_the_softmax_only():
    # p = (1, 1, 2) / 4: class 0 costs log 4, "generated" has no target.
    logits = grid([0, 0, LOG(2)])
    found = losses.cross_entropy(logits, grid([1, 0]), ones(2))
    assert float(found[0]) == pytest.approx(LOG(4))


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("extra", [0, 1])
def test_cross_entropy_against_numpy(classes, extra):
    logits, target, weights = random_case(classes, extra)
    p = softmax(logits)[..., :classes]
    wanted = -(weights * target * np.log(p)).sum(-1).mean((1, 2))
    found = losses.cross_entropy(logits, target, weights)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


# generated and real


def test_generated_and_real_by_hand():
    # p_generated = 3 / (1 + 2 + 3) = 1/2.
    logits = grid([LOG(1), LOG(2), LOG(3)])
    assert float(losses.generated(logits)[0]) == pytest.approx(LOG(2))
    assert float(losses.real(logits)[0]) == pytest.approx(LOG(2))
    # p_generated = 6 / (1 + 1 + 6) = 3/4: log(4/3) and log 4.
    logits = grid([0, 0, LOG(6)])
    assert float(losses.generated(logits)[0]) == pytest.approx(LOG(4 / 3))
    assert float(losses.real(logits)[0]) == pytest.approx(LOG(4))


@pytest.mark.parametrize("classes", [2, 5])
def test_generated_and_real_against_numpy(classes):
    logits, _, _ = random_case(classes, 1)
    p = softmax(logits.astype(np.float64))[..., -1]
    wanted = -np.log(p).mean((1, 2))
    np.testing.assert_allclose(losses.generated(logits), wanted, rtol=1e-5)
    wanted = -np.log(1 - p).mean((1, 2))
    np.testing.assert_allclose(losses.real(logits), wanted, rtol=1e-5)


def test_pixels_of_a_gap_are_real_and_others_not_asked():
    logits = grid([LOG(1), LOG(2), LOG(3)], [0, 0, LOG(6)])
    # The second pixel has a label, of which resampling left 4/5.
    where = losses.gaps(grid([0, 0], [0, 0.8]))
    np.testing.assert_allclose(tf.reshape(where, [-1]), [1, 0.2], rtol=1e-5)
    wanted = (LOG(2) + 0.2 * LOG(4)) / 2
    assert float(losses.real(logits, where)[0]) == pytest.approx(wanted)


# soft_dice


def test_soft_dice_by_hand():
    # p = (1/4, 3/4) at both pixels, classes 0 and 1. Class 0: (2 * 1/4 + 1)
    # / (1/2 + 1 + 1) = 0.6; class 1: (2 * 3/4 + 1) / (3/2 + 1 + 1) = 5/7.
    logits = grid([0, LOG(3)], [0, LOG(3)])
    found = losses.soft_dice(logits, grid([1, 0], [0, 1]))
    assert float(found[0]) == pytest.approx(1 - (0.6 + 5 / 7) / 2)


def test_soft_dice_of_a_perfect_and_of_an_empty_mask():
    sure = grid([60, 0], [0, 60])
    assert float(losses.soft_dice(sure, grid([1, 0], [0, 1]))[0]) < 1e-6
    # Nothing valid: (0 + 1) / (0 + 1) for each class, so no loss.
    empty = losses.soft_dice(sure, grid([0, 0], [0, 0]))
    assert float(empty[0]) == pytest.approx(0, abs=1e-6)


def test_soft_dice_leaves_ignored_pixels_out():
    logits, target = grid([1, 2], [0, 1]), grid([1, 0], [0, 1])
    longer = grid([1, 2], [0, 1], [50, -50], [3, 3])
    padded = grid([1, 0], [0, 1], [0, 0], [0, 0])
    assert float(losses.soft_dice(longer, padded)[0]) == pytest.approx(
        float(losses.soft_dice(logits, target)[0])
    )


@pytest.mark.parametrize("classes", [2, 5])
def test_soft_dice_against_numpy(classes):
    logits, target, _ = random_case(classes)
    wanted = []
    for x, t in zip(logits, target, strict=True):
        kept = t.sum(-1) > 0
        p, t = softmax(x)[kept], t[kept]
        dice = (2 * (p * t).sum(0) + 1) / (p.sum(0) + t.sum(0) + 1)
        wanted.append(1 - dice.mean())
    np.testing.assert_allclose(
        losses.soft_dice(logits, target), wanted, rtol=1e-5
    )


# consistency and confident


def test_consistency_by_hand():
    # (1/4 - 1)^2 + (3/4 - 0)^2 = 9/8, and 0 at the second pixel; mean 9/16.
    logits = grid([0, LOG(3)], [0, 0])
    found = losses.consistency(logits, grid([1, 0], [0.5, 0.5]))
    assert float(found[0]) == pytest.approx(9 / 16)


@pytest.mark.parametrize("classes", [2, 5])
def test_consistency_against_numpy(classes):
    logits, teacher, _ = random_case(classes)
    wanted = ((softmax(logits) - teacher) ** 2).sum(-1).mean((1, 2))
    np.testing.assert_allclose(
        losses.consistency(logits, teacher), wanted, rtol=1e-5
    )


def test_confident_keeps_sure_winners():
    p = grid([0.05, 0.9, 0.05], [0.3, 0.3, 0.4], [0.91, 0.09, 0])
    found = losses.confident(p, 0.9).numpy()[0, 0]
    # The threshold itself is enough.
    assert found.tolist() == [[0, 1, 0], [0, 0, 0], [1, 0, 0]]
    every = losses.confident(p, 0.0).numpy()[0, 0]
    assert every.tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
    # A tie has one winner.
    tie = losses.confident(grid([0.5, 0.5]), 0.0).numpy()
    assert tie.sum() == 1


# reconstruction


def test_reconstruction_by_hand():
    # Differences 2, -2 / -2, 2 average to 0 over the one 2x2 window; the
    # pixels differ by 2: 0 + 0.25 * 2.
    checks = tf.constant([[[[2.0]], [[-2.0]]], [[[-2.0]], [[2.0]]]])
    checks = tf.reshape(checks, [1, 2, 2, 1])
    zero = tf.zeros_like(checks)
    found = losses.reconstruction(checks, zero, 0.25)
    assert float(found[0]) == pytest.approx(0.5)
    # A constant difference of 3 counts in both: 3 + 0.25 * 3.
    found = losses.reconstruction(zero, zero + 3.0, 0.25)
    assert float(found[0]) == pytest.approx(3.75)


def test_reconstruction_is_symmetric_and_zero_for_equals():
    rng = np.random.default_rng(2)
    a, b = np.float32(rng.uniform(-1, 1, (2, 3, 6, 6, 3)))
    same = losses.reconstruction(a, a, 0.2)
    np.testing.assert_array_equal(same, np.zeros(3))
    there = losses.reconstruction(a, b, 0.2)
    np.testing.assert_allclose(there, losses.reconstruction(b, a, 0.2))
    # The pixels' part alone is a plain mean of absolute differences.
    part = losses.reconstruction(a, b, 1.2) - there
    np.testing.assert_allclose(part, np.abs(a - b).mean((1, 2, 3)), rtol=1e-5)


# Gradients and shapes


def all_losses(logits, target, weights):
    """Every loss of logits [B, H, W, N + 1]."""
    plain = logits[..., :-1]
    return {
        "cross_entropy": losses.cross_entropy(plain, target, weights),
        "with_generated": losses.cross_entropy(logits, target, weights),
        "generated": losses.generated(logits),
        "real": losses.real(logits),
        "soft_dice": losses.soft_dice(plain, target),
        "consistency": losses.consistency(plain, target),
        "reconstruction": losses.reconstruction(logits, logits * 0 + 1, 0.2),
    }


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("size", [0.0, 1e2, 1e4, 1e30])
def test_values_and_gradients_are_finite_at_extreme_logits(classes, size):
    signs, target, weights = random_case(classes, 1)
    logits = tf.constant(np.sign(signs) * np.float32(size))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        terms = all_losses(logits, target, weights)
    for name, value in terms.items():
        assert np.isfinite(value).all(), name
        gradient = tape.gradient(value, logits)
        assert np.isfinite(gradient).all(), name


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_one_float32_per_image_whatever_comes_in(dtype):
    logits, target, weights = random_case(5, 1)
    terms = all_losses(tf.cast(logits, dtype), target, weights)
    terms.pop("reconstruction")  # of images, which are float32
    for name, value in terms.items():
        assert value.shape == (3,), name
        assert value.dtype == tf.float32, name


def test_images_do_not_mix():
    logits, target, weights = random_case(2, 1)
    whole = all_losses(logits, target, weights)
    for i in range(3):
        alone = all_losses(logits[i : i + 1], target[i : i + 1], weights)
        for name, value in alone.items():
            assert float(value[0]) == pytest.approx(
                float(whole[name][i]), rel=1e-5
            ), name


def test_cross_entropy_falls_along_its_gradient():
    logits, target, weights = random_case(5)
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        before = tf.reduce_sum(losses.cross_entropy(logits, target, weights))
    step = 0.1 * tape.gradient(before, logits)
    after = losses.cross_entropy(logits - step, target, weights)
    assert float(tf.reduce_sum(after)) < float(before)


def test_real_of_logits_far_apart():
    logits = tf.constant([[[[0.0, 0.0, 50.0], [50.0, 0.0, 0.0]]]])
    found = losses.real(logits, tf.constant([[[1.0, 0.0]]])).numpy()
    # Two classes share what is left: log 2 less, over two pixels.
    np.testing.assert_allclose(found, [(50 - np.log(2)) / 2], rtol=1e-6)
    other = losses.real(logits, tf.constant([[[0.0, 2.0]]])).numpy()
    np.testing.assert_allclose(other, [np.exp(-50)], rtol=1e-4)
