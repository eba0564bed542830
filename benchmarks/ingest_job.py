r"""One ingest of images, watched, in a process of its own.

    python -m benchmarks.ingest_job FOLDER CLASSES WORKERS

In: FOLDER with `images` and `masks`, a class table. Out: FOLDER/records, and
on stdout one JSON line: seconds, seconds of processor, peak memory, and where
threads were.

A thread looks 200 times a second at what every other thread executes. A
sample counts by the innermost Python function, which is the caller of the C
code at work; threads that wait for another count for nothing.
"""

import collections
import json
import pathlib
import sys
import threading
import time
from types import FrameType
from typing import Any

_PAUSE = 0.005
# Ends of file names and functions; decoding and encoding is done below them.
_CODECS = {
    "decoding": (
        ("data/png.py", "decode"),
        ("data/png.py", "decode_indices"),
        ("data/png.py", "_checksum"),
        ("data/images.py", "_decode_cv2"),
    ),
    "encoding": (("data/png.py", "encode"),),
    "TFRecord": (
        ("data/records.py", "encode"),
        ("data/records.py", "_bytes"),
        ("io/tf_record.py", "write"),
    ),
}
_WAITS = ("/threading.py", "/queue.py", "/selectors.py")


def run(folder: pathlib.Path, classes: str, workers: int) -> dict[str, Any]:
    """Ingests, and reports."""
    from benchmarks import machine
    from histogan_tf.data import ingest
    from histogan_tf.data.ingest_settings import IngestSettings

    settings = IngestSettings(
        images=str(folder / "images"),
        masks=str(folder / "masks"),
        classes=classes,
        output=str(folder / "records"),
        mpp=0.5,
        workers=workers,
    )
    watch = Watch()
    start, busy = time.perf_counter(), time.process_time()
    with watch:
        ingest.ingest(settings)
    return {
        "seconds": round(time.perf_counter() - start, 3),
        "processor_seconds": round(time.process_time() - busy, 3),
        "peak_memory_gib": round(machine.peak_gib(), 3),
        "samples": dict(watch.samples),
    }


class Watch:
    """Counts, while it is entered, what other threads do; see the module."""

    def __init__(self) -> None:
        self.samples = collections.Counter[str]()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(_PAUSE):
            for thread, frame in sys._current_frames().items():
                if thread != threading.get_ident():
                    self.samples[kind_of(frame)] += 1


def kind_of(frame: FrameType) -> str:
    """What a thread does: one of the codecs, "waiting", or its function."""
    file, name = frame.f_code.co_filename, frame.f_code.co_name
    if file.endswith(_WAITS):
        return "waiting"
    for kind, functions in _CODECS.items():
        if any(file.endswith(end) and name == own for end, own in functions):
            return kind
    return f"{pathlib.Path(file).name}:{name}"


if __name__ == "__main__":
    given, table, count = sys.argv[1:]
    print(json.dumps(run(pathlib.Path(given), table, int(count))))
