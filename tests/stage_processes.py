"""Processes that train the phases of a run, one after another or at once."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Copies of one process that has loaded TensorFlow: one that trains all
# phases; two at once, each with a stage of its own; one that wants a phase
# that another is training; one whose stages are complete; one that trains
# what is left. Prints exit codes and the phases that are complete.
SCRIPT = """
import gc, os, sys, time, pathlib
import tensorflow as tf
from histogan_tf import locks, program
from trainer import bars, loop, opening, phases, rejoin, train, watching

data, config, folder = sys.argv[1:]


def copy(run, *words):
    gc.freeze()
    child = os.fork()
    if child:
        return child
    log = os.open(f"{folder}/{run}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 2)
    sys.argv = ["train", f"--data={data}", f"--run_dir={folder}/{run}",
                f"--config={config}", "--precision=float32", *words]
    program.run(train.main)


def ended(*children):
    codes = [os.waitstatus_to_exitcode(os.waitpid(c, 0)[1]) for c in children]
    names = ("stages/0", "stages/1", "judge", "segmenter")
    whole = [n for n in names if tf.train.latest_checkpoint(
        f"{folder}/joined/{n}/checkpoints")]
    print(codes, whole, flush=True)


ended(copy("whole"))
pair = copy("joined", "--stages=1"), copy("joined", "--stages=0")
ended(*pair)
held = pathlib.Path(folder, "joined/judge/.lock")
with locks.held(held, "test"):
    ended(copy("joined"))
ended(copy("joined", "--stages=1,0"))
ended(copy("joined"))
"""


def run(data: pathlib.Path, config: pathlib.Path, folder: pathlib.Path) -> list:
    """Trains FOLDER/whole and FOLDER/joined; the lines that were printed."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, data, config, folder],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()
