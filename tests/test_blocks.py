"""Windows made of blocks, and how many blocks are decoded and kept."""

import numpy as np
import pytest

from histogan_tf.data.blocks import Backend, BlockImage, Level

PIXELS = np.arange(50 * 70, dtype=np.uint16).reshape(50, 70)


class Decoder:
    """Blocks of 16 x 20 px, padded beyond the border; counts its calls."""

    def __init__(self):
        self.calls, self.closed = [], False

    def read(self, level, i, j):
        self.calls.append((level, i, j))
        padded = np.pad(PIXELS, ((0, 14), (0, 10)))
        return padded[16 * i : 16 * i + 16, 20 * j : 20 * j + 20]

    def close(self):
        self.closed = True


def made(cache=1 << 20):
    decoder = Decoder()
    backend = Backend(
        (Level(50, 70, 16, 20),), decoder.read, decoder.close, None
    )
    return decoder, BlockImage(backend, cache)


@pytest.mark.parametrize(
    "box", [(0, 0, 50, 70), (15, 19, 2, 2), (49, 69, 1, 1), (3, 7, 40, 60)]
)
def test_windows_are_slices(box):
    top, left, height, width = box
    _, image = made()
    np.testing.assert_array_equal(
        image.window(0, *box), PIXELS[top : top + height, left : left + width]
    )


def test_only_blocks_that_are_met_are_decoded_once():
    decoder, image = made()
    image.window(0, 10, 10, 10, 15)
    assert decoder.calls == [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1)]
    image.window(0, 12, 12, 10, 15)
    assert len(decoder.calls) == 4


def test_the_block_used_longest_ago_is_forgotten():
    decoder, image = made(cache=2 * 16 * 20 * 2)
    for column in (0, 20, 0, 40, 0, 20):
        image.window(0, 0, column, 1, 1)
    # Block 1 gave way to block 2, block 0 never did.
    assert [j for _, _, j in decoder.calls] == [0, 1, 2, 1]


def test_a_block_larger_than_the_cache_is_kept():
    decoder, image = made(cache=1)
    image.window(0, 0, 0, 1, 1)
    image.window(0, 0, 1, 1, 1)
    assert len(decoder.calls) == 1


def test_closing():
    decoder, image = made()
    image.close()
    assert decoder.closed
