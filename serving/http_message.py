"""HTTP/1.1 messages: a request is read with every part bounded.

In: the byte stream of a connection. Out: a Request, or an HttpError with the
status to answer. Bodies come with Content-Length or in chunks (RFC 9112), and
may be compressed by gzip, which is inflated up to the same limit.

Bytes that all connections hold together are counted against one Budget, so
that a thousand slow uploads cannot fill the memory.
"""

import asyncio
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from serving.budget import Budget

HEADER_BYTES = 2**14
_PIECE = 2**16
_REQUEST_LINE = re.compile(r"([A-Z]{1,16}) (\S{1,8192}) HTTP/1\.([01])")
# No blanks beside the value here: they could be matched in many ways, and
# trying all of them takes hours.
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\r\n\0]*)")
_ONCE = ("content-length", "host", "transfer-encoding")
_LENGTH = re.compile(r"\d{1,18}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[^\r\n]*)?\r\n")


class HttpError(Exception):
    """A message that cannot be read; the connection ends with its answer."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status, self.text = status, text


@dataclass(frozen=True)
class Head:
    """Request line and headers; names in lower case, `path` undecoded."""

    method: str
    path: str
    headers: Mapping[str, str]
    keep_alive: bool

    @property
    def length(self) -> int | None:
        """Content-Length, if there is one."""
        found = self.headers.get("content-length")
        return None if found is None else int(found)


@dataclass(frozen=True)
class Request:
    """A whole request; `body` is inflated."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Response:
    """An answer; `headers` beyond those of the connection."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()

    def encode(self, keep_alive: bool) -> bytes:
        """Status line and headers, with the empty line."""
        try:
            reason = HTTPStatus(self.status).phrase
        except ValueError:  # 499 is nginx's, not HTTP's
            reason = "Client Closed Request"
        lines = [
            f"HTTP/1.1 {self.status} {reason}",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.body)}",
            f"Connection: {'keep-alive' if keep_alive else 'close'}",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def parse_head(data: bytes) -> Head:
    """Parses the bytes up to the empty line.

    Raises:
      HttpError: 400: not HTTP/1.0 or 1.1.
    """
    line, *rest = data.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    found = _REQUEST_LINE.fullmatch(line)
    if not found:
        raise _bad("Malformed request line")
    method, target, minor = found.groups()
    headers: dict[str, str] = {}
    for row in rest:
        header = _HEADER.fullmatch(row)
        if not header:
            raise _bad("Malformed header")
        name, value = header[1].lower(), header[2].strip(" \t")
        # Two lengths are how requests are smuggled past a proxy.
        if name in headers and name in _ONCE:
            raise _bad(f"Header {name} twice")
        if name == "content-length" and not _LENGTH.fullmatch(value):
            raise _bad("Malformed Content-Length")
        if name == "connection" and name in headers:
            value = f"{headers[name]},{value}"
        headers[name] = value
    if minor == "0" and "transfer-encoding" in headers:
        raise _bad("Transfer-Encoding in HTTP/1.0")
    keep = _keeps_alive(headers.get("connection", ""), minor)
    return Head(method, target.partition("?")[0], headers, keep)


def _keeps_alive(connection: str, minor: str) -> bool:
    asked = {token.strip(" \t") for token in connection.lower().split(",")}
    return "close" not in asked and (minor == "1" or "keep-alive" in asked)


def _bad(text: str) -> HttpError:
    return HttpError(HTTPStatus.BAD_REQUEST, text)


def _too_large(most: int) -> HttpError:
    return HttpError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"The body is larger than the limit of {most} bytes",
    )


class BodyReader:
    """Reads one body; `held` bytes are taken from the budget meanwhile.

    `came` is told after each piece how many bytes of it there are.
    """

    def __init__(self, reader: asyncio.StreamReader, most: int, budget: Budget):
        self._reader, self._most, self._budget = reader, most, budget
        self.held = self._read = 0
        self.came: Callable[[int], None] = lambda count: None

    async def read(self, head: Head) -> bytes:
        """The body as it was sent; b"" without one.

        Raises:
          HttpError: 400, 413, 501 or 503.
          asyncio.IncompleteReadError: the client went away.
        """
        coding = head.headers.get("transfer-encoding")
        length = head.length
        if coding is not None:
            if length is not None:
                raise _bad("Both Content-Length and Transfer-Encoding")
            if coding.lower() != "chunked":
                raise HttpError(
                    HTTPStatus.NOT_IMPLEMENTED,
                    "Transfer-Encoding other than chunked",
                )
            return await self._chunked()
        if length is None:
            return b""
        if length > self._most:
            raise _too_large(self._most)
        return await self._exactly(length)

    async def _exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            piece = await self._reader.read(min(_PIECE, count - len(data)))
            if not piece:
                raise asyncio.IncompleteReadError(b"", count)
            self.take(len(piece))
            data += piece
            self._read += len(piece)
            self.came(self._read)
        return bytes(data)

    async def _chunked(self) -> bytes:
        parts, total = [], 0
        while True:
            line = _CHUNK.fullmatch(await self._reader.readuntil(b"\r\n"))
            if not line:
                raise _bad("Malformed chunk")
            size = int(line[1], 16)
            total += size
            if total > self._most:
                raise _too_large(self._most)
            if not size:
                break
            parts.append(await self._exactly(size))
            if await self._reader.readexactly(2) != b"\r\n":
                raise _bad("Malformed chunk")
            # A chunk costs some memory however short it is.
            self.take(64)
        trailer = b"-"
        length = 0
        while trailer != b"\r\n":
            trailer = await self._reader.readuntil(b"\r\n")
            length += len(trailer)
            if length > HEADER_BYTES:
                raise _bad("Trailers too long")
        return b"".join(parts)

    def take(self, count: int) -> None:
        """Takes bytes that are held for this body beside its own.

        Raises:
          HttpError: 503: too many are held.
        """
        if not self._budget.take(count):
            raise HttpError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "Too many bytes of requests are held; try again",
            )
        self.held += count

    def release(self) -> None:
        """Gives the bytes back to the budget."""
        self._budget.give_back(self.held)
        self.held = 0


def inflate(
    body: bytes, coding: str, most: int, take: Callable[[int], None]
) -> bytes:
    """A body without its Content-Encoding: none, identity or gzip.

    Args:
      body: as it was sent.
      coding: in lower case.
      most: bytes that may come out.
      take: told of inflated bytes before there are more of them.

    Raises:
      HttpError: 400, 413 or 415, or what `take` raises.
    """
    if coding in ("", "identity"):
        return body
    if coding != "gzip":
        raise HttpError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"Content-Encoding {coding[:40]!r}; allowed are gzip, identity",
        )
    parts, total = [], 0
    try:
        for part in _inflated(body):
            total += len(part)
            if total > most:
                raise _too_large(most)
            take(len(part))
            parts.append(part)
    except zlib.error as error:
        raise _bad("The body is no gzip") from error
    return b"".join(parts)


def _inflated(body: bytes) -> Iterator[bytes]:
    """Pieces of a few kB: 64 kB of gzip can hold 64 MB."""
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
    for start in range(0, len(body), _PIECE):
        rest = body[start : start + _PIECE]
        while rest and not inflater.eof:
            yield inflater.decompress(rest, _PIECE)
            rest = inflater.unconsumed_tail
    yield inflater.flush()
    if not inflater.eof:
        raise _bad("The body's gzip is cut short")
