"""Boxes, and which part of each stage a window needs."""

import numpy as np
import pytest

from histogan_tf import halo, presets, regions, window_paint
from histogan_tf.regions import Box, Need


def test_boxes():
    box = Box(-3, 5, 2, 9)
    assert (box.height, box.width, box.area) == (8, 7, 56)
    assert box.grown(2) == Box(-5, 7, 0, 11)
    assert box.aligned(4) == Box(-4, 8, 0, 12)
    assert box.within(Box(0, 4, 0, 20)) == Box(0, 4, 2, 9)
    assert box.around(Box(0, 9, 3, 4)) == Box(-3, 9, 2, 9)
    assert box.coarser(2) == Box(-2, 3, 1, 5)
    assert box.finer(3) == Box(-9, 15, 6, 27)
    values = np.arange(100).reshape(10, 10)
    part = values[Box(3, 5, 4, 8).slices(Box(1, 11, 2, 12))]
    assert part.tolist() == [[22, 23, 24, 25], [32, 33, 34, 35]]


def test_extent_is_that_of_the_canvas():
    # 16 px of margin become 24, the next multiple of 12.
    assert regions.extent(13, 24, 12, 16) == Box(-24, 48, -24, 48)


def test_regions_by_hand():
    needs = [Need(4, 9, 14), Need(2, 3, 8)]
    whole = Box(-32, 160, -32, 160)
    coarse, fine = regions.stage_regions(needs, Box(63, 70, 100, 101), whole)
    assert fine.result == Box(63, 70, 100, 101)
    # Aligned to 62..70 and 100..102, then 4 px (3 rounded up) a side.
    assert fine.body == Box(58, 74, 96, 106)
    assert fine.mask == Box(54, 78, 92, 110)
    # Half of the body, and one pixel more for the doubling.
    assert coarse.result == Box(28, 38, 47, 54)
    # 28..40 and 44..56 grown by 12, cut at half the whole's 160.
    assert coarse.body == Box(16, 52, 32, 68)
    assert coarse.mask == Box(12, 56, 28, 72)
    assert regions.mask_box([coarse, fine], 8, whole) == Box(24, 112, 56, 144)


def test_at_the_border_boxes_end_with_the_canvas():
    needs = [Need(2, 40, 40), Need(2, 3, 30)]
    whole = Box(-32, 96, -32, 96)
    coarse, fine = regions.stage_regions(needs, Box(0, 8, 60, 64), whole)
    assert fine.mask == Box(-30, 38, 30, 94)
    assert coarse.body == Box(-16, 48, -14, 48)
    array = regions.to_array([coarse, fine])
    assert array.shape == (2, 3, 4) and array.dtype == np.int64
    assert array[0, 1].tolist() == [-16, 48, -14, 48]
    assert array[1, 2].tolist() == [-30, 38, 30, 94]


@pytest.mark.parametrize("preset", sorted(presets.PRESETS))
def test_stages_apart_need_less_than_one_halo_for_all(preset):
    config = presets.PRESETS[preset]()
    needs = window_paint.paint_needs(config)
    side, reach = 1024, halo.paint_halo(config)
    far = Box(-(10**6), 10**6, -(10**6), 10**6)
    found = regions.stage_regions(needs, Box(0, side, 0, side), far)
    for place, region in enumerate(found):
        shrink = 2 ** (len(found) - 1 - place)
        alike = Box(0, side, 0, side).grown(reach).coarser(shrink)
        # The coarsest stage needs it all; each finer one much less.
        assert region.mask.within(alike.grown(2 * needs[place].stride))
        if place:
            assert region.body.area < 0.9 * alike.area
