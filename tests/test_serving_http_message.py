"""serving.http_message: heads of requests, and of answers."""

import contextlib
import time

import pytest

from serving import http_message
from serving.http_message import HttpError, Response


def test_headers_are_parsed():
    head = http_message.parse_head(
        b"GET /x?y HTTP/1.1\r\nA-b:  c d \r\nConnection: Close\r\n\r\n"
    )
    assert (head.method, head.path, head.keep_alive) == ("GET", "/x", False)
    assert head.headers == {"a-b": "c d", "connection": "Close"}
    with pytest.raises(HttpError, match="Malformed header"):
        http_message.parse_head(b"GET / HTTP/1.1\r\nA : b\r\n\r\n")


@pytest.mark.parametrize(
    ("minor", "lines", "keeps"),
    [
        (1, ["Connection: close, TE"], False),
        (1, ["Connection: TE", "Connection: close"], False),
        (1, ["Connection: TE"], True),
        (0, ["Connection: Keep-Alive, Upgrade"], True),
        (0, [], False),
    ],
)
def test_connection_is_a_list(minor, lines, keeps):
    text = "\r\n".join([f"GET / HTTP/1.{minor}", *lines])
    head = http_message.parse_head(text.encode() + b"\r\n\r\n")
    assert head.keep_alive is keeps


@pytest.mark.parametrize("end", [b"\0", b"y", b"\r"])
def test_blanks_cost_no_time(end):
    line = b"A: x" + b" " * 16_000 + end
    start = time.monotonic()
    with contextlib.suppress(HttpError):
        http_message.parse_head(b"GET / HTTP/1.1\r\n" + line + b"\r\n\r\n")
    assert time.monotonic() - start < 0.1


def test_answers_are_encoded():
    assert Response(499, b"ab").encode(keep_alive=True) == (
        b"HTTP/1.1 499 Client Closed Request\r\n"
        b"Content-Type: application/json\r\nContent-Length: 2\r\n"
        b"Connection: keep-alive\r\n\r\n"
    )
