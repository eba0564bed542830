"""A model server in a process of its own, for as long as it is needed.

In: an export and the command of a server. Out: the running server, on a free
loopback port, with that export as its only version. It is ended whatever
happens here, also when this process is killed (where util-linux's setpriv
is). Imports no TensorFlow.
"""

import contextlib
import pathlib
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MODEL = "infra-validation-model"
_TAIL = 600  # characters


class ServerEndedError(Exception):
    """The process ended or did not get ready; another may do better."""


@dataclass(frozen=True)
class InfraServer:
    """A server's process, address (HOST:PORT) and output file."""

    process: subprocess.Popen
    address: str
    output: pathlib.Path
    model: str = MODEL

    @property
    def ended(self) -> int | None:
        """The process's exit code, None while it runs."""
        return self.process.poll()

    def tail(self) -> str:
        """The end of what it printed, in one line."""
        text = self.output.read_text(errors="replace")[-_TAIL:]
        return " ".join(text.split())


@contextlib.contextmanager
def started(
    export: pathlib.Path, command: Sequence[str], stopping_seconds: float
) -> Iterator[InfraServer]:
    """Starts a server, and ends it on leaving.

    Args:
      export: BASE/<version>; the server gets a link to it.
      command: takes TensorFlow Serving's flags.
      stopping_seconds: after being told to end, before it is killed.
    """
    with tempfile.TemporaryDirectory(prefix="infra_validate.") as name:
        base, output = pathlib.Path(name, "model"), pathlib.Path(name, "log")
        base.mkdir()
        (base / export.name).symlink_to(export.resolve())
        port = _free_port()
        given = [
            f"--port={port}",
            "--rest_api_port=0",
            # A bad model does not get better within minutes.
            "--max_num_load_retries=0",
            f"--model_name={MODEL}",
            f"--model_base_path={base}",
        ]
        with output.open("wb") as file:
            process = subprocess.Popen(
                [*leash(), *command, *given],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        try:
            yield InfraServer(process, f"127.0.0.1:{port}", output)
        finally:
            _end(process, stopping_seconds)


def leash() -> list[str]:
    """Words before a command, so that it ends when this process is killed.

    [] where setpriv is missing; the command may then run on.
    """
    found = shutil.which("setpriv")
    return [found, "--pdeathsig", "TERM"] if found else []


def _end(process: subprocess.Popen, seconds: float) -> None:
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    # Another process may take it before the server does: then the server
    # ends, and the next try has another port.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
