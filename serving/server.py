r"""A local server that speaks TensorFlow Serving's protocol.

    python -m serving.server --model_name M --model_base_path BASE \
        [--port 8500] [--rest_api_port 8501] [--enable_batching] ...

Serves the SavedModels of `BASE/<version>/` by gRPC and REST, takes new
versions as they appear, and stops on SIGTERM or Ctrl-C when the requests under
way are answered. Flags, config files, codes and texts are TensorFlow
Serving's; in production run `tensorflow/serving` with the same files
(serving/deploy).
"""

import os
import signal
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor

from absl import flags

from histogan_tf import program
from serving import memory, server_flags

flags.adopt_module_key_flags(server_flags)


def main() -> None:
    """Serves until a signal comes."""
    if flags.FLAGS.version:
        print_versions()
        return
    settings = server_flags.settings()
    memory.limit_arenas()
    from serving.logs import Log
    from serving.server_app import ModelServer

    log = Log(settings.log_format)
    server = ModelServer(settings, log)
    wake, asked = threading.Event(), threading.Event()

    def on_signal(*_: object) -> None:
        # No log line here: this may interrupt one that is being written.
        asked.set()
        wake.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    # Not in this thread, where it would keep signals waiting.
    pool = ThreadPoolExecutor(1, "start")
    started = pool.submit(server.start)
    started.add_done_callback(lambda _: wake.set())
    wake.wait()
    try:
        if not asked.is_set():
            started.result()
            asked.wait()
    finally:
        log.info("stopping")
        clean = server.stop()
        finish(started, clean)
    log.info("stopped")


def finish(started: Future, clean: bool) -> None:
    """Leaves at once when a request does not end; else returns."""
    if not clean:
        sys.stderr.write("error: a request did not end; models still loaded\n")
        sys.stderr.flush()
        os._exit(1)  # an ordinary exit would wait for that request's thread
    # What `start` raises because of the stop is no error.
    started.exception()


def print_versions() -> None:
    """As --version of TensorFlow Serving."""
    from importlib import metadata

    api = metadata.version("tensorflow-serving-api")
    print(f"TensorFlow ModelServer: {api} (histogan_tf, local)")
    print(f"TensorFlow Library: {metadata.version('tensorflow')}")


if __name__ == "__main__":
    program.run(main)
