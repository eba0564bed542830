"""A model server in a process of its own, for as long as a block lasts.

In: a model's base path and more flags of TensorFlow Serving. Out: its address
on loopback and its memory. It is ended whatever happens; its output is shown
when it does not come up.
"""

import contextlib
import dataclasses
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator

from benchmarks.ports import free_ports
from histogan_tf.errors import InputError
from serving.client_api import ServingClient
from serving.client_channel import ChannelSettings

MODEL = "benchmark"
READY_SECONDS = 300.0
_TAIL = 2000  # characters of a server's output in an error


@dataclasses.dataclass(frozen=True)
class Server:
    """A running server; `start_seconds`: from its start to AVAILABLE."""

    address: str
    process: subprocess.Popen
    start_seconds: float

    def memory_mib(self) -> float:
        """Memory that it holds now, MiB."""
        return _status(self.process.pid, "VmRSS")

    def peak_mib(self) -> float:
        """Most memory that it has held, MiB."""
        return _status(self.process.pid, "VmHWM")


@contextlib.contextmanager
def serve(base: pathlib.Path, *flags: str) -> Iterator[Server]:
    """Serves the versions under `base` as MODEL.

    Raises:
      InputError: it ended, or is not ready after READY_SECONDS.
    """
    (port,) = free_ports(1)
    command = [
        sys.executable,
        "-m",
        "serving.server",
        f"--port={port}",
        f"--model_name={MODEL}",
        f"--model_base_path={base}",
        *flags,
    ]
    if shutil.which("setpriv"):  # ends it also when this process is killed
        command = ["setpriv", "--pdeathsig", "TERM", *command]
    with tempfile.TemporaryFile("w+") as output:
        start = time.monotonic()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            address = f"127.0.0.1:{port}"
            _wait(process, address, output)
            yield Server(address, process, time.monotonic() - start)
        finally:
            _end(process)


def client(server: Server) -> ServingClient:
    """A client of the project's own, for status and single requests."""
    return ServingClient(ChannelSettings(server.address), MODEL)


class MemoryWatch:
    """The most memory that a server held while a block lasted, MiB."""

    def __init__(self, server: Server):
        self._server, self._stop = server, threading.Event()
        self.most = server.memory_mib()
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def __enter__(self) -> "MemoryWatch":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join()

    def _loop(self) -> None:
        while not self._stop.wait(0.1):
            self.most = max(self.most, self._server.memory_mib())


def _wait(process: subprocess.Popen, address: str, output) -> None:
    settings = ChannelSettings(address, attempts=1)
    end = time.monotonic() + READY_SECONDS
    with ServingClient(settings, MODEL, deadline=5.0) as found:
        while not found.is_ready():
            ended = process.poll() is not None
            if ended or time.monotonic() > end:
                output.seek(0)
                tail = " ".join(output.read().split())[-_TAIL:]
                what = "ended" if ended else "is not ready"
                raise InputError(f"the server {what}: {tail}")
            time.sleep(0.05)


def _end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _status(pid: int, field: str) -> float:
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"{field}:\s+(\d+) kB", text)
    return round(int(found[1]) / 1024, 1) if found else 0.0
