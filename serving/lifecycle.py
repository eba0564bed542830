"""The life of a version, and which step comes next for a model.

In: the versions of one model with their states. Out: the next version to load
or to unload. The policy is tensorflow/serving's AvailabilityPreservingPolicy:
load the new version first, unload the old one once the new one is ready.
"""

import dataclasses
import enum
import pathlib
import threading
from collections.abc import Iterable

from serving.servable import Servable
from serving.status import ServingError


class State(enum.IntEnum):
    """Values of ModelVersionStatus.State."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclasses.dataclass(eq=False)
class Version:
    """One version of a model; the manager's lock guards it.

    Attributes:
      model: name of the model.
      number: of the version.
      path: its folder.
      aspired: the policy and the file system want it.
      state: where it is in its life.
      begun: a thread has taken the loading in hand; it may be queued.
      error: why it ended; None unless its loading failed.
      servable: the loaded model, from AVAILABLE to UNLOADING.
      in_flight: requests that use it.
      cancelled: set when no more attempts to load it are to be made.
    """

    model: str
    number: int
    path: pathlib.Path
    aspired: bool = True
    state: State = State.START
    begun: bool = False
    error: ServingError | None = None
    servable: Servable | None = None
    in_flight: int = 0
    cancelled: threading.Event = dataclasses.field(
        default_factory=threading.Event
    )

    @property
    def failed(self) -> bool:
        """Whether it could not be loaded, and is still wanted."""
        return self.aspired and self.state is State.END


def to_unload(versions: Iterable[Version]) -> Version | None:
    """The version to unload now: the lowest that is no longer wanted.

    It goes once a wanted version is ready, when none is wanted at all, or
    when others that are not wanted still serve.
    """
    ready = [v for v in versions if v.state is State.AVAILABLE]
    old = [v for v in ready if not v.aspired]
    wanted_ready = len(ready) > len(old)
    none_wanted = not any(v.aspired for v in versions)
    if old and (none_wanted or wanted_ready or len(old) > 1):
        return min(old, key=lambda v: v.number)
    return None


def to_load(versions: Iterable[Version]) -> Version | None:
    """The version to load now: the highest that waits to be loaded."""
    new = [
        v
        for v in versions
        if v.aspired and v.state is State.START and not v.begun
    ]
    return max(new, key=lambda v: v.number, default=None)


def never_begun(versions: Iterable[Version]) -> list[Version]:
    """Versions that are no longer wanted before their loading began."""
    return [
        v
        for v in versions
        if not v.aspired and v.state is State.START and not v.begun
    ]
