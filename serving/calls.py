"""What every request passes through, by gRPC or REST.

In: a request and what answers it. Out: the answer or a ServingError, with a
count, a latency and a log line. Any other exception is a bug: the client sees
INTERNAL and the request's id, the log has the traceback.
"""

import contextlib
import dataclasses
import time
import traceback
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from grpc import StatusCode
from tensorflow_serving.apis import model_pb2

from serving import status
from serving.inference import SignatureDef
from serving.logs import Log
from serving.metrics import Metrics

if TYPE_CHECKING:
    from serving.manager import Handle, ModelManager
    from serving.servable import Servable

Answer = TypeVar("Answer")


_INFERENCE = ("Predict", "Classify", "Regress")


@dataclasses.dataclass(frozen=True)
class Call:
    """Which request: `entrypoint` is GRPC or REST, `api` the method."""

    entrypoint: str
    api: str
    request_id: str

    @property
    def label(self) -> str:
        """The method as metrics of requests have it: in REST the URL's word."""
        in_url = self.entrypoint == "REST" and self.api in _INFERENCE
        return self.api.lower() if in_url else self.api

    @property
    def counted(self) -> bool:
        """Whether it is among the requests: of gRPC, what runs a model."""
        return self.entrypoint == "REST" or self.api in _INFERENCE


class _TimedServable:
    """Reports how long a model's runs take."""

    def __init__(
        self, servable: "Servable", metrics: Metrics, model: str, api: str
    ):
        self._servable, self._metrics = servable, metrics
        self._model, self._api = model, api

    @property
    def signatures(self) -> dict[str, SignatureDef]:
        return self._servable.signatures

    def run(
        self,
        feeds: dict[str, np.ndarray],
        fetches: list[str],
        timeout: float | None = None,
    ) -> list[np.ndarray]:
        with self._metrics.runtime(self._model, self._api):
            return self._servable.run(feeds, fetches, timeout)


@dataclasses.dataclass(frozen=True)
class _TimedHandle:
    servable: _TimedServable
    name: str
    version: int


class TimedManager:
    """A ModelManager whose models' runs are measured for one API."""

    def __init__(self, manager: "ModelManager", metrics: Metrics, api: str):
        self._manager, self._metrics, self._api = manager, metrics, api
        self.version: int | None = None

    @contextlib.contextmanager
    def handle(self, spec: model_pb2.ModelSpec) -> Iterator[_TimedHandle]:
        """As the manager's; remembers the version for the log."""
        with self._manager.handle(spec) as found:
            self.version = found.version
            yield self._timed(found)

    def _timed(self, found: "Handle") -> _TimedHandle:
        servable = _TimedServable(
            found.servable, self._metrics, found.name, self._api
        )
        return _TimedHandle(servable, found.name, found.version)


class Calls:
    """Runs, counts and logs requests."""

    def __init__(
        self,
        manager: "ModelManager",
        metrics: Metrics,
        log: Log,
        log_requests: bool = True,
    ):
        """Arguments: `log_requests`: a line each, not for failures of ours."""
        self.manager, self.metrics, self.log = manager, metrics, log
        self._log_requests = log_requests

    def run(
        self,
        call: Call,
        spec: model_pb2.ModelSpec,
        answer: Callable[[Any], Answer],
    ) -> Answer:
        """Answers one request.

        Args:
          call: which one it is.
          spec: its model.
          answer: from a manager to the response.

        Raises:
          ServingError: what `answer` raises, or INTERNAL.
        """
        timed = TimedManager(self.manager, self.metrics, call.api)
        start = time.monotonic()
        code, text = StatusCode.OK, ""
        try:
            return answer(timed)
        except status.ServingError as error:
            code, text = error.code, error.message
            raise
        except Exception as error:
            code, text = StatusCode.INTERNAL, traceback.format_exc()
            raise _internal(call) from error
        finally:
            seconds = time.monotonic() - start
            self._report(call, spec, timed.version, code, text, seconds)

    def _report(
        self,
        call: Call,
        spec: model_pb2.ModelSpec,
        version: int | None,
        code: StatusCode,
        text: str,
        seconds: float,
    ) -> None:
        known = version is not None or self._is_known(spec.name)
        # Names that clients invent must not fill the metrics.
        model = spec.name if known else ""
        if call.counted:
            self.metrics.request(
                model, call.label, call.entrypoint, code.name, seconds
            )
        ours = code is StatusCode.INTERNAL
        if not ours and not self._log_requests:
            return
        tell = self.log.error if ours else self.log.info
        tell(
            "request",
            id=call.request_id,
            entrypoint=call.entrypoint,
            method=call.api,
            model=spec.name,
            version=version,
            code=code.name,
            ms=round(seconds * 1e3, 3),
            **({"error": text} if text else {}),
        )

    def _is_known(self, name: str) -> bool:
        try:
            self.manager.status(model_pb2.ModelSpec(name=name))
        except status.ServingError:
            return False
        return True


def _internal(call: Call) -> status.ServingError:
    return status.ServingError(
        StatusCode.INTERNAL,
        f"Internal error; the server's log has it as id={call.request_id}",
    )
