"""Locks between processes: refused, waited for, freed by SIGKILL."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from histogan_tf import locks
from histogan_tf.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
HOLDER = """
import pathlib, sys, time
from histogan_tf import locks
with locks.held(pathlib.Path(sys.argv[1]), "x"):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / ".lock"


def hold(path, seconds):
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, path, str(seconds)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout.readline() == "held\n"
    return child


def test_the_holder_is_named_and_a_kill_frees(path):
    child = hold(path, 300)
    with pytest.raises(InputError) as error, locks.held(path, "phase p is cut"):
        pass
    message = str(error.value)
    assert message.startswith(f"{path}: phase p is cut by process {child.pid} ")
    assert os.uname().nodename in message and "\n" not in message
    child.kill()
    child.wait()
    with locks.held(path, "phase p is cut"):
        assert path.read_text().startswith(f"process {os.getpid()} on ")


def test_waiting_ends_when_the_holder_does(path):
    child = hold(path, 1)
    with locks.held(path, "x", wait=True):
        child.wait(timeout=60)
    with locks.held(path, "x"):
        pass


def test_an_error_inside_frees(path):
    with pytest.raises(ZeroDivisionError), locks.held(path, "x"):
        _ = 1 / 0
    with locks.held(path, "x"):
        pass


def test_not_inherited_by_programs_that_it_starts(path):
    with locks.held(path, "x"):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    with locks.held(path, "x"):
        pass
    child.kill()
    child.wait()
