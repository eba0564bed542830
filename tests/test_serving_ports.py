"""Taken ports are told of before models are loaded."""

import contextlib
import io
import os
import socket

import pytest
from serving_running import free_port

from histogan_tf.errors import InputError
from serving import ports
from serving.logs import Log
from serving.server_app import ModelServer
from serving.server_settings import ServerSettings


@contextlib.contextmanager
def listening(host="127.0.0.1", family=socket.AF_INET):
    with socket.socket(family) as other:
        other.bind((host, 0))
        other.listen()
        yield other.getsockname()[1]


@pytest.mark.parametrize("flag", ["port", "rest_api_port"])
def test_a_taken_port_is_named_before_models_load(flag, tmp_path):
    lines = io.StringIO()
    with listening() as taken:
        given = {"port": free_port(), flag: taken}
        # Of an empty folder it would wait for ever.
        settings = ServerSettings(model_base_path=str(tmp_path), **given)
        server = ModelServer(settings, Log("text", lines))
        with pytest.raises(InputError) as error:
            server.start()
        assert server.stop()
    assert str(error.value).startswith(
        f"--{flag}, --host: cannot listen on 127.0.0.1:{taken}: Address"
        " already in use; a free port"
    )
    assert not lines.getvalue()


def check(host, port):
    settings = ServerSettings(model_base_path="/m", host=host, port=port)
    ports.check_free(settings)


def test_free_ports_stay_free():
    port = free_port()
    for host in ("127.0.0.1", "localhost", "0.0.0.0", ""):
        check(host, port)
    check("127.0.0.1", port)
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))


def test_connections_that_have_ended_do_not_count():
    """A server that is started again within a minute."""
    with listening() as port:
        pass
    check("127.0.0.1", port)
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen()
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()  # closed here first: TIME_WAIT
    check("127.0.0.1", port)


def test_other_hosts():
    with listening() as taken, pytest.raises(InputError, match="in use"):
        check("0.0.0.0", taken)
    with pytest.raises(InputError, match=r"8500: Cannot assign .*; a free"):
        check("192.0.2.1", 8500)  # nobody's
    with pytest.raises(InputError, match=r"on no\.invalid:8500: \w"):
        check("no.invalid", 8500)


@pytest.mark.skipif(not os.path.exists("/proc/net/if_inet6"), reason="no IPv6")
def test_ipv6():
    with (
        listening("::1", socket.AF_INET6) as taken,
        pytest.raises(InputError, match=r"on \[::1\]:\d+: .* in use"),
    ):
        check("::1", taken)
