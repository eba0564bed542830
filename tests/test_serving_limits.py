"""serving.limits: what a request may ask for."""

import dataclasses
import struct
import time

import cv2
import grpc
import numpy as np
import pytest
import tensorflow as tf

from serving.limits import UNLIMITED, RequestLimits
from serving.status import ServingError

SMALL = RequestLimits(
    message_bytes=10,
    tensor_elements=20,
    repeated_elements=5,
    repeated_strings=2,
    decoded_pixels=100,
    fields=1000,
)


def png(width, height):
    """A small PNG that claims a size."""
    data = cv2.imencode(".png", np.zeros((2, 2), np.uint8))[1].tobytes()
    return data[:16] + struct.pack(">II", width, height) + data[24:]


def test_message_elements_and_copies():
    SMALL.check_message(10)
    SMALL.check_elements("x", 20)
    SMALL.check_repeated("x", 5)
    SMALL.check_repeated("x", 2, strings=True)
    for check, text in [
        (lambda: SMALL.check_message(11), "11 bytes; .*message_bytes is 10"),
        (
            lambda: SMALL.check_elements("x", 21),
            "x has 21 elements; .*tensor_elements is 20",
        ),
        (
            lambda: SMALL.check_repeated("x", 6),
            "x leaves out 6 .*repeated_elements is 5",
        ),
        (
            lambda: SMALL.check_repeated("x", 3, strings=True),
            "x leaves out 3 .*repeated_strings is 2",
        ),
    ]:
        with pytest.raises(ServingError, match=text) as caught:
            check()
        assert caught.value.code == grpc.StatusCode.INVALID_ARGUMENT


def test_images_of_one_input_add_up():
    SMALL.check_images("image", [png(5, 10), png(10, 5), b"no image"])
    text = "input image decode to 101 pixels; the limit decoded_pixels is 100"
    with pytest.raises(ServingError, match=text):
        SMALL.check_images("image", [png(5, 10), png(1, 51)])


def test_images_inside_examples():
    def example(*images):
        value = tf.train.Feature(bytes_list=tf.train.BytesList(value=images))
        features = tf.train.Features(feature={"a": value})
        return tf.train.Example(features=features).SerializeToString()

    SMALL.check_images("examples", [example(png(10, 5), png(5, 10))])
    with pytest.raises(ServingError, match="decode to 102 pixels"):
        SMALL.check_images("examples", [example(png(10, 5), png(2, 26))])
    SMALL.check_images("examples", [b"\x0a\x7f" + png(1000, 1000)])  # no proto


def bytes_feature(*values):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def an_example(**features):
    return tf.train.Example(
        features=tf.train.Features(feature=features)
    ).SerializeToString()


def field(number, data):
    """A field of bytes below 2 MB, by hand."""
    size = bytes([len(data) & 0x7F | 0x80, len(data) >> 7 & 0x7F | 0x80])
    return bytes([number << 3 | 2]) + size + bytes([len(data) >> 14]) + data


# 60 pixels of the 100 that are allowed: two of them are too many.
IMAGE = png(10, 6)
KNOWN = an_example(a=bytes_feature(IMAGE))
GROUPS = [b"\x23\x24"]  # TensorFlow refuses them, protobuf does not


@pytest.mark.parametrize(
    "start",
    [
        b"\x10\x01",  # field 2, a number
        b"\x7a\x00",  # field 15, empty
        b"\x19" + bytes(8),
        b"\x1d" + bytes(4),
        *GROUPS,
        b"\x90\x80\x80\x80\x80\x01\x00",  # a tag of more than 32 bits
        # "BM" is a field of 77 bytes, and a bitmap without pixels.
        b"BM" + bytes(77),
    ],
)
def test_unknown_fields_hide_no_image(start):
    hidden = start + KNOWN
    if start not in GROUPS:
        spec = {"a": tf.io.FixedLenFeature([], tf.string)}
        found = tf.io.parse_example([hidden], spec)["a"].numpy()
        assert found == [IMAGE]  # TensorFlow does not mind
    SMALL.check_images("x", [hidden])
    with pytest.raises(ServingError, match="decode to 120 pixels"):
        SMALL.check_images("x", [hidden, hidden])


def test_names_that_are_no_utf8_and_names_twice_hide_no_image():
    entry = field(1, b"a\xff") + field(2, field(1, field(1, IMAGE)))
    hidden = field(1, field(1, entry) + field(1, entry))
    spec = {b"a\xff": tf.io.FixedLenFeature([], tf.string)}
    assert tf.io.parse_example([hidden], spec)[b"a\xff"].numpy() == [IMAGE]
    with pytest.raises(ServingError, match="decode to 120 pixels"):
        SMALL.check_images("x", [hidden])


def test_images_inside_sequence_examples():
    steps = tf.train.FeatureList(feature=[bytes_feature(IMAGE)] * 3)
    whole = tf.train.SequenceExample(
        context=tf.train.Features(feature={"c": bytes_feature(IMAGE)}),
        feature_lists=tf.train.FeatureLists(feature_list={"s": steps}),
    ).SerializeToString()
    with pytest.raises(ServingError, match="decode to 240 pixels"):
        SMALL.check_images("x", [whole])


def test_what_is_no_message_holds_no_image():
    for data in (
        b"\x0a\x7f" + IMAGE * 2,  # shorter than it says
        b"\x0f" + KNOWN * 2,  # no such kind
        b"text " + IMAGE * 2,
        b"\xff" * 11 + KNOWN * 2,
    ):
        SMALL.check_images("x", [data])


def test_too_many_fields_beside_an_image():
    SMALL.check_images("x", [b"\x7a\x00" * 950 + KNOWN])
    with pytest.raises(ServingError, match="than 1000 fields, the limit"):
        SMALL.check_images("x", [b"\x7a\x00" * 1000 + KNOWN])
    SMALL.check_images("x", [b"\x7a\x00" * 5000])  # no image at all
    start = time.monotonic()
    with pytest.raises(ServingError, match="than 262144 fields"):
        RequestLimits().check_images("x", [b"\x7a\x00" * 2**22 + KNOWN])
    assert time.monotonic() - start < 5


def test_a_bomb_is_refused_at_once():
    bomb = cv2.imencode(".png", np.zeros((3000, 3000), np.uint8))[1].tobytes()
    bomb = bomb[:16] + struct.pack(">II", 30_000, 25_000) + bomb[24:]
    assert len(bomb) < 20_000
    start = time.monotonic()
    with pytest.raises(ServingError, match="750000000 pixels"):
        RequestLimits().check_images("image_bytes", [bomb])
    assert time.monotonic() - start < 0.1


def test_unlimited_is_so_in_every_field():
    assert set(dataclasses.asdict(UNLIMITED).values()) == {2**62}


def test_a_limit_of_nothing_is_a_mistake():
    with pytest.raises(ValueError, match="tensor_elements: 0; must be at"):
        RequestLimits(tensor_elements=0)
