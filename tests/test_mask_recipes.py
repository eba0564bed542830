"""New masks from known ones."""

import cv2
import numpy as np
import pytest

from histogan_tf import mask_recipes
from histogan_tf.mask_recipes import NamedMask


def rings():
    """Two masks: stroma 0 with round glands 1 that have a lumen 2."""
    out = []
    for name, centres in (("a", [(20, 20)]), ("b", [(25, 40), (70, 60)])):
        mask = np.zeros((100, 80), np.uint8)
        for centre in centres:
            cv2.circle(mask, centre[::-1], 9, 1, -1)
            cv2.circle(mask, centre[::-1], 4, 2, -1)
        out.append(NamedMask(name, mask))
    return out


@pytest.mark.parametrize("name", sorted(mask_recipes.RECIPES))
def test_the_same_seed_gives_the_same_mask(name):
    recipe = mask_recipes.RECIPES[name]
    found = [recipe(rings(), np.random.default_rng(3)) for _ in range(2)]
    np.testing.assert_array_equal(found[0].mask, found[1].mask)
    assert found[0].name == found[1].name
    assert found[0].mask.dtype == np.uint8
    others = {
        recipe(rings(), np.random.default_rng(s)).mask.tobytes()
        for s in range(20)
    }
    assert len(others) > 5


def test_resampled_masks_are_one_of_eight():
    mask = np.arange(6, dtype=np.uint8).reshape(2, 3)
    rng = np.random.default_rng(0)
    found = {
        mask_recipes.resampled([NamedMask("m", mask)], rng).mask.tobytes()
        for _ in range(100)
    }
    turned = [np.rot90(m, k) for m in (mask, mask[:, ::-1]) for k in range(4)]
    assert found == {np.ascontiguousarray(m).tobytes() for m in turned}


def test_warping_bends_but_keeps_areas_and_classes():
    rng = np.random.default_rng(1)
    before = np.mean(
        [[(m.mask == c).mean() for c in range(3)] for m in rings()], 0
    )
    after = np.mean(
        [
            [(m.mask == c).mean() for c in range(3)]
            for m in (mask_recipes.warped(rings(), rng) for _ in range(200))
        ],
        0,
    )
    np.testing.assert_allclose(after, before, rtol=0.2)
    one = mask_recipes.warped(rings()[:1], np.random.default_rng(2)).mask
    same = [np.rot90(m, k) for m in (rings()[0].mask,) for k in range(4)]
    assert not any(np.array_equal(one, m) for m in same)


def test_recombined_masks_gain_whole_objects_that_touch_nothing():
    gained = 0
    for seed in range(20):
        found = mask_recipes.recombined(rings(), np.random.default_rng(seed))
        count = cv2.connectedComponents((found.mask > 0).astype(np.uint8))[0]
        pasted = int(found.name.split("with ")[1].split(" of")[0])
        parent = 1 if found.name.startswith("a") else 2
        assert count - 1 == parent + pasted
        # Each object still has its lumen.
        lumens = cv2.connectedComponents((found.mask == 2).astype(np.uint8))[0]
        assert lumens == count
        gained += pasted
    assert gained > 10


def test_objects_that_the_edge_cuts_are_not_pasted():
    cut = np.zeros((40, 40), np.uint8)
    cv2.circle(cut, (0, 20), 8, 1, -1)
    empty = NamedMask("empty", np.zeros((40, 40), np.uint8))
    for seed in range(10):
        found = mask_recipes.recombined(
            [empty, NamedMask("cut", cut)], np.random.default_rng(seed)
        )
        assert "with 0 of" in found.name
