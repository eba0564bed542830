"""HTTP/1.1 on one event loop: many connections, few threads.

In: a handler from Request to Response, which runs in worker threads. Out: a
server whose connections, bytes and times are bounded:

- A connection without a request costs a few kB; the longest idle one gives
  way when there are too many.
- No part waits for an acknowledgement (`http_packets.py`).
- A head must come within a time, a body no slower than a rate and without a
  long pause; so must the client read its answer. Slow clients hold no worker
  thread, and silent ones no place for long.

The standard library's `http.server` gives every connection a thread for as
long as its client likes.
"""

import asyncio
import contextlib
import dataclasses
import logging
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

from serving import http_message, http_packets, json_answer, json_text
from serving.budget import Budget
from serving.http_limits import HttpLimits
from serving.http_message import (
    BodyReader,
    Head,
    HttpError,
    Request,
    Response,
)
from serving.loop_thread import LoopThread

Handler = Callable[[Request], Response]
_LOG = logging.getLogger(__name__)
_LINGER = 1.0  # seconds
_MANY = "Too many values of requests are held; try again"
_TOO_SLOW = "The request came too slowly"


class _Connection:
    """One client's stream; `idle` while it waits for a request."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ):
        self.reader, self.writer = reader, writer
        self.idle = True

    async def first_byte(self) -> bytes:
        self.idle = True
        try:
            return await self.reader.read(1)
        finally:
            self.idle = False


class HttpServer:
    """Serves `handler` on a port; use as a context, or start and stop."""

    def __init__(
        self,
        handler: Handler,
        limits: HttpLimits,
        tls: ssl.SSLContext | None = None,
    ):
        self._handler, self._limits, self._tls = handler, limits, tls
        self._budget = Budget(limits.held_bytes)
        self._parsed = Budget(limits.parsed_bytes)
        self._answers = Budget(limits.answer_bytes)
        self._pool = ThreadPoolExecutor(limits.threads, "rest")
        self._thread = LoopThread("http")
        # In the order in which they last became idle.
        self._connections: dict[_Connection, asyncio.Task] = {}
        self._server: asyncio.Server | None = None
        self._stopping = False

    def start(self, host: str, port: int) -> int:
        """Listens; returns the port (that was found for port 0).

        Raises:
          OSError: the address is taken or not ours.
        """
        self._thread.start()
        return self._thread.run(self._listen(host, port))

    async def _listen(self, host: str, port: int) -> int:
        handshake = {"ssl_handshake_timeout": self._limits.head}
        self._server = await asyncio.start_server(
            self._accept,
            host,
            port,
            limit=http_message.HEADER_BYTES,
            backlog=1024,
            ssl=self._tls,
            **(handshake if self._tls else {}),
        )
        return self._server.sockets[0].getsockname()[1]

    def stop(self, grace: float) -> None:
        """No new requests; those at work may end within `grace` seconds."""
        self._thread.run(self._stop(grace))
        self._thread.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _stop(self, grace: float) -> None:
        self._stopping = True
        if self._server:
            self._server.close()
        for connection in self._connections:
            if connection.idle:
                connection.writer.transport.abort()
        if self._connections:
            await asyncio.wait(self._connections.values(), timeout=grace)
        for connection in list(self._connections):
            connection.writer.transport.abort()
        if self._connections:
            await asyncio.wait(self._connections.values(), timeout=1)

    async def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        connection = _Connection(reader, writer)
        task = asyncio.current_task()
        assert task is not None
        if not self._make_room():
            writer.transport.abort()
            return
        self._connections[connection] = task
        try:
            while await self._exchange(connection):
                # To the end of the order.
                same = self._connections.pop(connection)
                self._connections[connection] = same
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            pass  # the client went away, or is too slow to be told anything
        finally:
            await self._close(writer)
            del self._connections[connection]

    async def _close(self, writer: asyncio.StreamWriter) -> None:
        """Closes; what a client does not read is dropped after a while."""
        writer.close()
        try:
            async with asyncio.timeout(self._limits.head):
                await writer.wait_closed()
        except (OSError, TimeoutError):
            writer.transport.abort()

    def _make_room(self) -> bool:
        """Drops the longest idle connection when there are too many."""
        if len(self._connections) < self._limits.connections:
            return True
        idle = (one for one in self._connections if one.idle)
        chosen = next(idle, None)
        if chosen is None:
            return False
        # Not chosen again while it is being closed.
        chosen.idle = False
        chosen.writer.transport.abort()
        return True

    async def _exchange(self, connection: _Connection) -> bool:
        """One request and its answer; returns whether to go on."""
        writer = connection.writer
        body = BodyReader(
            connection.reader, self._limits.body_bytes, self._budget
        )
        try:
            head = await self._read_head(connection)
            if head is None:
                return False
            request = await self._read_body(head, body, writer)
            answer = await self._thread.loop.run_in_executor(
                self._pool, self._answer, request, body.take
            )
            keep = head.keep_alive and not self._stopping
        except HttpError as error:
            body.release()
            answer = Response(error.status, json_answer.error(error.text))
            await self._send(writer, answer, keep_alive=False)
            await self._drop_input(connection)
            return False
        finally:
            body.release()
        await self._send(writer, answer, keep, head.method)
        return keep

    async def _drop_input(self, connection: _Connection) -> None:
        """Reads on for a moment: a reset would destroy the answer."""
        if connection.writer.can_write_eof():
            connection.writer.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                while await connection.reader.read(2**16):
                    pass

    async def _read_head(self, connection: _Connection) -> Head | None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.idle):
                first = await connection.first_byte()
            if not first or self._stopping:
                return None
            return await self._rest_of_head(connection.reader, first)
        return None

    async def _rest_of_head(
        self, reader: asyncio.StreamReader, first: bytes
    ) -> Head:
        try:
            async with asyncio.timeout(self._limits.head):
                # Empty lines before a request are passed over (RFC 9112).
                while first in b"\r\n":
                    first = await reader.readexactly(1)
                rest = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError as error:
            raise HttpError(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"Headers above {http_message.HEADER_BYTES} bytes",
            ) from error
        except TimeoutError as error:
            raise HttpError(HTTPStatus.REQUEST_TIMEOUT, _TOO_SLOW) from error
        return http_message.parse_head(first + rest)

    async def _read_body(
        self, head: Head, body: BodyReader, writer: asyncio.StreamWriter
    ) -> Request:
        if head.headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        http_packets.acknowledge(writer)
        now = self._thread.loop.time
        start, idle = now(), self._limits.idle
        try:
            async with asyncio.timeout(self._limits.head) as clock:
                # By what has come, not by what a client says will come.
                body.came = lambda count: clock.reschedule(
                    min(start + self._seconds(count), now() + idle)
                )
                sent = await body.read(head)
        except TimeoutError as error:
            raise HttpError(HTTPStatus.REQUEST_TIMEOUT, _TOO_SLOW) from error
        return Request(head.method, head.path, head.headers, sent)

    def _seconds(self, count: int) -> float:
        return self._limits.head + count / self._limits.rate

    def _answer(
        self, request: Request, take: Callable[[int], None]
    ) -> Response:
        """In a worker thread; raises nothing."""
        try:
            coding = request.headers.get("content-encoding", "").lower()
            body = http_message.inflate(
                request.body, coding, self._limits.body_bytes, take
            )
            with self._parsed.held(json_text.memory(body)) as fits:
                if not fits:
                    raise HttpError(HTTPStatus.SERVICE_UNAVAILABLE, _MANY)
                return self._handler(dataclasses.replace(request, body=body))
        except HttpError as error:
            return Response(error.status, json_answer.error(error.text))
        except Exception:
            _LOG.exception("%s %.200s failed", request.method, request.path)
            text = "Internal error; the server's log has it"
            return Response(
                HTTPStatus.INTERNAL_SERVER_ERROR, json_answer.error(text)
            )

    async def _send(
        self,
        writer: asyncio.StreamWriter,
        answer: Response,
        keep_alive: bool,
        method: str = "",
    ) -> None:
        with self._answers.held(len(answer.body)) as fits:
            if not fits:
                text = json_answer.error("Too many answers are held; try again")
                answer = Response(HTTPStatus.SERVICE_UNAVAILABLE, text)
            # HEAD is told the length of what a GET would bring.
            body = b"" if method == "HEAD" else answer.body
            http_packets.write(writer, answer.encode(keep_alive), body)
            async with asyncio.timeout(self._seconds(len(body))):
                await writer.drain()
