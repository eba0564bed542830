"""A headless Chromium, driven by the DevTools protocol over a pipe.

Needs nothing but the browser: messages are JSON, a zero byte after each, on
its file descriptors 3 and 4.
"""

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import time

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = (
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--no-first-run",
    "--hide-scrollbars",
)
_PATIENCE = 40.0  # seconds; this machine may be busy


def find():
    """Its path; in CI its absence fails, elsewhere it skips."""
    given = os.environ.get("CHROMIUM")
    for name in (given,) if given else _NAMES:
        if path := shutil.which(name):
            return path
    message = "no Chromium: apt-get install chromium, or set CHROMIUM"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


class Browser:
    """One page; `events` are all messages of it so far."""

    def __init__(self, commands, answers):
        self._commands, self._answers = commands, answers
        self._rest, self._count, self._session = b"", 0, None
        self.events = []

    def open(self, url, width=1280, height=800):
        """Opens a page in a window of this size, and follows what it does."""
        made = self.call("Target.createTarget", url="about:blank")
        attached = self.call(
            "Target.attachToTarget", targetId=made["targetId"], flatten=True
        )
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.resize(width, height)
        self.call("Page.navigate", url=url)

    def resize(self, width, height):
        """Makes the window so large, in CSS px."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def call(self, method, **values):
        """Sends a command and returns its result."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": values}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            got = self._receive()
            if got.get("id") == self._count:
                assert "error" not in got, (method, got["error"])
                return got["result"]
            self.events.append(got)

    def run(self, script):
        """The value of an expression in the page."""
        got = self.call(
            "Runtime.evaluate",
            expression=script,
            returnByValue=True,
            awaitPromise=True,
        )
        assert "exceptionDetails" not in got, (script, got["exceptionDetails"])
        return got["result"].get("value")

    def wait(self, script):
        """Waits until an expression is true."""
        end = time.monotonic() + _PATIENCE
        while not self.run(script):
            assert time.monotonic() < end, (script, self.faults())
            time.sleep(0.05)

    def key(self, key):
        """Presses and releases a key."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key)

    def mouse(self, kind, x, y, **values):
        """Sends a mouse event."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **values)

    def screenshot(self, path):
        """Writes what is seen as PNG."""
        got = self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(got["data"]))

    def requested(self):
        """Addresses of all requests."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]

    def faults(self):
        """Errors and warnings on the console, exceptions, failed loads."""
        found = []
        for event in self.events:
            method, values = event.get("method"), event.get("params", {})
            if method in ("Runtime.exceptionThrown", "Network.loadingFailed"):
                found.append(event)
            elif method == "Log.entryAdded":
                level = values["entry"]["level"]
                found += [event] if level in ("error", "warning") else []
            elif method == "Runtime.consoleAPICalled":
                found += [event] if values["type"] != "log" else []
        return found

    def _receive(self):
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._answers], [], [], _PATIENCE)
            assert ready, "Chromium does not answer"
            part = os.read(self._answers, 1 << 20)
            assert part, "Chromium has ended"
            self._rest += part
        message, self._rest = self._rest.split(b"\0", 1)
        return json.loads(message)


@contextlib.contextmanager
def running(folder):
    """Yields a `Browser` whose profile is in a folder."""
    path = find()
    to_browser, from_browser = os.pipe(), os.pipe()
    theirs = (to_browser[0], from_browser[1])
    # The shell moves the pipes to 3 and 4, wherever they are.
    script = f'exec "$@" 3<&{theirs[0]} 4>&{theirs[1]}'
    command = [path, *_OPTIONS, f"--user-data-dir={folder}", "about:blank"]
    process = subprocess.Popen(
        ["bash", "-c", script, "bash", *command],
        pass_fds=theirs,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    for handle in theirs:
        os.close(handle)
    try:
        yield Browser(to_browser[1], from_browser[0])
    finally:
        # Its group is its own: no other process is in it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(to_browser[1])
        os.close(from_browser[0])
