"""Brings one version into memory, and out of it again.

In: a version's folder, and how to load, wrap and warm up. Out: a Servable
that is ready to serve, or the ServingError of the last attempt. What loading,
warm-up and unloading leave behind is given back to the system.
"""

import dataclasses
import logging
import pathlib
import threading
from collections.abc import Callable

from grpc import StatusCode

from serving import memory, servable
from serving.lifecycle import Version
from serving.servable import Servable
from serving.settings import ManagerSettings
from serving.status import ServingError

_LOG = logging.getLogger(__name__)

Wrap = Callable[[Servable, pathlib.Path], Servable]
WarmUp = Callable[[Servable, pathlib.Path], None]


class GivenUpError(ServingError):
    """The version was no longer wanted; nothing is wrong with it."""


def unwrapped(model: Servable, path: pathlib.Path) -> Servable:
    """The `Wrap` that does nothing."""
    del path
    return model


def cold(model: Servable, path: pathlib.Path) -> None:
    """The `WarmUp` that does nothing."""


@dataclasses.dataclass(frozen=True)
class Loader:
    """Loads versions, a few at a time, and unloads them.

    Attributes:
      settings: retries, threads and tags.
      wrap: makes the Servable that serves, e.g. one that batches.
      warm_up: called with it before it serves; what it raises fails the load.
      slots: of loads at the same time.
    """

    settings: ManagerSettings
    wrap: Wrap
    warm_up: WarmUp
    slots: threading.Semaphore

    def load(self, version: Version, begin: Callable[[], None]) -> Servable:
        """Loads a version, with retries until it is cancelled.

        Args:
          version: its state is left alone.
          begin: called when the first attempt starts.

        Raises:
          GivenUpError: it was cancelled, before or between attempts.
          ServingError: of the last attempt.
        """
        left = self.settings.max_num_load_retries
        pause = max(0, self.settings.load_retry_interval_micros) / 1e6
        given_up = GivenUpError(StatusCode.CANCELLED, "Loading was cancelled")
        with self.slots:
            if version.cancelled.is_set():
                raise given_up
            begin()
        while True:
            with self.slots:
                try:
                    return self._once(version.path)
                except ServingError as error:
                    if left == 0:
                        raise
                    _log_retry(version, error, left)
                finally:
                    memory.give_back()
            left -= 1
            if version.cancelled.wait(pause):
                raise given_up

    def unload(self, served: Servable) -> None:
        """Closes what `load` has returned."""
        try:
            served.close()
        finally:
            memory.give_back()

    def _once(self, path: pathlib.Path) -> Servable:
        bare = servable.load(
            path, self.settings.threads, self.settings.saved_model_tags
        )
        served: Servable | None = None
        try:
            served = self.wrap(bare, path)
            self.warm_up(served, path)
        except BaseException as error:
            (served or bare).close()
            if isinstance(error, ServingError) or not isinstance(
                error, Exception
            ):
                raise
            raise ServingError(StatusCode.UNKNOWN, str(error)) from error
        return served


def _log_retry(version: Version, error: ServingError, left: int) -> None:
    _LOG.warning(
        "Loading version %d of model %s failed: %s: %s; retries left: %d",
        version.number,
        version.model,
        error.code.name,
        error.message,
        left,
        extra={
            "model": version.model,
            "version": version.number,
            "state": version.state.name,
        },
    )
