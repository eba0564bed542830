"""A lost worker: the process becomes a new one, as often as allowed."""

import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from histogan_tf.errors import InputError
from trainer import rejoin

ROOT = Path(__file__).resolve().parent.parent


def lose():
    raise tf.errors.UnavailableError(None, None, "Socket\n closed")


def test_work_that_ends_is_left_alone():
    done = []
    rejoin.train(lambda: done.append(1), 0)
    assert done == [1]


def test_no_restart_left():
    with pytest.raises(InputError, match=r"--restarts is used up: Socket c"):
        rejoin.train(lose, 0)


def test_unequal_workers_are_told_and_do_not_start_again(monkeypatch):
    def work():
        raise tf.errors.InternalError(
            None,
            None,
            "Collective Op CollectiveReduce has group_key 1 and group_size 3"
            " but that group has size 2",
        )

    monkeypatch.setattr(rejoin, "start_again", pytest.fail)
    with pytest.raises(InputError, match="different numbers of GPUs, this one"):
        rejoin.train(work, 3)


def test_other_errors_pass():
    def work():
        raise tf.errors.InvalidArgumentError(None, None, "a bug")

    with pytest.raises(tf.errors.InvalidArgumentError):
        rejoin.train(work, 3)


def test_a_new_leader_that_does_not_know_this_worker_yet(monkeypatch):
    """What TensorFlow 2.15 said to a survivor."""

    def work():
        raise tf.errors.InvalidArgumentError(
            None,
            None,
            "Graph execution error: Collective ops is aborted by: Task with"
            " task_name=/job:worker/replica:0/task:1 must be registered before"
            " sending heartbeat messages\nAdditional GRPC error information"
            " from remote target /job:worker/replica:0/task:0 while calling"
            " /tensorflow.CoordinationService/Heartbeat:\n...",
        )

    started = []
    monkeypatch.setattr(rejoin, "start_again", started.append)
    rejoin.train(work, 3)
    assert started == [2]


def test_the_command_and_one_restart_less(monkeypatch, capsys):
    started = []
    monkeypatch.setattr(rejoin, "start_again", started.append)
    rejoin.train(lose, 3)
    assert started == [2]
    err = capsys.readouterr().err
    assert "a worker was lost; starting again" in err and "2 more" in err
    assert err.count("\n") == 1


def test_a_process_starts_again_in_place(tmp_path):
    script = tmp_path / "again.py"
    script.write_text(
        "import os, sys\n"
        "print(os.getpid(), *sys.argv[1:])\n"
        "if len(sys.argv) < 3:\n"
        "    from trainer import rejoin\n"
        "    rejoin.start_again(4)\n"
    )
    done = subprocess.run(
        [sys.executable, script, "--x=1"],
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )
    (first, *one), (second, *two) = map(str.split, done.stdout.splitlines())
    assert first == second
    assert one == ["--x=1"] and two == ["--x=1", "--restarts=4"]
