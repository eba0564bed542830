"""serving.infra_answers: two processes' answers, alike and not."""

import cv2
import numpy as np
import pytest

from histogan_tf.data import png
from serving.infra_answers import difference

SIZE = 64
MASK = (np.indices((SIZE, SIZE)).sum(0) % 3).astype(np.uint8)
IMAGE = np.random.default_rng(1).integers(2, 254, (SIZE, SIZE, 3), np.uint8)


def strings(*values):
    return np.array(values, object)


def changed(array, count, step):
    """The array with `count` of its values changed."""
    found = array.copy()
    found.ravel()[:count] += np.uint8(step % 256)
    return found


def compared(name, found, expected, **others):
    """Of one output; others are alike."""
    return difference(
        {name: found} | others, {name: expected} | others, tolerance=1e-5
    )


@pytest.mark.parametrize(
    ("count", "step", "text"),
    [
        # 1 % of 12288.
        (122, 1, ""),
        (122, -1, ""),
        (
            123,
            1,
            "123 of 12288 values differ, by 1 at most; allowed is 1, in 1",
        ),
        (1, 2, "1 of 12288 values differ, by 2 at most"),
        (1, -2, "1 of 12288 values differ, by 2 at most"),
    ],
)
def test_painted(count, step, text):
    other = changed(IMAGE, count, step)
    for name, found, expected in (
        (
            "image_bytes",
            strings(png.encode(IMAGE), png.encode(other)),
            strings(png.encode(IMAGE), png.encode(IMAGE)),
        ),
        ("images", other[None], IMAGE[None]),
    ):
        answer = compared(name, found, expected)
        wanted = f"{name} differs: {text}" if text else ""
        assert answer.startswith(wanted) and bool(answer) == bool(text)


def test_masks():
    expected = strings(png.encode(MASK))
    # 4 of 4096 are 1 in 1000, of whatever class.
    near = strings(png.encode(changed(MASK, 4, 9)))
    assert compared("mask_bytes", near, expected) == ""
    far = strings(png.encode(changed(MASK, 5, 1)))
    assert compared("mask_bytes", far, expected) == (
        "mask_bytes differs: 5 of 4096 pixels are of another class;"
        " allowed are 0.1%"
    )


def test_the_same_pixels_in_other_bytes():
    done, data = cv2.imencode(".png", MASK, [cv2.IMWRITE_PNG_COMPRESSION, 0])
    assert done and data.tobytes() != png.encode(MASK)
    found = strings(data.tobytes())
    assert compared("mask_bytes", found, strings(png.encode(MASK))) == ""


@pytest.mark.parametrize(
    ("found", "expected", "text"),
    [
        (png.encode(MASK[:9]), png.encode(MASK), "pixels of shape [9, 64]; ex"),
        (png.encode(IMAGE), png.encode(MASK), "pixels of shape [64, 64, 3]; e"),
        (png.encode(MASK), png.encode(IMAGE), "pixels of shape [64, 64]; expe"),
        (png.encode(IMAGE[::-1]), png.encode(IMAGE), "12"),
        (png.encode(MASK)[:-9], png.encode(MASK), "a damaged PNG: "),
        (b"", png.encode(MASK), "other bytes"),
        (b'{"a": 1}', b'{"a": 2}', "other bytes"),
    ],
)
def test_strings_that_differ(found, expected, text):
    answer = compared("some_bytes", strings(found), strings(expected))
    assert answer.startswith(f"some_bytes differs: {text}")


def scores(confusion):
    """Confusion and Dice scores of two classes, by hand."""
    (a, b), (c, d) = confusion
    dice = [2 * a / (2 * a + b + c), 2 * d / (2 * d + b + c)]
    return {
        "confusion": np.float32([confusion]),
        "dice": np.float32([dice]),
    }


def test_what_is_counted_in_masks():
    expected = scores([[3990, 5], [2, 3]])
    # Two pixels more move the score of the small class by 0.06.
    found = scores([[3988, 7], [2, 3]])
    assert abs(found["dice"] - expected["dice"]).max() > 0.05
    assert difference(found, expected, 1e-5) == ""
    wrong = found | {"dice": expected["dice"]}
    assert difference(wrong, expected, 1e-5).startswith("dice differs by up")
    found = scores([[3900, 95], [2, 3]])
    assert difference(found, expected, 1e-5).startswith(
        "confusion differs: up to 2.25% of the pixels are counted"
    )
    areas = np.float32([[0.25, 0.75]])
    near = areas + np.float32([[5e-4, -5e-4]])
    assert compared("areas", near, areas) == ""
    assert compared("areas", areas[:, ::-1], areas).startswith("areas differs")
    # Other floats are held to the tolerance.
    assert compared("probabilities", near, areas).startswith(
        "probabilities differs by up to 0.0005"
    )


def test_other_types():
    ids = np.int64([3, 4])
    assert compared("ids", ids, ids) == ""
    assert compared("ids", ids + 1, ids) == "ids differs: another value"
    assert compared("ids", ids.astype(np.int32), ids) == (
        "ids is int32 (2,); expected int64 (2,)"
    )
    row = np.uint8([[1, 2]])
    assert compared("row", row + np.uint8(1), row).startswith("row differs")
    assert difference({"a": ids}, {"b": ids}, 0) == "outputs a; expected b"
