"""What the client sends and understands, against a fake server."""

import time

import cv2
import grpc
import numpy as np
import pytest
import serving_fake
from serving_fake import Fake, answer
from tensorflow.core.protobuf import meta_graph_pb2

from histogan_tf.data import png
from histogan_tf.errors import InputError
from serving.client_answers import VersionStatus
from serving.client_api import ServingClient
from serving.client_channel import ChannelSettings, RequestError


@pytest.fixture
def connect(request):
    """A function from a fake to a client of it."""
    open_ones = []

    def connect(fake, **settings):
        server = serving_fake.serve(fake)
        channel = ChannelSettings(server.__enter__(), first_wait=0.01)
        open_ones.append((server, ServingClient(channel, "m", 10, **settings)))
        return open_ones[-1][1]

    yield connect
    for server, client in open_ones:
        client.close()
        server.__exit__(None, None, None)


def test_segment(connect):
    """An answer made by hand: the image's red channel is the mask."""

    def segment(image_bytes):
        (data,) = image_bytes
        red = cv2.imdecode(np.frombuffer(data, np.uint8), 1)[..., 2]
        done, encoded = cv2.imencode(".png", red)
        assert done
        return {
            "mask_bytes": [encoded.tobytes()],
            "areas": np.array([[0.25, 0.75]], np.float32),
        }

    fake = Fake({"": segment})
    image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    found = connect(fake).segment(png.encode(image))
    np.testing.assert_array_equal(found.mask, image[..., 0])
    np.testing.assert_array_equal(found.areas, [0.25, 0.75])
    assert found.version == 4
    (request,) = fake.requests
    assert request.model_spec.name == "m"
    assert not request.model_spec.HasField("version")


def test_generate_sends_mask_seed_and_style(connect):
    seen = {}

    def generate(**inputs):
        seen.update(inputs)
        return {"image_bytes": [png.encode(np.full((2, 3, 3), 9, np.uint8))]}

    mask = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    client = connect(Fake({"generate": generate}))
    image = client.generate(mask, 2**40, np.arange(6)).image
    np.testing.assert_array_equal(image, np.full((2, 3, 3), 9))
    np.testing.assert_array_equal(png.decode(seen["mask_bytes"][0]), mask)
    assert seen["seed"].dtype == np.int64 and seen["seed"] == [2**40]
    assert seen["style"].dtype == np.float32
    np.testing.assert_array_equal(seen["style"], [np.arange(6)])
    assert list(seen["reference_bytes"]) == [b""]
    client.generate(mask, 0, reference=b"JPEG")
    assert list(seen["reference_bytes"]) == [b"JPEG"]


def test_generate_window_sends_its_place(connect):
    seen = {}

    def window(**inputs):
        seen.update(inputs)
        return {"images": inputs["masks"][:, 1:-1, 1:-1, None].repeat(3, -1)}

    mask = np.arange(30, dtype=np.uint8).reshape(5, 6)
    client = connect(Fake({"generate_window": window}))
    image = client.generate_window(mask, -16, 2**33, 5, np.zeros(6)).image
    np.testing.assert_array_equal(image[..., 1], mask[1:-1, 1:-1])
    assert seen["masks"].dtype == np.uint8
    assert (seen["row"], seen["column"]) == ([-16], [2**33])


def test_version_and_label_are_sent(connect):
    fake = Fake({"echo": answer(y=1.0)})
    connect(fake, version=7).predict("echo", {})
    connect(fake, label="stable").predict("echo", {})
    seventh, stable = (r.model_spec for r in fake.requests)
    assert seventh.version.value == 7 and stable.version_label == "stable"
    with pytest.raises(InputError, match="--version and --label"):
        connect(fake, version=1, label="stable")


def test_status_and_metadata(connect):
    fake = Fake()
    fake.states = [[(9, "AVAILABLE", 0, ""), (8, "END", 3, "no variables")]]
    signature = meta_graph_pb2.SignatureDef(method_name="predict")
    signature.inputs["x"].name = "x:0"
    fake.signatures = {"a": signature}
    client = connect(fake)
    assert client.status() == [
        VersionStatus(9, "AVAILABLE", ""),
        VersionStatus(8, "END", "no variables"),
    ]
    assert client.metadata() == {"a": signature}
    assert fake.requests[-1].metadata_field == ["signature_def"]


LOADING = [(2, "LOADING", 0, "")]


@pytest.mark.parametrize(
    "last",
    [
        [(2, "AVAILABLE", 0, "")],
        [(3, "AVAILABLE", 0, ""), (2, "AVAILABLE", 0, "")],
        [(3, "AVAILABLE", 0, ""), (2, "END", 0, "")],  # swapped out
        # The one before it could not be loaded.
        [(3, "AVAILABLE", 0, ""), (2, "END", 3, "bad"), (1, "END", 0, "")],
    ],
)
def test_ready_when_all_are_available(connect, last):
    fake = Fake(failures=2)  # the server is not even there
    half = [(3, "START", 0, ""), (2, "AVAILABLE", 0, "")]
    fake.states = [[], LOADING, half, last]
    connect(fake).wait_ready(20, poll=0.01)
    assert len(fake.requests) == 6


def test_a_model_not_yet_known_is_waited_for(connect):
    fake = Fake(failures=2, code="NOT_FOUND")
    fake.states = [[(2, "AVAILABLE", 0, "")]]
    connect(fake).wait_ready(20, poll=0.01)
    assert len(fake.requests) == 3


def test_a_failed_version_ends_the_wait_at_once(connect):
    fake = Fake()
    fake.states = [LOADING, [(2, "END", 5, "no saved_model.pb")]]
    start = time.monotonic()
    with pytest.raises(RequestError, match=r"version 2: no saved_model\.pb"):
        connect(fake).wait_ready(30, poll=0.01)
    assert time.monotonic() - start < 10 and len(fake.requests) == 2


def test_a_failed_version_counts_beside_an_older_that_serves(connect):
    fake = Fake()
    fake.states = [[(3, "END", 3, "bad"), (2, "AVAILABLE", 0, "")]]
    with pytest.raises(RequestError, match="version 3: bad"):
        connect(fake).is_ready()


def test_the_wait_ends_and_says_where_it_stood(connect):
    fake = Fake()
    fake.states = [LOADING]
    with pytest.raises(RequestError, match=r"not ready .* 2 is LOADING") as e:
        connect(fake).wait_ready(0.1, poll=0.02)
    assert e.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    denied = Fake(failures=9, code="UNAUTHENTICATED")
    with pytest.raises(RequestError, match="UNAUTHENTICATED"):
        connect(denied).wait_ready(30)
    assert len(denied.requests) == 1
