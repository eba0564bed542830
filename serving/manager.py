"""The models that are served: found on disk, swapped, labelled, lent out.

In: a ModelServerConfig and folders `BASE/<version>`. Out: handles on loaded
versions, and the status of all. Behaviour, codes and texts are those of
tensorflow/serving's server_core.cc and what lies below it.

A base path that cannot be listed skips the whole poll, for all models: a file
system that is away for a while must not unload anything. An empty base path
unloads all versions of its model.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator

from grpc import StatusCode
from tensorflow_serving.apis import get_model_status_pb2, model_pb2
from tensorflow_serving.config.model_server_config_pb2 import (
    ModelServerConfig,
)

from serving import labels, loading, model_config, status, versions
from serving.loading import Loader, WarmUp, Wrap
from serving.polling import Periodic
from serving.roster import Handle, Roster
from serving.settings import ManagerSettings
from serving.status import ServingError

__all__ = ["Handle", "ModelManager"]

_LOG = logging.getLogger(__name__)


class ModelManager:
    """Serves the models of a config. Any thread may call it.

    Life: made, `start`ed once, used, `close`d. Until `start` is called no
    model is known.
    """

    def __init__(
        self,
        settings: ManagerSettings,
        wrap: Wrap = loading.unwrapped,
        warm_up: WarmUp = loading.cold,
    ):
        """Loads nothing yet.

        Args:
          settings: polling, retries, threads.
          wrap: makes the Servable that serves out of a loaded one.
          warm_up: called before a version serves; fails its load by raising.
        """
        slots = threading.Semaphore(max(1, settings.num_load_threads))
        self._settings = settings
        self._roster = Roster(Loader(settings, wrap, warm_up, slots))
        self._reloading = threading.Lock()
        self._polling = threading.Lock()
        # Both are replaced as a whole, never changed.
        self._config = ModelServerConfig()
        self._labels: labels.Labels = None
        self._poller: Periodic | None = None
        self._empty: set[tuple[str, str]] = set()  # told of
        self._closed = threading.Event()

    def start(
        self, config: ModelServerConfig, timeout: float | None = None
    ) -> None:
        """Loads the models of the first config, and polls from now on.

        Returns when each model has a version that serves; waits without end
        for one whose base path is missing or empty. Arguments and errors as
        of `reload`.
        """
        seconds = self._settings.file_system_poll_wait_seconds
        new = self._apply(config)
        if seconds > 0:
            self._poller = Periodic(self.poll, seconds, "file_system_poll")
        self._wait_until_available(new, timeout)

    def reload(
        self,
        config: ModelServerConfig,
        timeout: float | None = None,
        given_up: Callable[[], bool] = lambda: False,
    ) -> None:
        """Takes a config in place of the old one.

        Models that it does not list are unloaded. Returns when each model
        that the old config did not list has a version that serves.

        Args:
          config: the whole config.
          timeout: seconds to wait for the new models; None: no limit.
          given_up: whether nobody waits any more; asked again by `wake`.

        Raises:
          ServingError: the config is refused, and the old one stays; or a
            new model did not become available, and the new config stays.
        """
        self._wait_until_available(self._apply(config), timeout, given_up)

    def wake(self) -> None:
        """Has every `reload` that waits ask whether it is given up."""
        self._roster.wake()

    @contextlib.contextmanager
    def handle(self, spec: model_pb2.ModelSpec) -> Iterator[Handle]:
        """Lends the version that a request asks for.

        Raises:
          ServingError: no name, or no such model, version or label.
        """
        with self._roster.handle(spec.name, self._number(spec)) as handle:
            yield handle

    def status(
        self, spec: model_pb2.ModelSpec
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """States of one version, or of all that ever were, newest first.

        A label is not looked at.

        Raises:
          ServingError: NOT_FOUND.
        """
        found = self._roster.states(spec.name)
        if spec.HasField("version"):
            number = spec.version.value
            found = [row for row in found if row[0] == number]
            if not found:
                raise status.not_found(
                    f"Could not find version {number} of model {spec.name}"
                )
        if not found:
            raise status.not_found(
                f"Could not find any versions of model {spec.name}"
            )
        response = get_model_status_pb2.GetModelStatusResponse()
        for number, state, error in found:
            row = response.model_version_status.add(
                version=number, state=int(state)
            )
            row.status.error_code = error.code.value[0] if error else 0
            row.status.error_message = error.message if error else ""
        return response

    def poll(self) -> None:
        """Looks for versions once, and begins to load and unload them."""
        with self._polling:
            config = self._config
            found = versions.wanted(config)
            # A reload or close meanwhile knows better.
            if found is None or config is not self._config:
                return
            if not self._closed.is_set():
                self._tell_of_empty(config, found)
                for name, wanted in found.items():
                    self._roster.want(name, wanted)

    def _tell_of_empty(
        self, config: ModelServerConfig, found: dict[str, versions.Found]
    ) -> None:
        """Warns of models without a version, when they become so."""
        empty = {
            (model.name, model.base_path)
            for model in config.model_config_list.config
            if not found[model.name]
        }
        for name, base in sorted(empty - self._empty):
            _LOG.warning(
                "No versions of servable %s found under base path %s. Did you"
                " forget to name your leaf directory as a number (eg. '/1/')?",
                name,
                base,
                extra={"model": name},
            )
        self._empty = empty

    def close(self) -> None:
        """Stops polling and unloads all; waits for requests under way."""
        with self._reloading:
            self._closed.set()
            self._config = ModelServerConfig()
        self._roster.wake()
        if self._poller is not None:
            self._poller.stop()
        with self._polling:  # a poll may be about to say what it wants
            self._roster.close()

    def _number(self, spec: model_pb2.ModelSpec) -> int | None:
        if not spec.name:
            raise status.invalid("ModelSpec has no name specified.")
        choice = spec.WhichOneof("version_choice")
        if choice == "version":
            return spec.version.value
        if choice == "version_label":
            return labels.resolve(self._labels, spec.name, spec.version_label)
        return None

    def _apply(self, config: ModelServerConfig) -> set[str]:
        """Takes a config; gives the names of the models that are new."""
        with self._reloading:
            if self._closed.is_set():
                raise status.unavailable("The server is shutting down")
            old = self._config
            if model_config.is_empty(config, old):
                _LOG.info("Taking no action for empty config.")
                return set()
            model_config.check(config, old)
            self._labels = labels.assign(
                config,
                self._labels,
                self._roster.available,
                self._settings.allow_version_labels_for_unavailable_models,
            )
            with self._polling:
                self._config = ModelServerConfig()
                self._config.CopyFrom(config)
                kept = _names(config)
                for name in _names(old) - kept:
                    self._roster.want(name, {})
        self.poll()
        return kept - _names(old)

    def _wait_until_available(
        self,
        names: set[str],
        timeout: float | None,
        given_up: Callable[[], bool] = lambda: False,
    ) -> None:
        """Waits for models, as long as none of them has failed for good."""
        began = time.monotonic()

        def settled() -> bool:
            ended = self._closed.is_set() or given_up()
            return ended or all(
                self._roster.serves(name)
                or self._roster.failed(name)
                or name not in _names(self._config)
                for name in names
            )

        in_time = self._roster.wait_for(settled, timeout)
        missing = sorted(n for n in names if not self._roster.serves(n))
        if self._closed.is_set():
            raise status.unavailable("The server is shutting down")
        if not in_time:
            raise ServingError(
                StatusCode.DEADLINE_EXCEEDED,
                f"Not available after {time.monotonic() - began:.1f} s:"
                f" {', '.join(missing)}",
            )
        if missing and given_up():
            raise ServingError(StatusCode.CANCELLED, "The client went away")
        if missing:
            raise self._not_available(missing)

    def _not_available(self, names: list[str]) -> ServingError:
        parts = []
        for name in names:
            for number, error in self._roster.failed(name):
                cause = error and f"{error.code.name}: {error.message}"
                parts.append(
                    f"{{{{name: {name} version: {number}}} due to error:"
                    f" {cause}}}, "
                )
            if name not in _names(self._config):
                parts.append(f"{{{name}, removed by a later config}}, ")
        return ServingError(
            StatusCode.UNKNOWN,
            f"{len(parts)} model(s) did not become available:"
            f" {{{''.join(parts)}}}",
        )


def _names(config: ModelServerConfig) -> set[str]:
    return {model.name for model in config.model_config_list.config}
