"""Retries, sizes, TLS and the texts of failures, against a fake server."""

import pathlib
import socket
import subprocess
import time

import grpc
import numpy as np
import pytest
import serving_fake
from serving_fake import Fake, answer

from histogan_tf.errors import InputError
from serving.client_api import ServingClient
from serving.client_channel import ChannelSettings, RequestError

ECHO = {"echo": lambda x: {"y": x}}


def ask(fake, size=1, deadline=10.0, **settings):
    """Sends `size` floats to a fake; gives the answer."""
    with serving_fake.serve(fake) as address:
        channel = ChannelSettings(address, first_wait=0.01, **settings)
        with ServingClient(channel, "m", deadline) as client:
            return client.predict(
                "echo", {"x": np.ones(size, np.float32)}
            ).outputs


# 12 MB: above the 256 KiB that gRPC keeps for a retry by default.
@pytest.mark.parametrize("size", [1, 3_000_000])
def test_unavailable_is_tried_again(size):
    fake = Fake(ECHO, failures=3)
    assert ask(fake, size)["y"].shape == (size,)
    assert len(fake.requests) == 4


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_retries_end(attempts):
    fake = Fake(ECHO, failures=99)
    with pytest.raises(RequestError, match="UNAVAILABLE: not now") as caught:
        ask(fake, attempts=attempts)
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    assert len(fake.requests) == attempts


@pytest.mark.parametrize("code", ["INTERNAL", "RESOURCE_EXHAUSTED", "ABORTED"])
def test_nothing_else_is_tried_again(code):
    fake = Fake(ECHO, failures=1, code=code)
    with pytest.raises(RequestError, match=f"{code}: not now"):
        ask(fake)
    assert len(fake.requests) == 1


def test_waits_grow_and_are_jittered():
    moments = []

    class Timed(Fake):
        def _begin(self, request, context):
            moments.append(time.monotonic())
            super()._begin(request, context)

    with (
        serving_fake.serve(Timed(ECHO, failures=99)) as address,
        ServingClient(ChannelSettings(address, first_wait=0.1), "m") as client,
        pytest.raises(RequestError),
    ):
        client.predict("echo", {"x": 1.0})
    waits = np.diff(moments)
    assert len(waits) == 4
    for wait, expected in zip(waits, (0.1, 0.2, 0.4, 0.8), strict=True):
        # 20 % of jitter; this machine may be late, never early.
        assert 0.79 * expected <= wait <= 1.2 * expected + 0.5
    assert np.ptp(waits / (0.1, 0.2, 0.4, 0.8)) > 1e-4


def test_the_deadline_holds_over_all_retries():
    with pytest.raises(RequestError, match=r"\(--deadline 0\.3 s\)") as caught:
        start = time.monotonic()
        ask(Fake({"echo": lambda x: time.sleep(2)}), deadline=0.3)
    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert 0.3 <= time.monotonic() - start < 3


def test_no_server():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        channel = ChannelSettings(address, first_wait=0.01)
        with (
            ServingClient(channel, "m") as client,
            pytest.raises(RequestError, match=f"{address}: UNAVAILABLE: "),
        ):
            client.predict("echo", {"x": 1.0})


def test_answers_above_4_mib_pass():
    big = Fake({"echo": answer(y=np.ones(2_000_000, np.float32))})
    assert ask(big)["y"].sum() == 2_000_000


def test_answer_above_the_clients_limit_names_the_flag():
    big = Fake({"echo": answer(y=np.ones(2_000_000, np.float32))})
    with pytest.raises(
        RequestError,
        match=r"message of 80000\d\d bytes is above the client's limit of"
        r" 2097152; raise --message_mib to 8 or more$",
    ):
        ask(big, message_mib=2)


def test_request_above_the_servers_limit_says_whose_limit_it_is():
    with (
        serving_fake.serve(Fake(ECHO), limit=2**20) as address,
        ServingClient(ChannelSettings(address), "m") as client,
        pytest.raises(
            RequestError, match="above the server's limit of 1048576"
        ),
    ):
        client.predict("echo", {"x": np.ones(2**19, np.float32)})


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> pathlib.Path:
    """An authority, and certificates that it signed for localhost and me."""
    folder = tmp_path_factory.mktemp("keys")

    def openssl(*arguments):
        subprocess.run(
            ["openssl", *arguments], cwd=folder, check=True, capture_output=True
        )

    new = ["req", "-nodes", "-newkey", "rsa:2048", "-subj"]
    for name in ("ca", "other"):
        openssl(*new, f"/CN={name}", "-x509", "-keyout", f"{name}.key",
                "-out", f"{name}.pem")  # fmt: skip
    (folder / "names").write_text("subjectAltName=DNS:localhost")
    for name in ("localhost", "me"):
        openssl(*new, f"/CN={name}", "-keyout", f"{name}.key",
                "-out", "request")  # fmt: skip
        openssl("x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey",
                "ca.key", "-CAcreateserial", "-extfile", "names",
                "-out", f"{name}.pem")  # fmt: skip
    return folder


def tls(keys, address, **settings):
    settings = {name: keys / value for name, value in settings.items()}
    channel = ChannelSettings(address, attempts=1, **settings)
    with ServingClient(channel, "m", 10) as client:
        return client.predict("echo", {"x": 7.0}).outputs["y"]


def test_tls_and_mutual_tls(keys):
    pair = [(keys / f"localhost.{e}").read_bytes() for e in ("key", "pem")]
    root = (keys / "ca.pem").read_bytes()
    one_way = grpc.ssl_server_credentials([pair])
    with serving_fake.serve(Fake(ECHO), one_way) as address:
        assert tls(keys, address, ca="ca.pem") == 7
        with pytest.raises(RequestError, match="UNAVAILABLE"):
            tls(keys, address, ca="other.pem")
        with pytest.raises(RequestError, match="UNAVAILABLE"):
            tls(keys, address)
    both_ways = grpc.ssl_server_credentials([pair], root, True)
    with serving_fake.serve(Fake(ECHO), both_ways) as address:
        mine = {"ca": "ca.pem", "cert": "me.pem", "key": "me.key"}
        assert tls(keys, address, **mine) == 7
        with pytest.raises(RequestError, match="UNAVAILABLE"):
            tls(keys, address, ca="ca.pem")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"server": "localhost"}, "--server 'localhost': HOST:PORT"),
        ({"server": "localhost:99999"}, "HOST:PORT is allowed"),
        ({"message_mib": 0}, "message_mib=0; 1..2047 is allowed"),
        ({"attempts": 6}, "attempts=6; 1..5"),
        ({"cert": pathlib.Path("a")}, "--cert and --key: give both"),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(InputError, match=message):
        ChannelSettings(**({"server": "localhost:1"} | changes))


def test_a_missing_pem_file_is_named(tmp_path):
    settings = ChannelSettings("localhost:1", ca=tmp_path / "no.pem")
    with pytest.raises(InputError, match=r"--ca .*no\.pem: No such file"):
        ServingClient(settings, "m")
