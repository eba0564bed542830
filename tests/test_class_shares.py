"""Class shares of predicted masks, by hand and by bisection."""

import numpy as np
import pytest

from histogan_tf import class_shares


def softmax(logits):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_flattened_shares():
    np.testing.assert_allclose(
        class_shares.flattened([80, 20], 1.0), [0.8, 0.2]
    )
    np.testing.assert_allclose(
        class_shares.flattened([64, 36], 0.5), [4 / 7, 3 / 7]
    )
    # A class that no labelled image shows is not expected either.
    np.testing.assert_allclose(
        class_shares.flattened([5, 0, 45], 0.0), [0.5, 0, 0.5]
    )


def test_moved_probabilities_have_the_shares():
    rng = np.random.default_rng(0)
    p = softmax(4 * rng.normal(size=(5000, 4)) + [2, 0, 0, -3])
    shares = np.array([0.1, 0.2, 0.3, 0.4])
    assert np.abs(p.mean(0) - shares).max() > 0.3
    offset = class_shares.offsets(p, shares)
    found = class_shares.moved(p, offset)
    np.testing.assert_allclose(found.mean(0), shares, atol=2e-5)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)


def test_two_sure_camps_move_as_bisection_says():
    """Sure networks: a fixed-point iteration would take thousands of steps."""
    p = np.concatenate([np.full(700, 0.002), np.full(300, 0.997)])
    p = np.stack([1 - p, p], -1)
    offset = class_shares.offsets(p, np.array([0.55, 0.45]))
    low, high = -20.0, 20.0
    logit = np.log(p[:, 1] + 1e-3) - np.log(p[:, 0] + 1e-3)
    for _ in range(60):
        middle = (low + high) / 2
        share = (1 / (1 + np.exp(-logit - middle))).mean()
        low, high = (middle, high) if share < 0.45 else (low, middle)
    assert offset[1] - offset[0] == pytest.approx(low, abs=1e-2)


def test_absent_classes_stay_absent():
    p = softmax(np.random.default_rng(1).normal(size=(400, 3)))
    shares = class_shares.flattened([10, 0, 10])
    found = class_shares.moved(p, class_shares.offsets(p, shares))
    assert (found[:, 1] == 0).all()
    np.testing.assert_allclose(found.mean(0), [0.5, 0, 0.5], atol=2e-5)


def test_right_shares_change_nothing():
    p = softmax(np.random.default_rng(2).normal(size=(300, 2)))
    p = (p + 1e-3) / (1 + 2e-3)
    offset = class_shares.offsets(p, p.mean(0))
    np.testing.assert_allclose(class_shares.moved(p, offset), p, atol=2e-3)
