"""Windows: they tile, they join exactly, their limits hold."""

import numpy as np
import pytest

from histogan_tf.errors import InputError
from serving import client_tiles
from serving.reach import Reach


@pytest.mark.parametrize("shape", [(64, 64), (65, 31), (8, 200), (1, 1)])
def test_kept_parts_tile_the_whole_once(shape):
    count = np.zeros(shape, int)
    for window in client_tiles.windows(*shape, side=24, border=8):
        count[window.kept] += 1
        assert window.top % 8 == window.left % 8 == 0
        assert window.bottom - window.top <= 40
        # Whole halo, or the image's own border.
        for low, kept in (
            (window.top, window.kept_top),
            (window.left, window.kept_left),
        ):
            assert kept - low == (8 if kept else 0)
        for high, kept, end in (
            (window.bottom, window.kept_bottom, shape[0]),
            (window.right, window.kept_right, shape[1]),
        ):
            assert high == min(end, kept + 8)
    assert (count == 1).all()


def test_step_uses_what_is_allowed():
    # 100 px of side hold twice 16 (a halo of 10, in eights) and 68 more.
    assert client_tiles.step(100 * 100, Reach(10, 8)) == 64
    assert client_tiles.step(40 * 40, Reach(10, 8)) == 8
    with pytest.raises(InputError, match=r"halo of 16 .* at least 1600 are"):
        client_tiles.step(40 * 40 - 1, Reach(10, 8))
    with pytest.raises(InputError, match="halo=-1, multiple=1"):
        Reach(-1, 1)


def mirrored_blur(image):
    """A strided network: mirrors as the canvas does, halves, blurs, doubles.

    Reach: 2 px of blur at half the scale, so 4 px and the stride of 2.
    """
    height, width = image.shape
    pads = [(8, 8 + height % 2), (8, 8 + width % 2)]
    padded = np.pad(image.astype(np.float32), pads, mode="symmetric")
    half = padded.reshape(
        padded.shape[0] // 2, 2, padded.shape[1] // 2, 2
    ).mean((1, 3))
    blurred = sum(
        np.roll(half, (i, j), (0, 1)) * (1 + i + 3 * j)
        for i in range(-2, 3)
        for j in range(-2, 3)
    )
    return np.kron(blurred, np.ones((2, 2)))[8 : 8 + height, 8 : 8 + width]


@pytest.mark.parametrize("shape", [(90, 71), (33, 120)])
@pytest.mark.parametrize("pixels", [20**2, 26**2, 31**2])
def test_the_join_equals_the_whole(shape, pixels):
    image = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    seen = []

    def read(part):
        seen.append(part.size)
        return mirrored_blur(part)

    joined = client_tiles.read_in_windows(image, read, pixels, Reach(5, 2))
    np.testing.assert_allclose(joined, mirrored_blur(image), atol=1e-9)
    assert len(seen) > 4 and max(seen) <= pixels
    # The halo is needed: one of 2 px is not enough.
    short = client_tiles.read_in_windows(image, read, pixels, Reach(2, 2))
    assert np.abs(short - mirrored_blur(image)).max() > 1


def test_small_images_are_read_at_once():
    calls = []
    image = np.zeros((10, 10, 3), np.uint8)
    found = client_tiles.read_in_windows(
        image, lambda x: calls.append(x) or x[..., 0], 100, Reach(99, 8)
    )
    assert len(calls) == 1 and found.shape == (10, 10)


def test_a_real_segmenter_joins_within_the_stated_tolerance(random_run):
    from histogan_tf import run_dir
    from histogan_tf.canvas import Reader

    network = run_dir.load_segmenter(run_dir.open_run(random_run))
    read = Reader(network)
    image = np.random.default_rng(2).integers(0, 256, (150, 131, 3), np.uint8)
    # 5x5 at each of two levels and the joins between them stay within 24 px.
    reach = Reach(24, network.stride)
    joined = client_tiles.read_in_windows(image, read, 72**2, reach)
    whole = read(image)
    np.testing.assert_allclose(joined, whole, atol=1e-5)
    assert (joined.argmax(-1) == whole.argmax(-1)).mean() > 0.9999
