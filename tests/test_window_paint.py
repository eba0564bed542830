"""Windows of a canvas: at any place and size a crop of the whole."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf import canvas, preprocess, sources, window_paint
from histogan_tf.canvas import Canvas
from histogan_tf.config import Config, NetworkConfig, StageConfig
from histogan_tf.errors import InputError
from histogan_tf.pyramid import Pyramid, blank_networks
from histogan_tf.regions import Box

CLASSES, SEED = 3, 2**40 + 11
STYLE = np.linspace(-1, 1, 6).astype(np.float32)
SIZE = (517, 613)


def net(*widths, blocks=1):
    return NetworkConfig(widths, blocks)


PYRAMIDS = {
    "one level": [net(3), net(3)],
    "deep above": [net(3), net(3, 4, 3)],
    "four stages": [net(4, 4, 4), net(4, 4, blocks=2), net(3, 4), net(3, 3)],
}


@functools.cache
def made(name):
    """A pyramid with all weights in play, and nothing that clips."""
    stages = tuple(
        StageConfig(generator=n, segmenter=n) for n in PYRAMIDS[name]
    )
    config = Config(noise_channels=2, stages=stages)
    networks = [blank_networks(config, k, CLASSES) for k in range(len(stages))]
    pyramid = Pyramid(config, CLASSES, tuple(networks))
    side = pyramid.multiple
    zeros = tf.zeros([1, side, side, CLASSES])
    pyramid.paint(zeros, tf.zeros([1, 6]), tf.zeros([1], tf.int64))
    rng = np.random.default_rng(0)
    for variable in (v for n in networks for v in n.generator.variables):
        fan = max(1, int(np.prod(variable.shape[:-1])))
        draws = rng.normal(0, 0.5 * fan**-0.5, variable.shape)
        variable.assign(draws.astype(np.float32))
    return Canvas(pyramid), window_paint.WindowPainter(pyramid)


@functools.cache
def mask(size=SIZE):
    ids = np.random.default_rng(1).integers(0, CLASSES, (90, 90), np.uint8)
    return np.kron(ids, np.ones((7, 9), np.uint8))[: size[0], : size[1]]


@functools.cache
def whole(name, size=SIZE):
    """All stages of the whole canvas, float32, as `Canvas` pads them."""
    made_canvas = made(name)[0]
    multiple, margin = made_canvas.pyramid.multiple, made_canvas.margin
    pad = canvas.padding(size, multiple, margin)
    soft = preprocess.one_hot(pad.pad(tf.constant(mask(size))), CLASSES)
    images = made_canvas.paint(
        soft[None], STYLE[None], [SEED], [-pad.top], [-pad.left]
    )
    out = []
    for place, image in enumerate(images):
        shrink = 2 ** (len(images) - 1 - place)
        rows, columns = (-(-n // shrink) for n in size)
        top, left = pad.top // shrink, pad.left // shrink
        out.append(image[0, top : top + rows, left : left + columns].numpy())
    return out


WINDOWS = [
    Box(0, 64, 0, 64),
    Box(201, 274, 303, 320),
    Box(255, 256, 77, 150),
    Box(500, 517, 590, 613),
    Box(0, 1, 0, 613),
    Box(130, 517, 0, 33),
]


@pytest.mark.parametrize("name", PYRAMIDS)
@pytest.mark.parametrize("box", WINDOWS, ids=str)
def test_a_window_is_a_crop_of_the_whole_at_every_stage(name, box):
    painter, source = made(name)[1], sources.from_array(mask())
    ids = painter.mask_around(source, box)
    found = painter.stages(source, box, ids, SEED, STYLE)
    assert found[-1].shape == (box.height, box.width, 3)
    for place, image in enumerate(found):
        part = box.coarser(2 ** (len(found) - 1 - place))
        expected = whole(name)[place][part.slices(Box(0, 0, 0, 0))]
        assert image.dtype == np.float32
        assert np.abs(image - expected).max() <= 1e-4
    assert whole(name)[-1].std() > 0.05


@pytest.mark.parametrize("size", [(1, 1), (5, 300), (40, 3)])
def test_canvases_smaller_than_their_border(size):
    painter = made("four stages")[1]
    source = sources.from_array(mask(size))
    box = Box(0, size[0], size[1] // 2, size[1])
    ids = painter.mask_around(source, box)
    found = painter.stages(source, box, ids, SEED, STYLE)[-1]
    expected = whole("four stages", size)[-1][:, size[1] // 2 :]
    assert np.abs(found - expected).max() <= 1e-4


def test_bytes_are_those_of_the_canvas():
    whole_canvas, painter = made("one level")
    image = whole_canvas.synthesise(mask(), STYLE, SEED)[-1]
    found = painter.synthesize_window(
        sources.from_array(mask()), 101, 203, 99, 77, SEED, STYLE
    )
    assert found.dtype == np.uint8 and found.shape == (99, 77, 3)
    gap = found.astype(int) - image[101:200, 203:280]
    # Rounding to bytes can tip over by one where floats differ by 1e-6.
    assert np.abs(gap).max() <= 1 and (gap == 0).mean() > 0.99


def test_a_window_reads_only_its_surroundings():
    painter, seen = made("four stages")[1], []

    def read(*box):
        seen.append(box)
        return np.zeros(box[2:], np.uint8)

    vast = sources.Source(10**9, 10**9, read)
    image = painter.synthesize_window(
        vast, 12_345_678, 987_654_321, 8, 8, 0, STYLE
    )
    assert image.shape == (8, 8, 3)
    (box,) = seen
    assert box[2] < 1100 and box[3] < 1100


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ((0, 0, 0, 5), "rows 0 to 0"),
        ((-1, 0, 5, 5), "rows -1 to 4"),
        ((510, 0, 8, 5), "the canvas has 517 rows and 613 columns"),
    ],
)
def test_windows_outside_are_refused(place, message):
    painter = made("one level")[1]
    source = sources.from_array(mask())
    with pytest.raises(InputError, match=message):
        painter.synthesize_window(source, *place, 0, STYLE)


def test_unknown_ids_are_refused():
    painter = made("one level")[1]
    source = sources.from_array(mask() + np.uint8(1))
    with pytest.raises(InputError, match=r"value 3 in \d+ pixels; 0..2 and"):
        painter.synthesize_window(source, 0, 0, 64, 64, 0, STYLE)
