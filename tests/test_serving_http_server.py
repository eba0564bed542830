"""serving.http_server: bounded HTTP/1.1."""

import asyncio
import contextlib
import http.client
import socket
import statistics
import threading
import time

import pytest

from serving import http_packets
from serving.http_limits import HttpLimits
from serving.http_message import Request, Response
from serving.http_server import HttpServer


def echo(request: Request) -> Response:
    """The request, as text; waits where the path says so."""
    if request.path.startswith("/wait/"):
        time.sleep(float(request.path.split("/")[2]))
    if request.path == "/large":
        return Response(200, b"x" * 2**24, "text/plain")
    text = f"{request.method} {request.path} ".encode() + request.body
    return Response(200, text, "text/plain")


@contextlib.contextmanager
def serving(**values):
    quick = {"idle": 5.0, "head": 1.0, "body_bytes": 2**20, "threads": 4}
    server = HttpServer(echo, HttpLimits(**(quick | values)))
    port = server.start("127.0.0.1", 0)
    try:
        yield port
    finally:
        server.stop(2.0)


@pytest.fixture(scope="module")
def port():
    with serving() as found:
        yield found


def send(port, data, timeout=5.0):
    """All that comes back for raw bytes, until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout) as link:
        link.sendall(data)
        parts = []
        while part := link.recv(2**16):
            parts.append(part)
    return b"".join(parts)


CLOSE = b"Connection: close\r\n"


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"GET /a HTTP/1.1\r\n" + CLOSE + b"\r\n", b"GET /a "),
        (b"\r\n\r\nGET /a?b=c HTTP/1.0\r\n\r\n", b"GET /a "),
        (
            b"POST /a HTTP/1.1\r\ncontent-LENGTH:3\r\n" + CLOSE + b"\r\nabc",
            b"POST /a abc",
        ),
        (
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
            + CLOSE
            + b"\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nT: v\r\n\r\n",
            b"POST / abc0123456789",
        ),
    ],
)
def test_requests(port, data, body):
    found = send(port, data)
    assert found.startswith(b"HTTP/1.1 200 OK\r\n")
    assert found.split(b"\r\n\r\n", 1)[1] == body
    assert f"Content-Length: {len(body)}\r\n".encode() in found


def test_a_client_that_writes_head_and_body_apart_does_not_wait(port):
    """Nagle's rule and delayed acknowledgement would make it 40 ms each."""
    head = b"POST / HTTP/1.1\r\nContent-Length: 300\r\n\r\n"
    taken = []
    with socket.create_connection(("127.0.0.1", port), 5) as link:
        for _ in range(60):
            start = time.perf_counter()
            link.sendall(head)
            link.sendall(b"y" * 300)
            answer = b""
            while not answer.endswith(b"y" * 300):
                answer += link.recv(2**16)
            taken.append(time.perf_counter() - start)
    if http_packets.QUICK_ACK is None:
        pytest.skip("this system cannot acknowledge at once")
    # A new connection is acknowledged at once for a while, anyway.
    assert statistics.median(taken[30:]) < 0.03


class Sent:
    """The writer of a connection that keeps what it is given."""

    def __init__(self):
        self.parts = []

    def write(self, data):
        self.parts.append(data)

    async def drain(self):
        pass


@pytest.mark.parametrize(("size", "parts"), [(0, 1), (300, 1), (2**20, 2)])
def test_head_and_body_leave_together(size, parts):
    server = HttpServer(echo, HttpLimits())
    sent, body = Sent(), b"x" * size
    asyncio.run(server._send(sent, Response(200, body), True))
    found = [part for part in sent.parts if part]
    assert len(found) == parts
    assert b"".join(found).split(b"\r\n\r\n", 1)[1] == body


def test_expect_100(port):
    data = b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n"
    found = send(port, data + CLOSE + b"\r\nx")
    assert found.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


def test_one_connection_takes_many_requests(port):
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    for place in range(3):
        link.request("POST", f"/{place}", b"b")
        assert link.getresponse().read() == f"POST /{place} b".encode()
    link.close()
    # Sent together, answered in order.
    both = b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n" + CLOSE + b"\r\n"
    found = send(port, both)
    assert found.index(b"GET /1 ") < found.index(b"GET /2 ")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET\r\n\r\n", 400),
        (b"GET / HTTP/2\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),  # TLS on a plain port
        (b"GET / HTTP/1.1\r\nno header\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1e3\r\n\r\n", 400),
        (
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n"
            b"\r\n",
            400,
        ),
        (
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding:"
            b" chunked\r\n\r\n",
            400,
        ),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (
            b"POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (
            b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            400,
        ),
        (b"POST / HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n", 413),
        (
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\n",
            413,
        ),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 2**15 + b"\r\n\r\n", 431),
        (b"GET /slow HTTP/1.1\r\n", 408),
        (b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc", 408),
    ],
)
def test_what_is_refused(data, status):
    with serving(head=0.3, rate=2**20) as port:
        found = send(port, data)
    assert found.startswith(f"HTTP/1.1 {status} ".encode())
    assert b'{"error": "' in found and b"Connection: close" in found


