"""serving.rest: slow models, long texts, versions beyond all numbers."""

import socket
import time

import pytest
import serving_models
from serving_running import running

from serving import rest_routes
from serving.rest import RestSettings
from serving.server_settings import ServerSettings
from serving.status import ServingError


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "m"
    serving_models.half_plus(folder / "1", wait=2.0)
    with running(
        model_name="m", model_base_path=str(folder), rest_api_timeout_in_ms=300
    ) as found:
        yield found


def test_a_slow_model_is_cut_off(server):
    start = time.monotonic()
    code, answer = server.json("/v1/models/m:predict", {"inputs": [1]})
    assert code == 504 and answer["error"]
    assert time.monotonic() - start < 1.9
    # Not every signature is slow.
    body = {"signature_name": "scalar", "inputs": 2}
    assert server.json("/v1/models/m:predict", body) == (200, {"outputs": 3.0})


def test_a_model_may_take_30_seconds():
    assert ServerSettings(model_base_path="/m").rest_api_timeout_in_ms == 30_000
    assert RestSettings().timeout == 30.0


def test_texts_are_whole(server):
    body = {"signature_name": "s" * 5000, "inputs": 1}
    assert server.json("/v1/models/m:predict", body) == (
        400,
        {
            "error": f'Serving signature name: "{"s" * 5000}" not found in'
            " signature def"
        },
    )


@pytest.mark.parametrize(
    "version", [str(2**63), "9" * 4301, "1" + "0" * 8000, "0" * 5 + "9" * 19]
)
def test_versions_that_are_no_numbers(server, version):
    path = f"/v1/models/m/versions/{version}"
    assert server.json(path) == (
        400,
        {"error": f"Failed to convert version: {version} to numeric."},
    )
    with pytest.raises(ServingError, match="Failed to convert version"):
        rest_routes.route("GET", path)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("0", 0),
        ("0" * 5000 + "7", 7),
        (str(2**63 - 1), 2**63 - 1),
    ],
)
def test_versions_that_are_numbers(version, expected):
    found = rest_routes.route("GET", f"/v1/models/m/versions/{version}")
    assert found.spec.version.value == expected
    assert found.spec.HasField("version")


def test_a_length_that_is_no_number(server):
    address = ("127.0.0.1", server.settings.rest_api_port)
    head = b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n"
    with socket.create_connection(address, 10) as link:
        link.sendall(head)
        assert link.recv(1000).startswith(b"HTTP/1.1 400 ")
