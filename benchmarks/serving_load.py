"""Closed-loop clients: each sends its next request when it has its answer.

In: a server's address and one request. Out: every latency, what went wrong,
and how long it took. Requests are packed once and answers are left packed,
so that a client costs little beside the server; each has a connection of its
own. `check` may look into the answers.
"""

import collections
import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np

PREDICT = "/tensorflow.serving.PredictionService/Predict"
_OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
]
DEADLINE = 60.0  # seconds of a request


class WrongAnswerError(Exception):
    """Raised by a check: the server answered, but not what it should."""


@dataclasses.dataclass(frozen=True)
class Load:
    """What clients saw: `latencies` in seconds, failures by their text."""

    latencies: np.ndarray
    failures: dict[str, int]
    seconds: float

    def summary(self) -> dict[str, Any]:
        """For the table and the JSON: milliseconds and requests a second."""
        p50, p95, p99 = percentiles(self.latencies)
        return {
            "requests": len(self.latencies),
            "failed": sum(self.failures.values()),
            "failures": self.failures,
            "per_second": round(len(self.latencies) / self.seconds, 2),
            "p50_ms": p50,
            "p95_ms": p95,
            "p99_ms": p99,
        }


def percentiles(seconds: np.ndarray) -> list[float | None]:
    """p50, p95 and p99 in ms; None where nothing was measured."""
    if not len(seconds):
        return [None] * 3
    found = np.percentile(np.asarray(seconds) * 1000, [50, 95, 99])
    return [round(float(value), 3) for value in found]


class Clients:
    """Threads that send until they are told to stop, or to a limit.

    Args of the constructor:
      address: HOST:PORT.
      request: a packed PredictRequest.
      count: how many clients.
      check: called with every packed answer; a WrongAnswerError is a failure.
    """

    def __init__(
        self,
        address: str,
        request: bytes,
        count: int,
        check: Callable[[bytes], None] | None = None,
    ):
        self._address, self._request, self._check = address, request, check
        self._lists: list[list[float]] = [[] for _ in range(count)]
        self._failures: collections.Counter[str] = collections.Counter()
        self._stop, self._start = threading.Event(), 0.0
        self._threads = [
            threading.Thread(target=self._loop, args=(place,), daemon=True)
            for place in range(count)
        ]

    def start(self) -> "Clients":
        """Lets them go."""
        self._start = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def done(self) -> int:
        """Answers so far."""
        return sum(map(len, self._lists))

    def failed(self) -> int:
        """Requests without a good answer so far."""
        return sum(self._failures.values())

    def stop(self) -> Load:
        """Ends them after the requests that are under way."""
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * DEADLINE)
        seconds = time.monotonic() - self._start
        latencies = np.concatenate([np.array(one) for one in self._lists])
        return Load(latencies, dict(self._failures), seconds)

    def _loop(self, place: int) -> None:
        with grpc.insecure_channel(self._address, _OPTIONS) as channel:
            call = channel.unary_unary(PREDICT)
            while not self._stop.is_set():
                begin = time.perf_counter()
                try:
                    answer = call(self._request, timeout=DEADLINE)
                    passed = time.perf_counter() - begin
                    if self._check:
                        self._check(answer)
                except grpc.RpcError as error:
                    text = f"{error.code().name}: {error.details()}"
                    self._failures[text[:200]] += 1
                    # A server that is gone must not be asked in a hot loop.
                    self._stop.wait(0.05)
                except WrongAnswerError as error:
                    self._failures[f"answer: {error}"] += 1
                else:
                    self._lists[place].append(passed)


def for_seconds(
    address: str, request: bytes, clients: int, seconds: float
) -> Load:
    """Load for a time, after each client has been answered once or twice."""
    warm = Clients(address, request, clients).start()
    end = time.monotonic() + 10 * DEADLINE
    while warm.done() + warm.failed() < 2 * clients and time.monotonic() < end:
        time.sleep(0.01)
    warm.stop()
    running = Clients(address, request, clients).start()
    time.sleep(seconds)
    return running.stop()


def asking(address: str, request: bytes) -> Callable[[], float]:
    """A function that sends the request and tells how long it took."""
    channel = grpc.insecure_channel(address, _OPTIONS)
    call = channel.unary_unary(PREDICT)

    def ask() -> float:
        begin = time.perf_counter()
        call(request, timeout=10 * DEADLINE)
        return time.perf_counter() - begin

    return ask


def answer(address: str, request: bytes) -> bytes:
    """The packed answer to one request."""
    with grpc.insecure_channel(address, _OPTIONS) as channel:
        return channel.unary_unary(PREDICT)(request, timeout=DEADLINE)


def one_by_one(
    address: str, request: bytes, count: int, seconds: float
) -> list[float]:
    """Latencies of a single client's requests, seconds, in their order.

    Args:
      address: HOST:PORT.
      request: a packed PredictRequest.
      count: how many, at the most.
      seconds: after which no further request is sent.
    """
    ask, found = asking(address, request), []
    end = time.monotonic() + seconds
    while len(found) < count and (not found or time.monotonic() < end):
        found.append(ask())
    return found
