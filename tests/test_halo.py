"""The halo: nothing beyond it matters, and little of it is for nothing."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf import halo
from histogan_tf.config import Config, NetworkConfig, StageConfig
from histogan_tf.models.segmenter import Segmenter, no_opinion
from histogan_tf.pyramid import Pyramid, blank_networks

CLASSES = 2


def net(levels, blocks=1):
    return NetworkConfig((3,) * levels, blocks)


def pyramid_config(*generators):
    return Config(
        noise_channels=1,
        stages=tuple(StageConfig(generator=g, segmenter=g) for g in generators),
    )


PYRAMIDS = {
    "one level": pyramid_config(net(1)),
    "two blocks": pyramid_config(net(2, blocks=2)),
    "coarse within": pyramid_config(net(1), net(3)),
    "three stages": pyramid_config(net(2), net(2), net(2)),
}
SEGMENTERS = {
    "three levels": (net(3), 1),
    "two blocks": (net(2, blocks=2), 1),
    "patches": (net(2), 2),
}


def randomise(networks, seed=0):
    """Every weight in play, and nothing so large that it clips."""
    rng = np.random.default_rng(seed)
    for variable in (v for n in networks for v in n.variables):
        fan = max(1, int(np.prod(variable.shape[:-1])))
        draws = rng.normal(0, 0.5 * fan**-0.5, variable.shape)
        if "variance" in variable.name:
            draws = 1 + np.abs(draws)
        variable.assign(draws.astype(np.float32))


@functools.cache
def painter(name):
    """A pyramid's multiple and its finest image of a mask [1, n, n, 2]."""
    config = PYRAMIDS[name]
    stages = [
        blank_networks(config, k, CLASSES) for k in range(len(config.stages))
    ]
    pyramid = Pyramid(config, CLASSES, tuple(stages))
    style, seed = tf.zeros([1, 6]), tf.zeros([1], tf.int64)

    def paint(mask):
        return pyramid.paint(mask, style, seed)[-1]

    side = pyramid.multiple
    paint(tf.zeros([1, side, side, CLASSES]))
    randomise([s.generator for s in stages])
    return side, tf.function(paint, autograph=False)


@functools.cache
def reader(name):
    """A segmenter's stride and its logits of an image [1, n, n, 3]."""
    config, patch = SEGMENTERS[name]
    network = Segmenter(config, CLASSES, patch)

    def read(image):
        return network(image, no_opinion(image, CLASSES))

    read(tf.zeros([1, network.stride, network.stride, 3]))
    randomise([network])
    return network.stride, tf.function(read, autograph=False)


def measured(function, side, width, channels):
    """How far from a window inputs change it: by gradient, which is exact.

    A float32 sum swallows a far pixel's share of 1e-8; a gradient does not.
    """
    rng = np.random.default_rng(1)
    whole = tf.constant(
        rng.uniform(0, 1, (1, 2 * width + side, 2 * width + side, channels)),
        tf.float32,
    )
    window = slice(width, width + side)
    with tf.GradientTape() as tape:
        tape.watch(whole)
        inside = function(whole)[:, window, window]
        total = tf.reduce_sum(inside * rng.normal(size=inside.shape))
    rows, columns = np.nonzero(tape.gradient(total, whole)[0].numpy().any(-1))
    sides = [
        width - rows.min(),
        rows.max() + 1 - width - side,
        width - columns.min(),
        columns.max() + 1 - width - side,
    ]
    return sides


def check_nothing_beyond(function, side, reach, channels):
    """Other values beyond the halo leave the window's bytes alone."""
    multiple = side
    width = halo.rounded(reach + multiple, multiple)
    rng = np.random.default_rng(2)
    size = 2 * width + side
    whole = rng.uniform(0, 1, (1, size, size, channels)).astype(np.float32)
    kept = slice(width - reach, width + side + reach)
    other = rng.uniform(0, 1, whole.shape).astype(np.float32)
    other[:, kept, kept] = whole[:, kept, kept]
    window = slice(width, width + side)
    one, two = (function(tf.constant(x)).numpy() for x in (whole, other))
    np.testing.assert_array_equal(
        one[:, window, window], two[:, window, window]
    )
    assert (one != two).any()


@pytest.mark.parametrize("name", PYRAMIDS)
def test_halo_of_painting_is_enough_and_tight(name):
    side, paint = painter(name)
    reach = halo.paint_halo(PYRAMIDS[name])
    check_nothing_beyond(paint, side, reach, CLASSES)
    width = halo.rounded(reach + side, side)
    assert measured(paint, side, width, CLASSES) == [reach] * 4


@pytest.mark.parametrize("name", SEGMENTERS)
def test_halo_of_reading_is_enough_and_tight(name):
    side, read = reader(name)
    reach = halo.read_halo(*SEGMENTERS[name])
    check_nothing_beyond(read, side, reach, 3)
    width = halo.rounded(reach + side, side)
    assert measured(read, side, width, 3) == [reach] * 4


def test_halo_by_hand():
    # Last convolution 1, block 2, entry 1, averages 6.
    assert halo.paint_halo(pyramid_config(net(1))) == 10
    # A U-Net of one level is a single 3x3 convolution.
    assert halo.read_halo(net(1)) == 1
    assert halo.read_halo(net(1), patch=4) == 4


def test_a_window_with_its_halo_is_the_crop():
    side, paint = painter("three stages")
    reach = halo.rounded(halo.paint_halo(PYRAMIDS["three stages"]), side)
    size = 2 * reach + 4 * side
    draws = np.random.default_rng(3).dirichlet([0.3] * CLASSES, (1, size, size))
    whole = tf.constant(draws, tf.float32)
    # Noise starts at 0 in both, so the window starts there as well.
    part = paint(whole[:, : reach + side, : reach + side])
    np.testing.assert_allclose(
        part[:, :side, :side], paint(whole)[:, :side, :side], atol=1e-4
    )


@pytest.mark.parametrize(
    ("first", "size", "wanted"),
    [(0, 8, (0, 8)), (3, 8, (0, 12)), (-3, 2, (-4, 4)), (7, 1, (4, 4))],
)
def test_aligned(first, size, wanted):
    assert halo.aligned(first, size, 4) == wanted
    assert halo.rounded(9, 4) == 12 and halo.rounded(8, 4) == 8
