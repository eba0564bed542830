"""TF_CONFIG, read and refused."""

import json
import socket

import pytest

from histogan_tf.errors import InputError
from trainer import cluster

TWO = ["a:1", "b:2"]


def read(jobs, kind="worker", index=0):
    config = {"cluster": jobs, "task": {"type": kind, "index": index}}
    return cluster.from_environment({"TF_CONFIG": json.dumps(config)})


def test_workers_in_order():
    found = read({"worker": TWO}, index=1)
    assert found == cluster.Cluster(("a:1", "b:2"), 1)
    assert found.port == 2
    assert read({"worker": TWO}, index="1") == found


def test_a_chief_is_worker_0():
    jobs = {"worker": TWO, "chief": ["c:3"]}
    assert read(jobs, "chief") == cluster.Cluster(("c:3", "a:1", "b:2"), 0)
    assert read(jobs, index=1).index == 2


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["not set", '"cluster"']),
        ("{", ["not JSON"]),
        ("[]", ["cluster: None"]),
        ('{"cluster": 3}', ["cluster: 3"]),
        ('{"cluster": {}, "task": {}}', ["names no worker"]),
        ('{"cluster": {"worker": ["a:1"]}}', ["task: None"]),
        ('{"cluster": {"ps": ["a:1"]}}', ["'ps' is not allowed", "worker"]),
        ('{"cluster": {"worker": "a:1"}}', ["cluster.worker: 'a:1'", "list"]),
        ('{"cluster": {"worker": ["a"]}}', ["cluster.worker.0: 'a'", "host"]),
        ('{"cluster": {"worker": ["a:0"]}}', ["'a:0'", "1 to 65535"]),
        ('{"cluster": {"worker": ["a:1", 5]}}', ["cluster.worker.1: 5"]),
        ('{"cluster": {"worker": ["a:1", "a:1"]}}', ["a:1 is there twice"]),
    ],
)
def test_broken_texts(text, parts):
    with pytest.raises(InputError) as error:
        cluster.from_environment({"TF_CONFIG": text})
    message = str(error.value)
    assert message.startswith("TF_CONFIG: ") and "\n" not in message
    assert all(part in message for part in parts)


@pytest.mark.parametrize(
    ("kind", "index", "parts"),
    [
        ("worker", 2, ["task.index: 2", "0 to 1 for worker"]),
        ("worker", -1, ["task.index: -1"]),
        ("worker", None, ["task.index: None"]),
        ("worker", True, ["task.index: True"]),
        ("chief", 0, ["task.type: 'chief'", "use worker"]),
        (None, 0, ["task.type: None"]),
    ],
)
def test_no_such_place(kind, index, parts):
    with pytest.raises(InputError) as error:
        read({"worker": TWO}, kind, index)
    assert all(part in str(error.value) for part in parts)


def test_a_taken_port_is_named():
    from trainer import strategies

    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        port = other.getsockname()[1]
        found = cluster.Cluster((f"127.0.0.1:{port}",), 0)
        with pytest.raises(InputError, match=f"cannot listen on port {port}"):
            strategies.check_port(found)
    strategies.check_port(found)
