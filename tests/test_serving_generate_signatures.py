"""Signatures that paint: the library's pixels, exact windows, refusals."""

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf import halo, rescale
from histogan_tf.data import png
from serving import samples
from serving.generate_signatures import GenerateSignatures

LIMIT = 2**17
STYLE = np.linspace(-1, 1, 6, dtype=np.float32)


@pytest.fixture(scope="module")
def reach(random_networks):
    return random_networks.paint_reach


@pytest.fixture(scope="module")
def graphs(random_networks, reach):
    canvas = random_networks.canvas
    return GenerateSignatures(canvas, reach.halo, LIMIT).graphs()


@pytest.fixture(scope="module")
def canvas(random_networks):
    return random_networks.canvas


def generate(graphs, masks, seeds, styles, references):
    found = graphs["generate"](
        mask_bytes=[png.encode(mask) for mask in masks],
        seed=np.array(seeds, np.int64),
        style=np.array(styles, np.float32),
        reference_bytes=references,
    )["image_bytes"]
    return [png.decode(data) for data in found.numpy()]


def test_masks_of_any_size_give_the_librarys_bytes(graphs, canvas):
    masks = [samples.mask_of(33, 50, 3, 1), samples.mask_of(9, 4, 3, 2)]
    assert (masks[0] == 255).any()
    seeds, styles = [5, -(2**50)], [STYLE, -STYLE]
    found = generate(graphs, masks, seeds, styles, [b"", b""])
    for image, mask, seed, style in zip(
        found, masks, seeds, styles, strict=True
    ):
        wanted = canvas.synthesise(mask, style, seed)[-1]
        np.testing.assert_array_equal(image, wanted)


def test_the_stain_of_a_reference(graphs, canvas):
    mask, reference = samples.mask_of(24, 24, 3, 1), samples.image_of(60, 44, 1)
    style = rescale.style_of(reference, 5.0, 10.0)
    data = png.encode(reference)
    (found,) = generate(graphs, [mask], [1], [STYLE], [data])
    wanted = canvas.synthesise(mask, style, 1)[-1].astype(int)
    assert np.abs(found - wanted).max() <= 1
    (other,) = generate(graphs, [mask], [1], [STYLE], [b""])
    assert (np.abs(other - wanted) > 1).mean() > 0.3


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"style": np.full((1, 6), np.nan, np.float32)}, "style: finite"),
        ({"seed": np.zeros(2, np.int64)}, r"\[1 2 1 1\] elements"),
        ({"mask_bytes": [b""]}, "not a PNG"),
        ({"reference_bytes": [b"x"]}, "neither PNG nor JPEG"),
        (
            {"mask_bytes": [png.encode(np.full((2, 2), 3, np.uint8))]},
            "mask: 3 is no class id; 0 to 2 and 255",
        ),
    ],
)
def test_bad_requests(graphs, change, text):
    inputs = {
        "mask_bytes": [png.encode(samples.mask_of(8, 8, 3, 0))],
        "seed": np.zeros(1, np.int64),
        "style": STYLE[None],
        "reference_bytes": [b""],
    }
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        graphs["generate"](**(inputs | change))


def paint_window(graphs, masks, rows, columns, seeds):
    found = graphs["generate_window"](
        masks=np.stack(masks),
        row=np.array(rows, np.int64),
        column=np.array(columns, np.int64),
        seed=np.array(seeds, np.int64),
        style=np.repeat(STYLE[None], len(rows), axis=0),
    )
    return found["images"].numpy()


def crop(mask, row, column, size, border):
    return mask[
        row - border : row + size[0] + border,
        column - border : column + size[1] + border,
    ]


def count_wrong(found, wanted):
    """Values that differ: by one at most, where a float is near a half."""
    gap = np.abs(found.astype(int) - wanted)
    assert gap.max() <= 1
    return (gap > 0).sum()


def test_windows_are_crops_of_the_whole(graphs, canvas, reach):
    border, step = reach.halo, reach.multiple
    mask = samples.mask_of(2 * border + 60, 2 * border + 53, 3, 1)
    whole = canvas.synthesise(mask, STYLE, 9)[-1]
    size, rows, columns = (
        (8 * step, 4 * step),
        (border, border + 6 * step),
        (
            border + 2 * step,
            border,
        ),
    )
    masks = [
        crop(mask, row, column, size, border)
        for row, column in zip(rows, columns, strict=True)
    ]
    found = paint_window(graphs, masks, rows, columns, [9, 9])
    wrong = 0
    for image, row, column in zip(found, rows, columns, strict=True):
        assert image.shape == (*size, 3)
        wrong += count_wrong(image, crop(whole, row, column, size, 0))
    assert wrong <= 1e-3 * found.size


def test_a_window_at_an_odd_origin_once_it_is_aligned(graphs, canvas, reach):
    border, step = reach.halo, reach.multiple
    mask = samples.mask_of(2 * border + 60, 2 * border + 60, 3, 2)
    whole = canvas.synthesise(mask, STYLE, 4)[-1]
    row, column, size = border + 3, border + 17, (13, 10)
    top, tall = halo.aligned(row, size[0], step)
    left, wide = halo.aligned(column, size[1], step)
    (found,) = paint_window(
        graphs,
        [crop(mask, top, left, (tall, wide), border)],
        [top],
        [left],
        [4],
    )
    inside = found[row - top :, column - left :][: size[0], : size[1]]
    wanted = crop(whole, row, column, size, 0)
    assert count_wrong(inside, wanted) <= 1e-2 * wanted.size


def test_windows_left_of_the_origin(graphs, reach):
    border, step = reach.halo, reach.multiple
    mask = samples.mask_of(2 * border + 8 * step, 2 * border + 8 * step, 3, 3)
    wide = paint_window(graphs, [mask], [-4 * step], [-4 * step], [1])[0]
    part = crop(
        mask, border + 4 * step, border + 2 * step, [2 * step] * 2, border
    )
    found = paint_window(graphs, [part], [0], [-2 * step], [1])[0]
    wanted = crop(wide, 4 * step, 2 * step, [2 * step] * 2, 0)
    assert count_wrong(found, wanted) <= 1e-2 * wanted.size


@pytest.mark.parametrize(
    ("more", "row", "text"),
    [
        (4, 3, r"row: \[3\] does not divide by 4; enlarge the window"),
        (6, 0, r"multiples of 4 above \d+"),
        (0, 0, r"multiples of 4 above \d+"),
        (400, 0, "tiles"),
    ],
)
def test_bad_windows(graphs, reach, more, row, text):
    side = 2 * reach.halo + more
    mask = np.zeros((side, side), np.uint8)
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        paint_window(graphs, [mask], [row], [0], [0])


def test_windows_of_unknown_classes(graphs, reach):
    side = 2 * reach.halo + reach.multiple
    mask = np.full((side, side), 9, np.uint8)
    with pytest.raises(tf.errors.InvalidArgumentError, match="9 is no class"):
        paint_window(graphs, [mask], [0], [0], [0])
