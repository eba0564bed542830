"""trainer.train --stages: processes that share a run directory."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_training import ingest_small, small_config, variables, write_config

from histogan_tf.errors import InputError
from trainer import phases

ROOT = Path(__file__).resolve().parent.parent

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


@pytest.fixture(scope="module")
def trained(phantom_files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stages")
    ingest_small(phantom_files, folder / "records")
    config = write_config(folder / "config.json", small_config(2))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, folder / "records", config, folder],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, done.stdout.splitlines()


def test_phases_that_each_process_trained(trained):
    folder, lines = trained
    stages = "'stages/0', 'stages/1'"
    assert lines == [
        "[0] []",
        f"[0, 0] [{stages}]",
        f"[2] [{stages}]",
        f"[0] [{stages}]",
        f"[0] [{stages}, 'judge', 'segmenter']",
    ], (folder / "joined.log").read_text()
    log = (folder / "joined.log").read_text()
    (refused,) = [x for x in log.splitlines() if x.startswith("error: ")]
    assert "judge/.lock: phase judge is being trained by" in refused
    assert "process " in refused
    # Every command is noted, also of those that began at once.
    assert len((folder / "joined/command.txt").read_text().splitlines()) == 5


def test_runs_that_joined_have_the_weights_of_one_run(trained):
    folder, _ = trained
    for phase in ("stages/0", "stages/1", "judge", "segmenter"):
        one = variables(folder / "whole" / phase)
        two = variables(folder / "joined" / phase)
        assert one.keys() == two.keys()
        for name, value in one.items():
            np.testing.assert_array_equal(value, two[name], err_msg=name)


def test_numbers():
    assert phases.numbers([], 3) == []
    assert phases.numbers(["2", "0", "2"], 3) == [0, 2]


@pytest.mark.parametrize("text", ["3", "-1", "x", "", "1.0"])
def test_numbers_of_no_stage(text):
    with pytest.raises(InputError, match=rf"no stage '{text}'.* 0 .* to 2"):
        phases.numbers(["0", text], 3)
