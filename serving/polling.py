"""Functions that are called again and again in a thread of their own.

In: a function and an interval. Out: calls, until stopped. What a call raises
is logged, and the next call comes all the same.
"""

import logging
import threading
from collections.abc import Callable

from tensorflow_serving.config.model_server_config_pb2 import (
    ModelServerConfig,
)

from histogan_tf.errors import InputError
from serving import model_config
from serving.status import ServingError

_LOG = logging.getLogger(__name__)


class Periodic:
    """Calls a function every so many seconds; first after one interval."""

    def __init__(self, function: Callable[[], None], seconds: float, name: str):
        self._function, self._seconds = function, seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._work, name=name, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stops; waits for a call under way, unless called from inside it."""
        self._stopped.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _work(self) -> None:
        while not self._stopped.wait(self._seconds):
            try:
                self._function()
            except Exception:
                _LOG.exception("%s failed", self._thread.name)


def watch_config(
    path: str, reload: Callable[[ModelServerConfig], None], seconds: float
) -> Periodic:
    """Reads a model config file again and again, and applies it.

    A file that cannot be read or is refused is logged; the old config stays.
    The file is applied even if it has not changed: a label that could not be
    assigned yet may be possible now.

    Args:
      path: of the text-format ModelServerConfig.
      reload: ModelManager.reload.
      seconds: --fs_model_config_poll_wait_seconds, above 0.
    """

    def once() -> None:
        try:
            config = model_config.read(path)
        except InputError as error:
            _LOG.error("Failed to read ModelServerConfig file: %s", error)
            return
        try:
            reload(config)
        except ServingError as error:
            _LOG.error("%s: reload failed: %s", path, error)

    return Periodic(once, seconds, "model_config_file")
