"""Where gRPC calls wait for their message, and then for a thread.

In: calls as their headers arrive. Out: their answers. A client may send
headers and no message; grpc's own servers keep a thread for each such call,
or keep it for ever. Here it costs a few kB and no thread:

- A message must come within a time that grows with the largest allowed.
- When too many calls wait, the one that waits longest gives way, so that
  calls whose messages come at once are always taken.
- Only whole messages are given to threads, which parse, run and pack them.
- Messages that were read, waiting for a thread or at work, have a budget of
  bytes together, as bodies have in REST; what does not fit is refused.
"""

import asyncio
import contextlib
import functools
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from serving import logs, status
from serving.budget import Budget

_ID = "x-request-id"
_GONE = status.unavailable("Too many calls wait for their messages")
_SLOW = status.ServingError(
    grpc.StatusCode.DEADLINE_EXCEEDED, "The request came too slowly"
)


@dataclass(frozen=True)
class GateLimits:
    """`waiting`, `running`: calls at once; `seconds`: for a message.

    `held_bytes`: of all messages that were read and are not answered yet;
    `answer_bytes`: of all answers that clients have not taken yet.
    """

    waiting: int = 256
    running: int = 256
    seconds: float = 10.0
    held_bytes: int = 2**30
    answer_bytes: int = 2**30


@dataclass(frozen=True)
class Caller:
    """Who waits for an answer.

    `deadline`: on the monotonic clock; None: none. `gone` is done as soon as
    nobody waits any more.
    """

    request_id: str = ""
    deadline: float | None = None
    gone: Future = field(default_factory=Future)

    @classmethod
    def of(cls, context: grpc.aio.ServicerContext) -> "Caller":
        """The caller that a context tells of."""
        sent = {
            key: value
            for key, value in context.invocation_metadata() or ()
            if isinstance(value, str)
        }
        left, deadline = context.time_remaining(), None
        # Clients may write 11,000 years; so long waits are OverflowErrors.
        if left is not None and left < threading.TIMEOUT_MAX:
            deadline = time.monotonic() + left
        return cls(logs.request_id(sent.get(_ID)), deadline)

    def seconds_left(self) -> float | None:
        """Seconds to the deadline; None: as many as you like.

        Raises:
          ServingError: DEADLINE_EXCEEDED.
        """
        if self.deadline is None:
            return None
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise status.ServingError(
                grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"
            )
        return left


class _Message:
    """A call's message; counts for a budget until it is dropped."""

    def __init__(self, data: bytes, budget: Budget):
        """Raises ServingError, RESOURCE_EXHAUSTED, when it does not fit."""
        if not budget.take(len(data)):
            del data  # which the error's traceback would keep
            raise status.exhausted(
                "Too many bytes of requests are held; the limit held_bytes is"
                f" {budget.most}; try again"
            )
        self.data, self._budget = data, budget

    def drop(self) -> None:
        """Forgets it: a call that was given up keeps its place in the queue."""
        count, self.data = len(self.data), b""
        self._budget.give_back(count)


