"""serving.http_server: handlers that fail, HEAD, compressed bodies."""

import contextlib
import gzip
import http.client
import json
import threading
import time

import pytest

from serving.http_limits import HttpLimits
from serving.http_message import HttpError, Request, Response, inflate
from serving.http_server import HttpServer


def count(request: Request) -> Response:
    """The length of the body; fails or waits where the path says so."""
    if request.path == "/fail":
        raise KeyError("a bug")
    if request.path == "/wait":
        started.set()
        release.wait(10)
    return Response(200, str(len(request.body)).encode(), "text/plain")


started, release = threading.Event(), threading.Event()


@pytest.fixture(scope="module")
def port():
    limits = HttpLimits(body_bytes=2**20, held_bytes=2**20, threads=4)
    server = HttpServer(count, limits)
    yield server.start("127.0.0.1", 0)
    server.stop(2.0)


@contextlib.contextmanager
def connected(port):
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        yield link
    finally:
        link.close()


def ask(link, method, path, body=None, **headers):
    link.request(method, path, body, headers)
    answer = link.getresponse()
    return answer.status, answer.read(), answer.headers


def test_a_handler_that_fails_is_answered_and_logged(port, caplog):
    with connected(port) as link:
        status, body, headers = ask(link, "GET", "/fail")
        assert status == 500 and headers["Connection"] == "keep-alive"
        text = "Internal error; the server's log has it"
        assert json.loads(body) == {"error": text}
        assert ask(link, "POST", "/", b"abc")[:2] == (200, b"3")
    record = next(r for r in caplog.records if r.exc_info)
    assert record.getMessage() == "GET /fail failed"
    assert record.levelname == "ERROR" and "a bug" in caplog.text


def test_head_has_no_body(port):
    with connected(port) as link:
        link.sock = None
        link.connect()
        link.sock.sendall(
            b"HEAD / HTTP/1.1\r\n\r\nGET /a HTTP/1.1\r\nConnection: close"
            b"\r\n\r\n"
        )
        found = b""
        while part := link.sock.recv(2**16):
            found += part
    head, second, body = found.split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK") and b"Length: 1" in head
    assert second.startswith(b"HTTP/1.1 200 OK") and body == b"0"


def test_inflated_bodies_share_the_budget(port):
    body = gzip.compress(bytes(700_000))
    assert len(body) < 1000
    coding = {"Content-Encoding": "gzip"}
    with connected(port) as first, connected(port) as second:
        first.request("POST", "/wait", body, coding)
        assert started.wait(10)
        status, text, _ = ask(second, "POST", "/", body, **coding)
        assert status == 503 and b"Too many bytes" in text
        release.set()
        assert first.getresponse().read() == b"700000"
        # Given back: what was taken for an answer, and for the refusal.
        assert ask(second, "POST", "/", body, **coding)[:2] == (200, b"700000")


def test_values_have_a_budget_that_one_body_always_fits():
    limits = HttpLimits(threads=4, parsed_bytes=2**20)
    server = HttpServer(count, limits)
    port = server.start("127.0.0.1", 0)
    started.clear(), release.clear()
    many = b'{"a": [' + b"{}," * 10_000 + b"0]}"  # 2.4 MB by `memory`
    with connected(port) as first, connected(port) as second:
        first.request("POST", "/wait", many)
        assert started.wait(10)
        status, text, _ = ask(second, "POST", "/", many)
        assert status == 503 and b"Too many values" in text
        release.set()
        assert first.getresponse().read() == str(len(many)).encode()
        with connected(port) as third:
            assert ask(third, "POST", "/", many)[0] == 200
    server.stop(2.0)


def test_answers_that_clients_leave_behind_have_a_budget():
    large = Response(200, bytes(2**24), "application/octet-stream")
    limits = HttpLimits(threads=4, answer_bytes=2**24, head=1.0, rate=2**23)
    server = HttpServer(lambda request: large, limits)
    port = server.start("127.0.0.1", 0)
    with connected(port) as first, connected(port) as second:
        first.request("GET", "/")
        time.sleep(0.5)  # its answer waits in the server
        status, text, _ = ask(second, "GET", "/")
        assert status == 503 and b"Too many answers" in text
        # Given back: the first client's time is up after 3 seconds.
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            time.sleep(0.2)
            status, text, _ = ask(second, "GET", "/")
            if status == 200:
                break
        assert status == 200 and len(text) == 2**24
    server.stop(2.0)


def test_inflate_takes_what_it_makes():
    taken = []
    data = bytes(range(256)) * 1000
    for level in (0, 9):
        taken.clear()
        body = gzip.compress(data, level)
        assert inflate(body, "gzip", 256_000, taken.append) == data
        assert sum(taken) == 256_000 and max(taken) <= 2**16
    # No more is made than is allowed.
    taken.clear()
    with pytest.raises(HttpError, match="larger than the limit of 100000"):
        inflate(gzip.compress(bytes(2**24)), "gzip", 100_000, taken.append)
    assert sum(taken) <= 100_000
    assert inflate(b"abc", "identity", 3, taken.append) == b"abc"
    for broken in (b"", b"abc", body[:-5], body[:50]):
        with pytest.raises(HttpError) as error:
            inflate(broken, "gzip", 2**20, taken.append)
        assert error.value.status == 400
