"""serving.limits: what a request may ask for."""

import struct
import time

import cv2
import grpc
import numpy as np
import pytest
import tensorflow as tf

from serving.limits import RequestLimits
from serving.status import ServingError

SMALL = RequestLimits(10, 20, 5, 100)


def png(width, height):
    """A small PNG that claims a size."""
    data = cv2.imencode(".png", np.zeros((2, 2), np.uint8))[1].tobytes()
    return data[:16] + struct.pack(">II", width, height) + data[24:]


def test_message_elements_and_copies():
    SMALL.check_message(10)
    SMALL.check_elements("x", 20)
    SMALL.check_repeated("x", 5)
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


def test_a_bomb_is_refused_at_once():
    bomb = cv2.imencode(".png", np.zeros((3000, 3000), np.uint8))[1].tobytes()
    bomb = bomb[:16] + struct.pack(">II", 30_000, 25_000) + bomb[24:]
    assert len(bomb) < 20_000
    start = time.monotonic()
    with pytest.raises(ServingError, match="750000000 pixels"):
        RequestLimits().check_images("image_bytes", [bomb])
    assert time.monotonic() - start < 0.1


def test_a_limit_of_nothing_is_a_mistake():
    with pytest.raises(ValueError, match="tensor_elements: 0; must be at"):
        RequestLimits(tensor_elements=0)
