"""Workers of a training on this machine, for tests.

`SCRIPT` begins a program that makes its workers by forking: TensorFlow is
loaded once, and not used before, nor searched for garbage after.
`fork(index, work)` gives the process id of a worker of two that talk by
127.0.0.1; without an index, of a process alone.
"""

import json
import os
import pathlib
import subprocess
import sys

from benchmarks.ports import free_ports

ROOT = pathlib.Path(__file__).resolve().parent.parent

SCRIPT = '''
import gc, json, os, pathlib, signal, sys, time
import numpy as np
import tensorflow as tf

sys.path.insert(0, "tests")
PORTS, FOLDER = json.loads(sys.argv[1]), pathlib.Path(sys.argv[2])


def set_worker(index):
    os.environ["TF_CONFIG"] = json.dumps({
        "cluster": {"worker": [f"127.0.0.1:{p}" for p in PORTS]},
        "task": {"type": "worker", "index": index},
    })


def fork(index, work):
    gc.freeze()
    child = os.fork()
    if child:
        return child
    try:
        if index is not None:
            set_worker(index)
        work()
    except SystemExit as error:
        os._exit(error.code or 0)
    except BaseException:
        import traceback
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(70)
    os._exit(0)


def ended(*children):
    """Exit codes, negative for a signal; all must end in time."""
    codes, limit = {}, time.monotonic() + 900
    while len(codes) < len(children) and time.monotonic() < limit:
        for child in children:
            if child not in codes:
                found, status = os.waitpid(child, os.WNOHANG)
                if found:
                    codes[child] = os.waitstatus_to_exitcode(status)
        time.sleep(0.1)
    for child in children:
        if child not in codes:
            os.kill(child, signal.SIGKILL)
    return [codes.get(child, "late") for child in children]
'''


def run(script: str, folder: pathlib.Path, *arguments) -> tuple[str, str]:
    """Runs SCRIPT and what follows it; returns stdout and stderr."""
    ports = json.dumps(free_ports(2))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT + script, ports, folder, *arguments],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=3000,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return done.stdout, done.stderr
