"""Where and when a figure was measured, and files of figures.

In: nothing, a JSON value or a figure. Out: machine, versions, commit and date
as a JSON value; JSON and PNG files that appear whole or not at all.
"""

import datetime
import functools
import io
import json
import os
import pathlib
import platform
import resource
import subprocess
from importlib import metadata
from typing import TYPE_CHECKING, Any

from histogan_tf import files
from histogan_tf.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PACKAGES = ("tensorflow", "tensorflow-addons", "tensorflow-io", "numpy")


@functools.cache
def code() -> dict[str, Any]:
    """The commit, and how many tracked .py files differ from it.

    As they were when this process first asked: what it has imported stays as
    it is while others work on the tree. So ask before the work.
    """
    changed = _git("diff", "--name-only", "HEAD", "--", "*.py")
    return {
        "commit": _git("rev-parse", "HEAD"),
        "changed_files": len(changed.splitlines()),
    }


def describe() -> dict[str, Any]:
    """The machine, the software and the time, for a file of results."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat("T", "seconds"),
        "machine": {
            "cpu": cpu_model(),
            "cores": len(os.sched_getaffinity(0)),
            "memory_gib": round(_memory() / 2**30, 1),
            "system": platform.platform(),
            # Others' work on the machine slows every figure in seconds.
            "load_average": [round(x, 2) for x in os.getloadavg()],
        },
        "software": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in PACKAGES},
        "git": code(),
    }


def cpu_model() -> str:
    """The processor's name, as Linux tells it."""
    path = pathlib.Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line for line in lines if line.startswith("model name")]
    return names[0].partition(":")[2].strip() if names else platform.machine()


def peak_gib() -> float:
    """Most memory this process has held so far, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def write_json(path: pathlib.Path, value: Any) -> None:
    """Writes a JSON file, and its folder where that is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, indent=1, allow_nan=False)
    files.atomic_write(path, f"{text}\n".encode())


def write_chart(path: pathlib.Path, figure: "Figure", dpi: int = 100) -> None:
    """Writes a figure as PNG, and its folder where that is missing; closes it.

    The same figure gives the same bytes.
    """
    from matplotlib import pyplot

    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=dpi, metadata={"Software": None})
    pyplot.close(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.atomic_write(path, data.getvalue())


def read_json(path: pathlib.Path) -> Any:
    """Reads a JSON file; None where there is none.

    Raises:
      InputError: it is damaged.
    """
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: damaged: {error}; remove it") from error


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _git(*words: str) -> str:
    command = ["git", "-C", str(ROOT), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()
