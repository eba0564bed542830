"""Islands of small masks drawn by hand."""

import numpy as np

from histogan_tf.data import islands


def mask(*rows):
    return np.array([[int(x) for x in row] for row in rows], np.uint8)


RING = mask(
    "0000000",
    "0111110",
    "0100010",
    "0100010",
    "0111110",
    "0000000",
)


def test_a_ring_is_an_island_and_so_is_what_it_encloses():
    hole, ring = islands.islands(RING)
    assert (hole.inner, hole.outer, hole.area) == (0, 1, 6)
    assert (hole.rows, hole.columns) == (slice(1, 5), slice(1, 6))
    assert (ring.inner, ring.outer, ring.area) == (1, 0, 14)
    np.testing.assert_array_equal(ring.inside, RING == 1)


def test_what_touches_the_border_or_two_classes_is_none():
    assert not list(islands.islands(RING[:, 2:]))
    two = RING.copy()
    two[2, 1] = 2  # on the ring, beside the hole
    assert [i.inner for i in islands.islands(two)] == []
    # A leak across a corner is none: diagonal pixels are no neighbours.
    leak = RING.copy()
    leak[1, 1] = 0
    assert [i.area for i in islands.islands(leak) if i.inner == 0] == [6]


def test_shares_by_hand():
    found = islands.shares([RING, np.zeros((4, 4), np.uint8)], 3)
    wanted = np.zeros((3, 3))
    wanted[0, 1], wanted[1, 0] = 6 / 14, 14 / 44
    wanted[:, 2] = np.inf
    np.testing.assert_allclose(found, wanted)
    # 7 is a gap.
    gap = RING.copy()
    gap[2:4, 2:5] = 7
    assert islands.shares([gap], 3)[0, 1] == 0


def test_strange_islands_go():
    strange = np.zeros((2, 2), bool)
    np.testing.assert_array_equal(islands.filled(RING, strange), RING)
    strange[0, 1] = True
    whole = islands.filled(RING, strange)
    assert whole.sum() == 20 and RING.sum() == 14


def test_islands_in_islands_go_from_the_innermost():
    # Gland debris in a lumen in a gland.
    nested = np.ones((9, 9), np.uint8)
    nested[0] = nested[-1] = nested[:, 0] = nested[:, -1] = 0
    nested[2:7, 2:7] = 0
    nested[4, 4] = 1
    only_stroma = np.array([[False, True], [False, False]])
    # The lumen has gland on both sides, so it is an island like any other.
    assert islands.filled(nested, only_stroma).sum() == 49
    both = np.array([[False, True], [True, False]])
    found = islands.filled(nested, both)
    assert found.sum() in (0, 49)