class Gate(grpc.aio.ServerInterceptor):
    """Has servicers' plain methods answer in `pool`; for one event loop.

    The methods are given a Caller in place of grpc's context, and fail by
    raising ServingError. Coroutines answer on the loop, as grpc's own.
    """

    def __init__(self, pool: ThreadPoolExecutor, limits: GateLimits):
        self._pool, self._limits = pool, limits
        # In the order in which they came.
        self._waiting: dict[grpc.aio.ServicerContext, asyncio.TimerHandle] = {}
        self._refusals: set[asyncio.Task] = set()
        self._places = threading.Semaphore(limits.running)
        self._budget = Budget(limits.held_bytes)
        self._answers = Budget(limits.answer_bytes)

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        """Takes the place of a method that reads one message.

        A stream of requests is the same to clients, and only its handlers
        are called before the message is there.
        """
        found = await continuation(handler_call_details)
        if found is None or found.response_streaming:
            return found
        return grpc.stream_unary_rpc_method_handler(
            functools.partial(self._answer, found)
        )

    async def _answer(
        self,
        handler: grpc.RpcMethodHandler,
        _: Any,
        context: grpc.aio.ServicerContext,
    ) -> bytes:
        caller = Caller.of(context)
        context.set_trailing_metadata(((_ID, caller.request_id),))
        try:
            message = _Message(await self._read(context), self._budget)
            if asyncio.iscoroutinefunction(handler.unary_unary):
                return await _on_loop(handler, message, context)
            answer = await self._in_thread(handler, message, caller)
            self._hold(len(answer), context)
            return answer
        except status.ServingError as error:
            await context.abort(error.code, error.text)
            raise  # abort has raised already
        finally:
            caller.gone.set_result(None)

    def _hold(self, count: int, context: grpc.aio.ServicerContext) -> None:
        """Counts an answer until its client has taken it, or is gone.

        Raises:
          ServingError: RESOURCE_EXHAUSTED: clients leave too many behind.
        """
        count = min(count, self._answers.most)
        if not self._answers.take(count):
            raise status.exhausted("Too many answers are held; try again")
        context.add_done_callback(lambda _: self._answers.give_back(count))

    async def _read(self, context: grpc.aio.ServicerContext) -> bytes:
        if len(self._waiting) >= self._limits.waiting:
            self._refuse(next(iter(self._waiting)), _GONE)
        loop = asyncio.get_running_loop()
        self._waiting[context] = loop.call_later(
            self._limits.seconds, self._refuse, context, _SLOW
        )
        try:
            data = await context.read()
        finally:
            if timer := self._waiting.pop(context, None):
                timer.cancel()
        if data is grpc.aio.EOF:
            await context.abort(
                grpc.StatusCode.UNIMPLEMENTED,
                "The method requires exactly one request message.",
            )
        return data

    def _refuse(
        self, context: grpc.aio.ServicerContext, error: status.ServingError
    ) -> None:
        """Ends a call that waits; its `read` then ends by itself."""
        self._waiting.pop(context).cancel()
        task = asyncio.ensure_future(_abort(context, error))
        self._refusals.add(task)
        task.add_done_callback(self._refusals.discard)

    async def _in_thread(
        self, handler: grpc.RpcMethodHandler, message: _Message, caller: Caller
    ) -> bytes:
        if not self._places.acquire(blocking=False):
            message.drop()
            raise status.exhausted("Concurrent RPC limit exceeded!")
        work = self._pool.submit(_work, handler, message, caller)

        def ended(_: Future) -> None:
            message.drop()
            self._places.release()

        # Not when its client goes: a thread that is at it works on.
        work.add_done_callback(ended)
        return await asyncio.wrap_future(work)


async def _on_loop(
    handler: grpc.RpcMethodHandler,
    message: _Message,
    context: grpc.aio.ServicerContext,
) -> bytes:
    try:
        request = _parsed(handler, message.data)
        answer = await handler.unary_unary(request, context)
        return handler.response_serializer(answer)
    finally:
        message.drop()


async def _abort(
    context: grpc.aio.ServicerContext, error: status.ServingError
) -> None:
    # It always raises; or the client went away in this moment.
    with contextlib.suppress(grpc.aio.BaseError):
        await context.abort(error.code, error.text)


def _work(
    handler: grpc.RpcMethodHandler, message: _Message, caller: Caller
) -> bytes:
    """In a worker thread."""
    answer = handler.unary_unary(_parsed(handler, message.data), caller)
    try:
        return handler.response_serializer(answer)
    except ValueError as error:  # protobuf stops at 2 GiB
        raise status.internal("Failed to serialize response!") from error


def _parsed(handler: grpc.RpcMethodHandler, data: bytes) -> Any:
    try:
        return handler.request_deserializer(data)
    except DecodeError as error:
        raise status.internal("Exception deserializing request!") from error
