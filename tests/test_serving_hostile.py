"""Hostile clients: each gets the right error, and others notice nothing."""

import contextlib
import random
import socket
import struct
import time
import zlib

import cv2
import grpc
import numpy as np
import pytest
import serving_models
import tensorflow as tf
from serving_running import (
    error_of,
    predict_request,
    running,
    tensor,
    undisturbed,
)
from tensorflow.core.framework import tensor_pb2, types_pb2

INVALID = "INVALID_ARGUMENT"
PATH = "/tensorflow.serving.PredictionService/Predict"


class Sizes(tf.Module):
    """Decodes images: {"image_bytes": [n]} -> {"sizes": [n, 3]}."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def sizes(self, image_bytes):
        return {
            "sizes": tf.map_fn(
                lambda one: tf.shape(tf.io.decode_png(one)),
                image_bytes,
                fn_output_signature=tf.int32,
            )
        }


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    serving_models.half_plus(folder / "m" / "1")
    model = Sizes()
    tf.saved_model.save(model, str(folder / "png" / "1"), model.sizes)
    entry = 'config { name: "%s" base_path: "%s" model_platform: "tensorflow" }'
    entries = [entry % (name, folder / name) for name in ("m", "png")]
    config = folder / "config.txt"
    config.write_text(f"model_config_list {{ {' '.join(entries)} }}")
    with running(
        model_config_file=str(config),
        max_request_bytes=2**20,
        grace_seconds=5,
    ) as found:
        yield found


@pytest.fixture(autouse=True)
def others_are_unaffected(server):
    with undisturbed(server):
        yield


def chunk(name, data):
    body = name + data
    return (
        struct.pack(">I", len(data))
        + body
        + struct.pack(">I", zlib.crc32(body))
    )


def bomb():
    """A PNG of 10 kB that says it is 26,800 x 26,800 x 3: 2 GB."""
    head = struct.pack(">IIBBBBB", 26_800, 26_800, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(8_000_000), 9)[:10_000]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", head), chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    )


@pytest.mark.parametrize("model", ["png", "m"])
def test_bombs(server, model):
    assert len(bomb()) < 12_000
    alias, signature = (
        ("text", "text")
        if model == "m"
        else (
            "image_bytes",
            "serving_default",
        )
    )
    request = predict_request(
        model,
        {alias: tensor([bomb()], bytes)},
        signature_name=signature,
    )
    code, text = error_of(server.predictions.Predict, request)
    assert code == INVALID
    assert f"decode to {26_800**2} pixels; the limit decoded_pixels" in text


def test_images_cut_short(server):
    good = cv2.imencode(".png", np.zeros((40, 50, 3), np.uint8))[1].tobytes()
    answer = server.predictions.Predict(
        predict_request("png", {"image_bytes": tensor([good], bytes)})
    )
    assert list(answer.outputs["sizes"].int_val) == [40, 50, 3]
    for data in (good[:60], good[:-30], good[:20], b"", b"no image"):
        request = predict_request(
            "png", {"image_bytes": tensor([good, data], bytes)}
        )
        assert error_of(server.predictions.Predict, request)[0] == INVALID


def claimed(shape, dtype=types_pb2.DT_FLOAT, **values):
    proto = tensor_pb2.TensorProto(dtype=dtype, **values)
    for size in shape:
        proto.tensor_shape.dim.add().size = size
    return proto


@pytest.mark.parametrize(
    "proto",
    [
        claimed([2**40]),
        claimed([2**31, 2**31, 2**31]),
        claimed([2**26 - 1], float_val=[1.0]),
        claimed([-1], float_val=[1.0]),
        claimed([2], tensor_content=b"abc"),
        claimed([1] * 300, float_val=[1.0]),
        claimed([1], types_pb2.DT_RESOURCE),
        claimed([1], types_pb2.DT_INT32, int_val=[1]),
        claimed([1], 9999),
        claimed([1, 1, 1], float_val=[1.0]),
        claimed([], float_val=[1.0]),
    ],
)
def test_tensors_that_are_not_what_they_say(server, proto):
    request = predict_request(inputs={"x": proto}, signature_name="positive")
    code, text = error_of(server.predictions.Predict, request)
    assert code == INVALID and text


def test_not_a_number_is_an_answer(server):
    answer = server.predictions.Predict(
        predict_request(inputs={"x": [np.nan, np.inf]})
    )
    assert np.isnan(answer.outputs["y"].float_val[0])


@pytest.mark.parametrize(
    "name",
    ["../m", "/etc/passwd", "m/../m", "m/1", "..", "m\0", "m\n", "x" * 10**5],
)
def test_names_are_no_paths(server, name):
    request = predict_request(name, {"x": [1.0]})
    code, text = error_of(server.predictions.Predict, request)
    assert code == "NOT_FOUND" and text.startswith("Servable not found for")
    assert len(text) < 1100


def test_oversized_messages(server):
    request = predict_request(inputs={"x": np.zeros(2**18 + 100)})
    code, text = error_of(server.predictions.Predict, request)
    assert code == "RESOURCE_EXHAUSTED" and "larger than max" in text
    assert server.http("POST", "/v1/models/m:predict", b" " * 2**21)[0] == 413


def test_a_thousand_idle_connections_on_each_port(server):
    ports = (server.settings.port, server.settings.rest_api_port)
    with contextlib.ExitStack() as stack:
        for port in ports:
            for _ in range(1000):
                link = socket.create_connection(("127.0.0.1", port), 10)
                stack.enter_context(link)
        start = time.monotonic()
        with grpc.insecure_channel(f"127.0.0.1:{ports[0]}") as channel:
            body = predict_request(inputs={"x": [2.0]}).SerializeToString()
            channel.unary_unary(PATH)(body, timeout=20)
        assert server.json("/v1/models/m")[0] == 200
        assert time.monotonic() - start < 5


def test_noise_instead_of_http2(server):
    rng = random.Random(3)
    for _ in range(50):
        address = ("127.0.0.1", server.settings.port)
        with (
            contextlib.suppress(OSError),
            socket.create_connection(address, 5) as link,
        ):
            link.sendall(rng.randbytes(2000))
