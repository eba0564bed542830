"""One line for each event, on stderr, for people or for machines.

In: events with named values, from any thread. Out: lines: JSON objects, or
text of the same fields. Values that clients choose are cut and escaped, so
that no request forges a line.
"""

import datetime
import json
import logging
import re
import secrets
import sys
import threading
import traceback
from typing import Any, TextIO

_LONGEST = 4000  # characters of a value
_SOUND_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class Log:
    """Writes events."""

    def __init__(self, form: str = "text", stream: TextIO | None = None):
        """Arguments: text or json; where to, stderr by default."""
        self._write = {"text": _as_text, "json": _as_json}[form]
        self._stream = stream or sys.stderr
        self._lock = threading.Lock()

    def info(self, event: str, **values: Any) -> None:
        """Something happened."""
        self._emit("info", event, values)

    def warning(self, event: str, **values: Any) -> None:
        """Something that may not be meant."""
        self._emit("warning", event, values)

    def error(self, event: str, **values: Any) -> None:
        """Something failed that should not."""
        self._emit("error", event, values)

    def _emit(self, level: str, event: str, values: dict[str, Any]) -> None:
        now = datetime.datetime.now(datetime.UTC)
        fields = {
            "time": now.isoformat(timespec="milliseconds"),
            "level": level,
            "event": event,
        }
        fields |= {name: _cut(value) for name, value in values.items()}
        line = self._write(fields)
        try:
            with self._lock:
                self._stream.write(line + "\n")
                self._stream.flush()
        except (OSError, ValueError):
            # A closed pipe or full disk must not fail requests.
            pass


def request_id(offered: str | None) -> str:
    """The client's own id where it is a sound one, else a new one."""
    if offered and _SOUND_ID.fullmatch(offered):
        return offered
    return secrets.token_hex(8)


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _LONGEST:
        return value[:_LONGEST] + "..."
    return value


def _as_json(fields: dict[str, Any]) -> str:
    return json.dumps(fields)


def _as_text(fields: dict[str, Any]) -> str:
    head = f"{fields.pop('time')} {fields.pop('level')} {fields.pop('event')}"
    return " ".join(
        [
            head,
            *(f"{name}={json.dumps(value)}" for name, value in fields.items()),
        ]
    )


class Bridge(logging.Handler):
    """Takes what modules log by Python's `logging` into a Log."""

    def __init__(self, log: Log):
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Called by `logging`."""
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + "".join(traceback.format_exception(*record.exc_info))
        tell = self._log.info
        if record.levelno >= logging.WARNING:
            tell = self._log.warning
        if record.levelno >= logging.ERROR:
            tell = self._log.error
        tell("message", source=record.name, text=text)
