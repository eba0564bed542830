"""The comparison of synthetic and real images is fair, and its sums right."""

from dataclasses import replace

import numpy as np
import pytest

from histogan_tf.errors import InputError
from histogan_tf.evaluation import fidelity
from histogan_tf.metrics.wasserstein import SwdSettings

FEW = SwdSettings(patches_per_image=32, repeats=1, directions=16)


@pytest.mark.parametrize("count", [4, 5, 8, 11])
def test_no_mask_takes_its_own_style_and_halves_keep_theirs(count):
    groups = fidelity.style_groups(count, seed=3)
    donors = fidelity.style_donors(groups)
    assert sorted(donors) == list(range(count))
    assert all(donor != image for image, donor in enumerate(donors))
    one, two = fidelity.halves(groups, seed=5)
    assert one and two and not set(one) & set(two)
    for half in (one, two):
        assert {donors[i] for i in half} == set(half)


def test_few_images_keep_their_styles_so_that_they_can_be_halved():
    assert fidelity.style_donors(fidelity.style_groups(3, 0)) == (0, 1, 2)
    one, two = fidelity.halves(fidelity.style_groups(2, 0), 0)
    assert sorted(one + two) == [0, 1]


def test_groups_and_halves_are_decided_by_the_seed():
    assert fidelity.style_groups(9, 1) == fidelity.style_groups(9, 1)
    assert fidelity.style_groups(9, 1) != fidelity.style_groups(9, 2)
    groups = fidelity.style_groups(12, 1)
    assert fidelity.halves(groups, 1) == fidelity.halves(groups, 1)
    assert fidelity.halves(groups, 1) != fidelity.halves(groups, 2)


def grain(seed, size=40):
    draws = np.random.default_rng(seed).integers(60, 190, (size, size, 3))
    return draws.astype(np.uint8)


@pytest.mark.parametrize("strict", [False, True])
def test_perfect_images_are_at_the_floor(strict):
    real = [grain(i) for i in range(6)]
    groups = fidelity.style_groups(6, 0)
    settings = SwdSettings(
        patches_per_image=32, repeats=1, directions=16, real_statistics=strict
    )
    row = fidelity.distances(fidelity.Pair(real, real), groups, settings, 2)
    assert row["distances"] == row["floor"]
    assert row["ratio"] == [1.0, 1.0]
    assert len(row["spread"]) == row["settings"]["levels"] == 2
    assert row["images"] == [2, 2]  # three pairs: one is left out


def test_flat_images_are_far_above_the_floor():
    real = [grain(i) for i in range(6)]
    flat = [np.full((40, 40, 3), 125, np.uint8)] * 6
    groups = fidelity.style_groups(6, 0)
    row = fidelity.distances(fidelity.Pair(real, flat), groups, FEW, 2)
    assert min(row["ratio"]) > 3


def test_the_smallest_image_decides_the_levels():
    real = [grain(0, 70), grain(1, 40), grain(2, 70), grain(3, 70)]
    groups = fidelity.style_groups(4, 0)
    row = fidelity.distances(fidelity.Pair(real, real), groups, FEW, 1)
    assert len(row["distances"]) == 2


def test_images_smaller_than_a_patch_are_refused():
    real = [grain(i, 6) for i in range(4)]
    groups = fidelity.style_groups(4, 0)
    with pytest.raises(InputError, match="6 px at level 1"):
        fidelity.distances(fidelity.Pair(real, real), groups, FEW, 1)


def test_sizes_are_checked_at_every_stage():
    real = [grain(0, 70), grain(1, 57)]
    fidelity.check(real, [4, 1], replace(FEW, levels=2))  # 15 px, then 8
    with pytest.raises(InputError, match=r"15 px at stage 0, 4 at level 3"):
        fidelity.check(real, [4, 1], replace(FEW, levels=3))
    with pytest.raises(InputError, match=r"6 px at stage 0, 6 at level 1"):
        fidelity.check(real, [10], FEW)
