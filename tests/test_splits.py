"""Held-out groups and drawn labels."""

import pathlib

import pytest

from histogan_tf.data import splits
from histogan_tf.data.pairs import ImageFiles
from histogan_tf.errors import InputError


def sources(*groups):
    return [
        ImageFiles(pathlib.Path(f"{n:02d}.png"), group, pathlib.Path("m"))
        for n, group in enumerate(groups)
    ]


@pytest.mark.parametrize("seed", range(20))
def test_groups_stay_whole_and_the_share_is_near(seed):
    given = sources(*"aaaabbbbccccddddeeee")
    train, held = splits.hold_out(given, 0.2, seed)
    assert sorted(train + held, key=lambda s: s.name) == given
    assert len(held) == 4 and len({s.group for s in held}) == 1
    assert not {s.group for s in held} & {s.group for s in train}


@pytest.mark.parametrize("seed", range(20))
def test_one_group_is_held_and_one_stays(seed):
    for share in (0.01, 0.99):
        train, held = splits.hold_out(sources(*"aaab"), share, seed)
        assert train and held


def test_without_groups_images_are_drawn():
    given = sources(*[""] * 20)
    draws = [splits.hold_out(given, 0.15, seed)[1] for seed in (0, 0, 1)]
    assert [len(held) for held in draws] == [3, 3, 3]
    assert draws[0] == draws[1] != draws[2]


def test_no_share_holds_out_nothing():
    assert splits.hold_out(sources("a"), 0.0, 0) == (sources("a"), [])


def test_a_single_group_cannot_be_split():
    with pytest.raises(InputError, match=r"--validation 0\.1.*one group"):
        splits.hold_out(sources("a", "a"), 0.1, 0)


def test_draw_labelled():
    given = sources(*"abcdefgh")
    labelled, rest = splits.draw_labelled(given, 3, seed=5)
    assert len(labelled) == 3 and len(rest) == 5
    assert all(s.mask for s in labelled) and not any(s.mask for s in rest)
    assert {s.image for s in labelled + rest} == {s.image for s in given}
    assert splits.draw_labelled(given, 3, seed=5) == (labelled, rest)
    for count in (0, 9):
        with pytest.raises(InputError, match=r"1\.\.8"):
            splits.draw_labelled(given, count, 0)


def test_shuffled_keeps_all():
    given = sources(*"abcdefgh")
    mixed = splits.shuffled(given, 1)
    assert mixed != given and sorted(mixed, key=lambda s: s.name) == given
