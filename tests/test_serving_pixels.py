"""serving.pixels: what is little, and what is not."""

import numpy as np

from serving import pixels

IMAGE = np.arange(2000, dtype=np.uint8).reshape(20, 20, 5)


def altered(values, step):
    """IMAGE with its first values one step up, or down."""
    image = IMAGE.copy()
    image.ravel()[100 : 100 + values] += np.uint8(step % 256)
    return image


def test_painted_images():
    assert pixels.painted(IMAGE, IMAGE) == ""
    # 2 of 2000 are 1 in 1000.
    assert pixels.painted(altered(2, 1), IMAGE) == ""
    assert pixels.painted(altered(2, -1), IMAGE) == ""
    assert pixels.painted(altered(3, 1), IMAGE) == (
        "3 of 2000 values differ, by 1 at most; allowed is 1, in 0.1% of them"
    )
    assert pixels.painted(altered(20, 1), IMAGE, 0.01) == ""
    assert pixels.painted(altered(21, 1), IMAGE, 0.01).endswith("1.0% of them")
    assert pixels.painted(altered(1, -2), IMAGE).startswith(
        "1 of 2000 values differ, by 2 at most;"
    )
    # 0 and 255 are far from each other.
    black = np.zeros((1, 1), np.uint8)
    assert "by 255 at most" in pixels.painted(black - np.uint8(1), black, 1.0)
    assert pixels.painted(IMAGE[:, :1], IMAGE) == (
        "pixels of shape [20, 1, 5]; expected [20, 20, 5]"
    )


def test_masks():
    mask = np.zeros((50, 60), np.uint8)
    other = mask.copy()
    other[0, :3] = 7
    assert pixels.mask(other, mask) == ""
    other[0, 3] = 1
    assert pixels.mask(other, mask) == (
        "4 of 3000 pixels are of another class; allowed are 0.1%"
    )
    assert pixels.mask(other.T, mask) == (
        "pixels of shape [60, 50]; expected [50, 60]"
    )


def test_counts():
    wanted = np.float32([[[1000, 0], [500, 2500]], [[0, 0], [0, 8]]])
    found = wanted.copy()
    found[0, 0] = 996, 4  # of 4000
    assert pixels.counts(found, wanted) == ""
    found[0, 0] = 995, 5
    text = "0.12% of the pixels are counted to another class; allowed are 0.1%"
    assert pixels.counts(found, wanted) == f"up to {text}"
    # Of its own row's pixels.
    found[0], found[1, 1] = wanted[0], (1, 7)
    assert pixels.counts(found, wanted).startswith("up to 12.50% of")
    assert "nan" in pixels.counts(wanted * np.nan, wanted)
    zeros = np.zeros_like(wanted)
    assert pixels.counts(zeros, zeros) == ""
    assert pixels.counts(zeros + 1, zeros)
    areas = np.float32([[0.25, 0.75]])
    assert pixels.counts(areas + np.float32([[9e-4, -9e-4]]), areas) == ""
    assert pixels.counts(areas + np.float32([[2e-3, -2e-3]]), areas)
