"""The machines of a training, as TF_CONFIG lists them.

In: the environment of this process. Out: addresses of all workers, worker 0
first, and which of them this process is. TensorFlow is not needed.

    TF_CONFIG='{"cluster": {"worker": ["a:2222", "b:2222"]},
                "task": {"type": "worker", "index": 0}}'

A `chief`, which some cluster managers add, is worker 0.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from histogan_tf.errors import InputError

NAME = "TF_CONFIG"
_JOBS = ("chief", "worker")
_EXAMPLE = (
    '{"cluster": {"worker": ["host:port", ...]},'
    ' "task": {"type": "worker", "index": 0}}'
)


@dataclass(frozen=True)
class Cluster:
    """All workers' `host:port`, and this process's place among them."""

    workers: tuple[str, ...]
    index: int

    @property
    def port(self) -> int:
        """Where this process listens."""
        return int(self.workers[self.index].rpartition(":")[2])


def from_environment(environ: Mapping[str, str]) -> Cluster:
    """Reads TF_CONFIG.

    Raises:
      InputError: it is missing, or a field of it is; the message names the
        field, the value and what is allowed.
    """
    text = environ.get(NAME, "")
    if not text.strip():
        raise InputError(
            f"{NAME}: not set; --strategy multi_worker needs {_EXAMPLE}"
        )
    try:
        config = json.loads(text)
    except ValueError as error:
        raise InputError(
            f"{NAME}: not JSON: {error}; use {_EXAMPLE}"
        ) from error
    jobs = _part(config, "cluster")
    addresses = {job: _addresses(job, found) for job, found in jobs.items()}
    workers = [a for job in _JOBS for a in addresses.get(job, ())]
    if not workers:
        raise InputError(f"{NAME}: cluster: {jobs} names no worker")
    twice = [a for a in workers if workers.count(a) > 1]
    if twice:
        raise InputError(f"{NAME}: cluster: {twice[0]} is there twice")
    return Cluster(tuple(workers), _place(_part(config, "task"), addresses))


def _part(config: Any, name: str) -> dict[str, Any]:
    found = config.get(name) if isinstance(config, dict) else None
    if not isinstance(found, dict):
        raise InputError(f"{NAME}: {name}: {found!r}; use {_EXAMPLE}")
    return found


def _addresses(job: str, found: Any) -> list[str]:
    if job not in _JOBS:
        raise InputError(
            f"{NAME}: cluster: job {job!r} is not allowed; use worker, or"
            " chief and worker"
        )
    if not isinstance(found, list):
        raise InputError(
            f'{NAME}: cluster.{job}: {found!r}; use a list ["host:port", ...]'
        )
    for place, address in enumerate(found):
        if not _is_address(address):
            raise InputError(
                f"{NAME}: cluster.{job}.{place}: {address!r}; use host:port"
                " with a port from 1 to 65535"
            )
    return found


def _is_address(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    host, _, port = value.rpartition(":")
    return bool(host.strip()) and port.isdecimal() and 0 < int(port) < 65536


def _place(task: dict[str, Any], addresses: dict[str, list[str]]) -> int:
    """This process's number among all workers."""
    job, index = task.get("type"), str(task.get("index"))
    if job not in addresses:
        raise InputError(
            f"{NAME}: task.type: {job!r} is not in the cluster; use"
            f" {' or '.join(addresses)}"
        )
    count = len(addresses[job])
    # Some managers write the number as text.
    number = int(index) if index.isdecimal() else -1
    if not 0 <= number < count:
        raise InputError(
            f"{NAME}: task.index: {index} is not allowed; use 0 to"
            f" {count - 1} for {job}"
        )
    before = 0 if job == "chief" else len(addresses.get("chief", ()))
    return before + number
