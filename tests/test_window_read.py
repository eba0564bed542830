"""Windows of a segmentation: a crop of the whole, wherever they lie."""

import dataclasses
import functools

import numpy as np
import pytest

from histogan_tf import canvas, halo, run_dir, sources, window_read
from histogan_tf.config import (
    Config,
    NetworkConfig,
    SegmenterConfig,
    StageConfig,
)
from histogan_tf.errors import InputError
from histogan_tf.models.segmenter import Segmenter, no_opinion
from histogan_tf.models.turned import Turned
from histogan_tf.pyramid import Pyramid, blank_networks
from histogan_tf.regions import Box

CLASSES = 3
BOXES = [
    Box(0, 40, 0, 40),
    Box(61, 98, 33, 34),
    Box(130, 151, 140, 173),
    Box(0, 151, 77, 90),
]


@functools.cache
def image():
    draws = np.random.default_rng(1).integers(0, 256, (151, 173, 3))
    return draws.astype(np.uint8)


@functools.cache
def alone():
    """A segmenter of three levels and patches, and its settings."""
    settings = SegmenterConfig(16, network=NetworkConfig((4, 5, 6)), patch=2)
    network = Segmenter(settings.network, CLASSES, settings.patch)
    zeros = np.zeros((1, 8, 8, 3), np.float32)
    network(zeros, no_opinion(zeros, CLASSES))
    randomise(network)
    return network, settings


def randomise(network):
    rng = np.random.default_rng(0)
    for variable in network.variables:
        fan = max(1, int(np.prod(variable.shape[:-1])))
        draws = rng.normal(0, 1.5 * fan**-0.5, variable.shape)
        if "variance" in variable.name:
            draws = 0.2 + np.abs(draws)
        variable.assign(draws)


def test_the_final_segmenter():
    network, settings = alone()
    whole = canvas.Reader(network)(image())
    assert whole.max() > 0.9  # so it has opinions that could differ
    reader = window_read.of_segmenter(network, settings)
    check(reader, whole)


def test_the_final_segmenter_several_ways_round():
    network, settings = alone()
    turned = Turned(network, 6)
    whole = canvas.Reader(turned)(image())
    assert np.abs(whole - canvas.Reader(network)(image())).max() > 0.1
    check(window_read.of_segmenter(turned, settings), whole)


def test_the_pyramid(random_canvas):
    whole = random_canvas.segment(image())[-1]
    check(window_read.of_pyramid(random_canvas.pyramid), whole)


def test_a_pyramid_whose_finest_segmenter_takes_patches():
    net = NetworkConfig((4, 5))
    coarse = StageConfig(16, generator=net, critic=net, segmenter=net)
    fine = dataclasses.replace(coarse, segmenter_patch=2)
    config = Config(noise_channels=1, stages=(coarse, fine))
    networks = [blank_networks(config, k, CLASSES) for k in range(2)]
    assert [n.segmenter.patch for n in networks] == [1, 2]
    pyramid = Pyramid(config, CLASSES, tuple(networks))
    pyramid.make_variables()
    for stage in networks:
        randomise(stage.segmenter)
    whole = canvas.Canvas(pyramid).segment(image())[-1]
    assert whole.max() > 0.9
    check(window_read.of_pyramid(pyramid), whole)


def check(reader, whole):
    source = sources.from_array(image())
    for box in BOXES:
        seen = reader.surroundings(source, box)
        labels, found = reader.labels_and_probabilities(source, box, seen)
        expected = whole[box.slices(Box(0, 0, 0, 0))]
        assert found.shape == expected.shape and found.dtype == np.float32
        assert np.abs(found - expected).max() <= 1e-4
        assert (labels == found.argmax(-1)).all()
        np.testing.assert_array_equal(reader.labels(source, box, seen), labels)


def test_less_than_the_halo_is_not_enough():
    network, settings = alone()
    whole = canvas.Reader(network)(image())
    reader = window_read.of_segmenter(network, settings)
    reach = halo.read_halo(settings.network, settings.patch)
    short = window_read.Need(network.stride, reach // 4, reach // 4)
    reader.layout = window_read.Layout((short,), network.stride, 32)
    with pytest.raises(AssertionError):
        check(reader, whole)


def test_windows_outside_are_refused():
    network, settings = alone()
    reader = window_read.of_segmenter(network, settings)
    source = sources.from_array(image())
    with pytest.raises(InputError, match="rows 150 to 152"):
        reader.surroundings(source, Box(150, 152, 0, 5))


def test_settings_of_a_run(random_run):
    run = run_dir.open_run(random_run)
    network = run_dir.load_segmenter(run)
    reader = window_read.of_segmenter(network, run.config().segmenter)
    assert reader.layout.multiple == network.stride == 2
    assert reader.layout.margin == 8
