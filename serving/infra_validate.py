"""Does an export load in a model server and answer there as it does here?

In: an export BASE/<version>. Out: a `Blessing`. As TFX's InfraValidator does:
starts the server as a process of its own on a free loopback port, waits until
the model is available, and (`query`) sends the export's own warm-up records as
real requests. Stricter than TFX: the answers must equal those of the
SavedModel called in this process as far as another process or device can
give them (`infra_answers.py`). The server is ended whatever happens, also
when this process is killed.
"""

import pathlib
import sys
import time
from dataclasses import dataclass

from histogan_tf.errors import InputError
from serving.blessing import Blessing
from serving.client_api import ServingClient
from serving.client_channel import ChannelSettings, RequestError
from serving.infra_requests import AnswerError, check_answers
from serving.infra_server import InfraServer, ServerEndedError, started

_OUR_SERVER = (sys.executable, "-m", "serving.server")


@dataclass(frozen=True)
class InfraSettings:
    """How an export is tried out.

    Attributes:
      query: send the warm-up records too; else only load.
      tries: servers that are started before giving up on one that ends, 1 up.
      loading_seconds: for each to have the model available.
      poll_seconds: between two looks at it.
      tolerance: largest difference of a float, relative to 1 or its size.
      deadline: seconds for one request.
      stopping_seconds: before a server that was told to end is killed.
      server: command that takes TensorFlow Serving's flags.
    """

    query: bool = True
    tries: int = 5
    loading_seconds: float = 300.0
    poll_seconds: float = 1.0
    tolerance: float = 1e-5
    deadline: float = 60.0
    stopping_seconds: float = 10.0
    server: tuple[str, ...] = _OUR_SERVER

    def __post_init__(self) -> None:
        if self.tries < 1 or self.loading_seconds <= 0:
            raise InputError(
                f"tries={self.tries}, loading_seconds={self.loading_seconds}:"
                " 1 or more and above 0 are allowed"
            )


def validate(export: pathlib.Path, settings: InfraSettings) -> Blessing:
    """Loads an export in a server of its own and asks it.

    Args:
      export: BASE/<version>.
      settings: of the server, and how closely answers must agree.

    Returns:
      Reasons are why it may not be served.
    """
    facts = {"server": list(settings.server), "query": settings.query}
    reason = ""
    for attempt in range(settings.tries):
        facts["tries"] = attempt + 1
        try:
            facts["requests"] = _try_out(export, settings)
        except ServerEndedError as error:
            reason = str(error)
        except (AnswerError, RequestError) as error:
            # The server answered; another one would not answer otherwise.
            return Blessing((str(error),), facts=facts)
        else:
            return Blessing((), facts=facts)
    return Blessing((f"{settings.tries} tries: {reason}",), facts=facts)


def _try_out(export: pathlib.Path, settings: InfraSettings) -> int:
    """Number of requests that were answered rightly."""
    with (
        started(export, settings.server, settings.stopping_seconds) as server,
        ServingClient(
            ChannelSettings(server.address, attempts=1),
            server.model,
            settings.deadline,
        ) as client,
    ):
        try:
            _wait(server, client, settings)
            if not settings.query:
                return 0
            return check_answers(export, client, settings.tolerance)
        except (ServerEndedError, RequestError) as error:
            if isinstance(error, RequestError) and server.ended is None:
                raise
            raise ServerEndedError(f"{error}: {server.tail()}") from error


def _wait(
    server: InfraServer, client: ServingClient, settings: InfraSettings
) -> None:
    end = time.monotonic() + settings.loading_seconds
    while True:
        if server.ended is not None:
            raise ServerEndedError(f"server ended with code {server.ended}")
        left = end - time.monotonic()
        if left <= 0:
            raise ServerEndedError(
                f"not available after {settings.loading_seconds:g} s"
            )
        if client.is_ready():
            return
        time.sleep(min(settings.poll_seconds, left))
