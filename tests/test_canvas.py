"""The canvas: any size, no seams, the same bytes for the same seed."""

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf import canvas, run_dir
from histogan_tf.models import layers


@pytest.fixture
def made(random_canvas):
    return random_canvas


@pytest.fixture(scope="module")
def alone(random_run):
    network = run_dir.load_segmenter(run_dir.open_run(random_run))
    return canvas.Reader(network)


def test_a_stage_that_refines_reads_twice(random_run):
    run = run_dir.open_run(random_run)
    network = run_dir.load_pyramid(run).stages[1].segmenter
    image = tissue(48, 64)
    found = canvas.Reader(network, refines=True)(image)
    pad = 4 * network.stride
    padded = np.pad(image, [(pad, pad), (pad, pad), (0, 0)], "symmetric")
    unit = tf.constant(padded[None] / 127.5 - 1, tf.float32)
    first = tf.nn.softmax(network(unit, None)).numpy()
    blocks = first.reshape(1, first.shape[1] // 2, 2, -1, 2, 3)
    opinion = layers.double(tf.constant(blocks.mean((2, 4))))
    wanted = tf.nn.softmax(network(unit, opinion))[0, pad:-pad, pad:-pad]
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    once = canvas.Reader(network)(image)
    assert np.abs(once - found).max() > 1e-3
    odd = canvas.Reader(network, refines=True)(image[:33, :31])
    assert odd.shape == (33, 31, 3)


def blocks(height, width, seed=0):
    ids = np.random.default_rng(seed).integers(0, 3, (99, 99), np.uint8)
    return np.kron(ids, np.ones((8, 8), np.uint8))[:height, :width]


def tissue(height, width):
    draws = np.random.default_rng(1).integers(0, 256, (height, width, 3))
    return draws.astype(np.uint8)


STYLE = np.zeros(6, np.float32)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (7, 64), (33, 31), (48, 40)])
def test_any_size_comes_back_as_it_went_in(made, alone, size):
    small = tuple(-(-s // 2) for s in size)
    coarse, fine = made.synthesise(blocks(*size), STYLE, 0)
    assert fine.shape == (*size, 3) and coarse.shape == (*small, 3)
    assert fine.dtype == coarse.dtype == np.uint8
    first, last = made.segment(tissue(*size))
    assert last.shape == (*size, 3) and first.shape == (*small, 3)
    assert alone(tissue(*size)).shape == (*size, 3)
    np.testing.assert_allclose(last.sum(-1), 1, atol=1e-5)


def test_a_window_of_the_canvas_is_a_crop_of_the_whole(made):
    mask = blocks(128, 128)
    whole = made.synthesise(mask, STYLE, 3)[-1].astype(int)
    part = made.synthesise(mask[:96, :96], STYLE, 3)[-1].astype(int)
    # Rounding to bytes can tip over by one where floats differ by 1e-6.
    assert np.abs(whole[:40, :40] - part[:40, :40]).max() <= 1


def test_the_same_seed_gives_the_same_bytes(made):
    mask = blocks(33, 31)
    first, again = (made.synthesise(mask, STYLE, 5) for _ in range(2))
    for one, two in zip(first, again, strict=True):
        assert one.tobytes() == two.tobytes()
    other = made.synthesise(mask, STYLE, 6)
    assert (other[-1] != first[-1]).mean() > 0.3


def test_style_and_mask_change_the_image(made):
    mask = blocks(32, 32)
    base = made.synthesise(mask, STYLE, 0)[-1]
    assert (made.synthesise(mask, STYLE + 1, 0)[-1] != base).mean() > 0.3
    swapped = (mask + 1) % 3
    assert (made.synthesise(swapped, STYLE, 0)[-1] != base).mean() > 0.3


def test_ignored_pixels_count_as_class_0(made):
    mask = blocks(16, 16)
    holes = np.where(mask == 0, np.uint8(255), mask)
    np.testing.assert_array_equal(
        made.synthesise(mask, STYLE, 0)[-1],
        made.synthesise(holes, STYLE, 0)[-1],
    )


def test_padding_mirrors_and_comes_off_again():
    pad = canvas.padding((3, 5), multiple=4, margin=6)
    assert pad == canvas.Padding(8, 9, 8, 11)
    values = np.arange(15).reshape(3, 5)
    padded = pad.pad(values)
    assert padded.shape == (20, 24)
    np.testing.assert_array_equal(pad.crop(padded), values)
    # The row above the first is the first itself, then the second.
    np.testing.assert_array_equal(padded[7, 8:13], values[0])
    np.testing.assert_array_equal(padded[6, 8:13], values[1])


def test_to_uint8_rounds_and_clips():
    values = np.array([-1.2, -1.0, 0.0, 0.5, 1.0, 7.0])
    assert canvas.unit_to_uint8(values).tolist() == [0, 0, 128, 191, 255, 255]
