"""Does an export load in a model server and answer there as it does here?

In: an export BASE/<version>. Out: a `Blessing`. As TFX's InfraValidator does:
starts the server as a process of its own on a free loopback port, waits until
the model is available, and (`query`) sends the export's own warm-up records as
real requests. Stricter than TFX: the answers must equal those of the
SavedModel called in this process, bytes and integers exactly, floats to
`tolerance`. The server is ended whatever happens, also when this process is
killed.
"""

import contextlib
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass

from histogan_tf.errors import InputError
from serving.blessing import Blessing
from serving.client_api import ServingClient
from serving.client_channel import ChannelSettings, RequestError
from serving.infra_requests import AnswerError, check_answers

MODEL = "infra-validation-model"
_OUR_SERVER = (sys.executable, "-m", "serving.server")
_TAIL = 600  # characters of the server's output in a reason


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
      server: command that takes TensorFlow Serving's flags.
    """

    query: bool = True
    tries: int = 5
    loading_seconds: float = 300.0
    poll_seconds: float = 1.0
    tolerance: float = 1e-5
    deadline: float = 60.0
    server: tuple[str, ...] = _OUR_SERVER

    def __post_init__(self) -> None:
        if self.tries < 1 or self.loading_seconds <= 0:
            raise InputError(
                f"tries={self.tries}, loading_seconds={self.loading_seconds}:"
                " 1 or more and above 0 are allowed"
            )


class ServerEndedError(Exception):
    """The server's process ended or did not get ready; may be tried again."""


def validate(export: pathlib.Path, settings: InfraSettings) -> Blessing:
    """Loads an export in a server of its own and asks it.

    Args:
      export: BASE/<version>.
      settings: see there.

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
        _server(export, settings) as (process, address, log),
        ServingClient(
            ChannelSettings(address, attempts=1), MODEL, settings.deadline
        ) as client,
    ):
        try:
            _wait(process, client, settings)
            if not settings.query:
                return 0
            return check_answers(export, client, settings.tolerance)
        except (ServerEndedError, RequestError) as error:
            if process.poll() is None and isinstance(error, RequestError):
                raise
            text = log.read_text(errors="replace")[-_TAIL:]
            raise ServerEndedError(
                f"{error}: {' '.join(text.split())}"
            ) from error


def _wait(
    process: subprocess.Popen, client: ServingClient, settings: InfraSettings
) -> None:
    end = time.monotonic() + settings.loading_seconds
    while True:
        if process.poll() is not None:
            raise ServerEndedError(
                f"server ended with code {process.returncode}"
            )
        left = end - time.monotonic()
        if left <= 0:
            raise ServerEndedError(
                f"not available after {settings.loading_seconds:g} s"
            )
        if client.is_ready():
            return
        time.sleep(min(settings.poll_seconds, left))


@contextlib.contextmanager
def _server(
    export: pathlib.Path, settings: InfraSettings
) -> Iterator[tuple[subprocess.Popen, str, pathlib.Path]]:
    """A server of this export alone: its process, address and output."""
    with tempfile.TemporaryDirectory(prefix="infra_validate.") as name:
        folder = pathlib.Path(name)
        base, log = folder / "model", folder / "log"
        base.mkdir()
        (base / export.name).symlink_to(export.resolve())
        port = _free_port()
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    *_leash(),
                    *settings.server,
                    f"--port={port}",
                    "--rest_api_port=0",
                    # A bad model does not get better within minutes.
                    "--max_num_load_retries=0",
                    f"--model_name={MODEL}",
                    f"--model_base_path={base}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield process, f"127.0.0.1:{port}", log
        finally:
            _end(process)


def _leash() -> list[str]:
    """Ends the server when this process is killed, where Linux allows it."""
    found = shutil.which("setpriv")
    return [found, "--pdeathsig", "TERM"] if found else []


def _end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    # Another process may take it before the server does: then the server
    # ends, and the next try has another port.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
