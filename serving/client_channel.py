"""A gRPC channel to a model server: sizes, retries, TLS, clear errors.

In: where the server is and how to reach it (`ChannelSettings`). Out: a
`grpc.Channel`, and `call`, which sends one request with a deadline and turns
every failure into one line.

Retries are gRPC's own (gRFC A6): exponential back-off with 20 % jitter, on
UNAVAILABLE only, five attempts at most, all within the request's deadline. gRPC
silently gives them up for requests above its replay buffer of 256 KiB, so
the buffer is made as large as a message may be.
"""

import json
import pathlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc

from histogan_tf.errors import InputError

ATTEMPTS = 5  # gRPC itself allows no more
_MIB = 2**20
_TOO_LARGE = re.compile(r"message larger than max \((\d+) vs\. (\d+)\)")


@dataclass(frozen=True)
class ChannelSettings:
    """How a server is reached.

    Attributes:
      server: `HOST:PORT`.
      message_mib: largest answer and request, 1..2047 MiB (gRPC's own default
        for answers is 4 MiB).
      attempts: first try and retries on UNAVAILABLE, 1..5.
      first_wait: seconds before the first retry; doubled each time.
      ca, cert, key: PEM files. `ca` turns TLS on; `cert` and `key` together
        show who the client is (mutual TLS).
    """

    server: str
    message_mib: int = 256
    attempts: int = ATTEMPTS
    first_wait: float = 0.2
    ca: pathlib.Path | None = None
    cert: pathlib.Path | None = None
    key: pathlib.Path | None = None

    def __post_init__(self) -> None:
        host, colon, port = self.server.rpartition(":")
        if not (host and colon and port.isdecimal() and int(port) < 2**16):
            raise InputError(f"--server {self.server!r}: HOST:PORT is allowed")
        _check_range("message_mib", self.message_mib, 1, 2047)
        _check_range("attempts", self.attempts, 1, ATTEMPTS)
        _check_range("first_wait", self.first_wait, 0.001, 60)
        if (self.cert is None) != (self.key is None):
            raise InputError("--cert and --key: give both or none")
        if self.cert is not None and self.ca is None:
            raise InputError("--cert needs --ca, which turns TLS on")


class RequestError(InputError):
    """A request that failed: gRPC's code and the server's text."""

    def __init__(self, code: grpc.StatusCode, details: str, server: str):
        super().__init__(f"{server}: {code.name}: {details}")
        self.code, self.details = code, details


def open_channel(settings: ChannelSettings) -> grpc.Channel:
    """A channel that connects when it is first used.

    Raises:
      InputError: a PEM file cannot be read.
    """
    options = _options(settings)
    if settings.ca is None:
        return grpc.insecure_channel(settings.server, options)
    credentials = grpc.ssl_channel_credentials(
        _read(settings.ca, "--ca"),
        _read(settings.key, "--key"),
        _read(settings.cert, "--cert"),
    )
    return grpc.secure_channel(settings.server, credentials, options)


def call(
    method: Callable[..., Any], request: Any, deadline: float, server: str
) -> Any:
    """Sends one request.

    Args:
      method: a method of one of the official stubs.
      request: its message.
      deadline: seconds, retries included.
      server: as errors shall call it.

    Raises:
      RequestError: no answer within the deadline, or an error for an answer.
    """
    try:
        return method(request, timeout=deadline)
    except grpc.RpcError as error:
        code, details = error.code(), error.details() or "no text"
    except ValueError as error:
        # grpc's own stub packs the request; protobuf stops at 2 GiB.
        raise RequestError(
            grpc.StatusCode.RESOURCE_EXHAUSTED, str(error), server
        ) from error
    raise RequestError(code, _explained(code, details, deadline), server)


def _explained(code: grpc.StatusCode, details: str, deadline: float) -> str:
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"{details} (--deadline {deadline:g} s)"
    found = _TOO_LARGE.search(details)
    if code is not grpc.StatusCode.RESOURCE_EXHAUSTED or not found:
        return details
    size, limit = (int(text) for text in found.groups())
    if "SERVER: " in details:
        return (
            f"the request of {size} bytes is above the server's limit of"
            f" {limit}; send less at once (--tile_pixels)"
        )
    return (
        f"the message of {size} bytes is above the client's limit of"
        f" {limit}; raise --message_mib to {-(-size // _MIB)} or more"
    )


def _options(settings: ChannelSettings) -> list[tuple[str, Any]]:
    size = settings.message_mib * _MIB
    policy = {
        "maxAttempts": settings.attempts,
        "initialBackoff": f"{settings.first_wait:g}s",
        "maxBackoff": "10s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    # A policy of one attempt is none, and gRPC refuses it.
    method: dict[str, Any] = {"name": [{}]}
    if settings.attempts > 1:
        method["retryPolicy"] = policy
    return [
        ("grpc.max_receive_message_length", size),
        ("grpc.max_send_message_length", size),
        ("grpc.per_rpc_retry_buffer_size", size),
        ("grpc.service_config", json.dumps({"methodConfig": [method]})),
        # By default a client that came too early waits up to 2 minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
    ]


def _read(path: pathlib.Path | None, flag: str) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{flag} {path}: {error.strerror}") from error


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InputError(f"{name}={value}; {low}..{high} is allowed")