def test_a_thousand_idle_connections_do_not_matter():
    # Who waits until they are closed waits for a minute.
    waits = {"connections": 600, "idle": 60.0, "head": 60.0}
    with serving(**waits) as port, contextlib.ExitStack() as stack:
        links = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            for _ in range(1000)
        ]
        start = time.monotonic()
        asked = b"GET /a HTTP/1.0\r\n\r\n"
        assert b"GET /a " in send(port, asked, timeout=30.0)
        assert time.monotonic() - start < 15
        # The first ones gave way, the last ones are still served.
        links[-1].sendall(b"GET /b HTTP/1.0\r\n\r\n")
        assert links[-1].recv(100).startswith(b"HTTP/1.1 200 OK")
        links[0].settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            assert links[0].recv(100) == b""


def test_slow_clients_hold_no_worker():
    with serving(threads=1, head=3.0) as port, contextlib.ExitStack() as stack:
        for _ in range(50):
            link = socket.create_connection(("127.0.0.1", port))
            stack.enter_context(link)
            link.sendall(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc")
        # These never read what they asked for: 16 MB each.
        for _ in range(5):
            link = socket.create_connection(("127.0.0.1", port))
            stack.enter_context(link)
            link.sendall(b"GET /large HTTP/1.1\r\n\r\n")
        start = time.monotonic()
        assert b"GET /a " in send(port, b"GET /a HTTP/1.0\r\n\r\n")
        assert time.monotonic() - start < 2.5


def test_silent_uploads_keep_no_place():
    with serving(connections=3, head=0.5) as port:
        with contextlib.ExitStack() as stack:
            head = b"POST / HTTP/1.1\r\nContent-Length: 1048576\r\n\r\n"
            links = [
                stack.enter_context(
                    socket.create_connection(("127.0.0.1", port), 5)
                )
                for _ in range(3)
            ]
            for link in links:
                link.sendall(head)
            # Not the 16 seconds of 1 MiB at the rate.
            assert links[0].recv(100).startswith(b"HTTP/1.1 408 ")
        assert b"GET /a " in send(port, b"GET /a HTTP/1.0\r\n\r\n")


def test_an_upload_that_stops_is_given_up():
    with serving(head=0.3, idle=0.5, rate=1e3) as port:
        with socket.create_connection(("127.0.0.1", port), 5) as link:
            link.sendall(b"POST / HTTP/1.1\r\nContent-Length: 99999\r\n\r\n")
            link.sendall(b"x" * 90_000)  # enough for 90 seconds
            start = time.monotonic()
            assert link.recv(100).startswith(b"HTTP/1.1 408 ")
        assert 0.3 < time.monotonic() - start < 3


def test_a_steady_upload_has_its_time():
    with (
        serving(head=0.3, rate=1e4) as port,
        socket.create_connection(("127.0.0.1", port), 5) as link,
    ):
        link.sendall(b"POST / HTTP/1.0\r\nContent-Length: 20000\r\n\r\n")
        for _ in range(10):
            link.sendall(b"x" * 2000)
            time.sleep(0.1)
        assert link.recv(100).startswith(b"HTTP/1.1 200 OK")


def test_bodies_share_a_budget():
    with serving(held_bytes=2**19) as port, contextlib.ExitStack() as stack:
        head = b"POST / HTTP/1.0\r\nContent-Length: 400000\r\n\r\n"
        slow = socket.create_connection(("127.0.0.1", port), 5)
        stack.enter_context(slow)
        slow.sendall(head + b"x" * 390_000)
        time.sleep(0.3)
        found = send(port, head + b"x" * 400_000)
        assert found.startswith(b"HTTP/1.1 503 ")
        slow.sendall(b"x" * 10_000)
        assert slow.recv(100).startswith(b"HTTP/1.1 200 OK")
        time.sleep(0.1)
        # Given back.
        found = send(port, head + b"x" * 400_000)
        assert found.startswith(b"HTTP/1.1 200 OK")


def test_a_stop_lets_requests_end():
    results = []
    with serving() as port, socket.create_connection(("127.0.0.1", port)):
        thread = threading.Thread(
            target=lambda: results.append(
                send(port, b"GET /wait/0.6 HTTP/1.1\r\n\r\n")
            )
        )
        thread.start()
        time.sleep(0.2)
        start = time.monotonic()
    assert 0.2 < time.monotonic() - start < 2
    thread.join()
    assert b"200 OK" in results[0] and b"Connection: close" in results[0]
    with pytest.raises(ConnectionRefusedError):
        send(port, b"GET / HTTP/1.0\r\n\r\n")


def test_a_port_that_is_taken(port):
    server = HttpServer(echo, HttpLimits())
    with pytest.raises(OSError, match="in use"):
        server.start("127.0.0.1", port)
    server.stop(0)
