"""All versions of all models: loaded and unloaded in threads, used by handles.

In: which versions of a model are wanted. Out: handles on versions that serve,
and the states of all versions that ever were.

One lock guards everything here and is held for dictionary work and log lines
only, never while a model loads, runs or closes. A version that is wanted is
loaded, then becomes AVAILABLE in one step; only then does an old one become
UNLOADING, which hides it from new requests; it is closed when its last
request is done. So there is no moment without a version to serve.
"""

import contextlib
import dataclasses
import logging
import pathlib
import threading
from collections.abc import Callable, Iterator, Mapping

from grpc import StatusCode

from serving import lifecycle, loading, status
from serving.lifecycle import State, Version
from serving.loading import Loader
from serving.servable import Servable
from serving.status import ServingError

_LOG = logging.getLogger(__name__)

Wanted = Mapping[int, pathlib.Path]


@dataclasses.dataclass(frozen=True)
class Handle:
    """A version in use; it is not unloaded before the handle is let go."""

    servable: Servable
    name: str
    version: int


class Roster:
    """Versions of models by name and number. Any thread may call it."""

    def __init__(self, loader: Loader):
        self._loader = loader
        self._changed = threading.Condition()
        self._models: dict[str, dict[int, Version]] = {}
        self._wanted: dict[str, Wanted] = {}
        self._threads: set[threading.Thread] = set()

    def want(self, model: str, wanted: Wanted) -> None:
        """Says which versions of a model shall be served, and from where.

        Versions that failed before and are wanted still are not tried again.
        """
        with self._changed:
            self._wanted[model] = wanted
            self._step(model)

    @contextlib.contextmanager
    def handle(self, model: str, number: int | None) -> Iterator[Handle]:
        """Lends a version that serves: `number`, or the newest for None.

        Raises:
          ServingError: NOT_FOUND.
        """
        version = self._acquire(model, number)
        try:
            assert version.servable is not None
            yield Handle(version.servable, model, version.number)
        finally:
            self._release(version)

    def states(
        self, model: str
    ) -> list[tuple[int, State, ServingError | None]]:
        """Number, state and error of each version, newest first."""
        with self._changed:
            versions = self._models.get(model, {})
            return [
                (number, versions[number].state, versions[number].error)
                for number in sorted(versions, reverse=True)
            ]

    def available(self, model: str, number: int) -> bool:
        """Whether a version serves."""
        with self._changed:
            version = self._models.get(model, {}).get(number)
            return version is not None and version.state is State.AVAILABLE

    def failed(self, model: str) -> list[tuple[int, ServingError | None]]:
        """Wanted versions that failed, if none is left that may yet load."""
        with self._changed:
            versions = self._models.get(model, {}).values()
            wanted = [v for v in versions if v.aspired]
            if not all(v.failed for v in wanted):
                return []
            return [(v.number, v.error) for v in wanted]

    def serves(self, model: str) -> bool:
        """Whether any version of a model serves."""
        with self._changed:
            versions = self._models.get(model, {}).values()
            return any(v.state is State.AVAILABLE for v in versions)

    def wait_for(
        self, predicate: Callable[[], bool], timeout: float | None
    ) -> bool:
        """Waits until `predicate()`, asked at each change of a state.

        Returns:
          False when `timeout` seconds have passed before.
        """
        with self._changed:
            return self._changed.wait_for(predicate, timeout)

    def wake(self) -> None:
        """Has all that wait ask their predicates again."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Unloads everything; waits for requests and loads under way."""
        with self._changed:
            for model in self._models:
                self.want(model, {})
            threads = list(self._threads)
        while threads:
            for thread in threads:
                thread.join()
            # A load that was under way is followed by an unloading.
            with self._changed:
                threads = list(self._threads)

    def _acquire(self, model: str, number: int | None) -> Version:
        with self._changed:
            versions = self._models.get(model, {})
            if number is None:
                number = max(
                    (
                        v.number
                        for v in versions.values()
                        if v.state is State.AVAILABLE
                    ),
                    default=None,
                )
                if number is None:
                    raise status.not_found(
                        f"Servable not found for request: Latest({model})"
                    )
            version = versions.get(number)
            if version is None or version.state is not State.AVAILABLE:
                raise status.not_found(
                    "Servable not found for request:"
                    f" Specific({model}, {number})"
                )
            version.in_flight += 1
            return version

    def _release(self, version: Version) -> None:
        with self._changed:
            version.in_flight -= 1
            if not version.in_flight and version.state is State.UNLOADING:
                self._changed.notify_all()

    def _step(self, model: str) -> None:
        """Begins all that can be begun for a model; the lock is held."""
        versions = self._models.setdefault(model, {})
        wanted = self._wanted.get(model, {})
        if any(
            v.number in wanted and v.state is State.UNLOADING
            for v in versions.values()
        ):
            # Wanted again while it goes. If the others were given up now,
            # none would be left; the real server sits on it, too.
            return
        for version in versions.values():
            if version.number not in wanted:
                version.aspired = False
                version.cancelled.set()
        self._enter(model, versions)
        for version in lifecycle.never_begun(versions.values()):
            self._set(version, State.END)
        while old := lifecycle.to_unload(versions.values()):
            self._set(old, State.UNLOADING)
            self._start(self._unload, old)
        while new := lifecycle.to_load(versions.values()):
            new.begun = True
            self._start(self._load, new)

    def _enter(self, model: str, versions: dict[int, Version]) -> None:
        for number, path in self._wanted.get(model, {}).items():
            known = versions.get(number)
            if known is None or (
                known.state is State.END and not known.aspired
            ):
                versions[number] = Version(model, number, path)
                self._set(versions[number], State.START)
            elif known.state is not State.UNLOADING and not known.aspired:
                # Wanted again before it was given up. One that is unloading
                # comes back when it has ended.
                known.aspired = True
                known.cancelled.clear()

    def _set(
        self, version: Version, state: State, error: ServingError | None = None
    ) -> None:
        version.state, version.error = state, error
        self._changed.notify_all()
        _LOG.log(
            logging.ERROR if error else logging.INFO,
            "Model %s version %d: %s%s",
            version.model,
            version.number,
            state.name,
            f": {error.code.name}: {error.message}" if error else "",
            extra={
                "model": version.model,
                "version": version.number,
                "state": state.name,
            },
        )

    def _start(self, work: Callable[[Version], None], version: Version) -> None:
        def run() -> None:
            try:
                work(version)
            finally:
                with self._changed:
                    self._threads.discard(threading.current_thread())

        name = f"{work.__name__}-{version.model}-{version.number}"
        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.add(thread)
        thread.start()

    def _finish(
        self, version: Version, state: State, error: ServingError | None = None
    ) -> None:
        with self._changed:
            self._set(version, state, error)
            self._step(version.model)

    def _load(self, version: Version) -> None:
        def begin() -> None:
            with self._changed:
                self._set(version, State.LOADING)

        try:
            servable = self._loader.load(version, begin)
        except loading.GivenUpError:
            with self._changed:
                # If it is wanted again by now, the step makes it anew.
                version.aspired = False
                self._finish(version, State.END)
        except ServingError as error:
            self._finish(version, State.END, error)
        except Exception as error:
            _LOG.exception("Loading failed")
            failure = ServingError(StatusCode.UNKNOWN, repr(error))
            self._finish(version, State.END, failure)
        else:
            version.servable = servable
            self._finish(version, State.AVAILABLE)

    def _unload(self, version: Version) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not version.in_flight)
            servable, version.servable = version.servable, None
        try:
            assert servable is not None
            self._loader.unload(servable)
        except Exception:
            _LOG.exception(
                "Closing model %s version %d failed",
                version.model,
                version.number,
            )
        self._finish(version, State.END)
