"""What is measured of a server, each in one function.

In: an export, toy models, and how long. Out: figures as JSON values. Each
starts servers of its own, one at a time; clients are threads of this process.
"""

import contextlib
import dataclasses
import pathlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from benchmarks import serving_load, serving_models
from benchmarks.serving_load import Clients, WrongAnswerError, percentiles
from benchmarks.serving_process import MemoryWatch, Server, client, serve
from histogan_tf.errors import InputError
from serving.destination import Destination

# Each client has one request under way, so a batch that waits for all of them
# is full and goes long before the timeout.
BATCHING = (
    "max_batch_size {{ value: {size} }}\n"
    "batch_timeout_micros {{ value: 5000 }}\n"
    "max_enqueued_batches {{ value: 100 }}\n"
    "num_batch_threads {{ value: 1 }}\n"
)


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much is measured.

    `clients`: of every load. `seconds`: of one load. `requests`: of a single
    client, at the most. `swap_requests`: at the least, `swap_seconds`: at the
    most, across all swaps.
    """

    clients: int = 8
    seconds: float = 8.0
    requests: int = 200
    swap_requests: int = 10_000
    swap_seconds: float = 900.0


def segment_request(side: int) -> bytes:
    """A packed request to segment one phantom."""
    image = serving_models.tissue(side)
    return serving_models.predict_request("", image_bytes=[image])


def overhead(
    export: pathlib.Path, sides: list[int], effort: Effort
) -> list[dict[str, Any]]:
    """Latency of `segment` through the server, and called in this process.

    Calls take turns, so that others' work on the machine falls on both alike.
    """
    function = tf.saved_model.load(str(export)).signatures["serving_default"]
    rows = []
    with _base(export) as base, serve(base) as server:
        for side in sides:
            image = serving_models.tissue(side)
            request = serving_models.predict_request("", image_bytes=[image])

            def in_process(image=image):
                begin = time.perf_counter()
                found = function(image_bytes=tf.constant([image]))
                for value in found.values():
                    value.numpy()
                return time.perf_counter() - begin

            asked = serving_load.asking(server.address, request)
            here, there = _in_turns(in_process, asked, effort)
            rows.append(_overhead_row(side, here, there))
            print(rows[-1], flush=True)
    return rows


def _in_turns(first, second, effort: Effort) -> tuple[list, list]:
    for call in (first, second) * 5:
        call()
    found: tuple[list, list] = ([], [])
    end = time.monotonic() + 4 * effort.seconds
    while len(found[0]) < effort.requests and time.monotonic() < end:
        found[0].append(first())
        found[1].append(second())
    return found


def _overhead_row(side: int, here: list, there: list) -> dict[str, Any]:
    in_process, server = percentiles(here), percentiles(there)
    return {
        "side": side,
        "requests": len(here),
        "in_process_ms": in_process,
        "server_ms": server,
        "p50_ratio": round(server[0] / in_process[0], 4),
        "p50_difference_ms": round(server[0] - in_process[0], 3),
    }


def batching(
    folder: pathlib.Path, export: pathlib.Path, effort: Effort
) -> list[dict[str, Any]]:
    """Throughput of all clients, batching off and on, for several models."""
    folder.mkdir(parents=True, exist_ok=True)
    parameters = folder / "batching.txt"
    parameters.write_text(BATCHING.format(size=effort.clients))
    flags = ("--enable_batching", f"--batching_parameters_file={parameters}")
    loads = {}
    for name, (shape, layers) in serving_models.TOYS.items():
        request = serving_models.save_toy(folder / name / "1", shape, layers)
        loads[name] = (folder / name, request)
    request = segment_request(64)
    rows = []
    with _base(export) as base:
        for name, load in (loads | {"segment 64 px": (base, request)}).items():
            row: dict[str, Any] = {"model": name}
            for state, more in (("off", ()), ("on", flags)):
                row[state] = _load(*load, more, effort)
            speeds = [row[state]["per_second"] for state in ("off", "on")]
            row["ratio"] = round(speeds[1] / speeds[0], 3)
            rows.append(row)
            print(name, speeds, row["ratio"], flush=True)
    return rows


def _load(
    base: pathlib.Path, request: bytes, flags: tuple[str, ...], effort: Effort
) -> dict[str, Any]:
    with serve(base, *flags) as server:
        found = serving_load.for_seconds(
            server.address, request, effort.clients, effort.seconds
        )
        return found.summary() | {
            "memory_mib": server.memory_mib(),
            "peak_memory_mib": server.peak_mib(),
        }


def cold_and_warm(
    export: pathlib.Path, side: int, effort: Effort
) -> list[dict[str, Any]]:
    """Start, first request and later ones, with and without warm-up."""
    request = segment_request(side)
    rows = []
    for warm in (False, True):
        flag = f"--enable_model_warmup={str(warm).lower()}"
        with _base(export) as base, serve(base, flag) as server:
            found = serving_load.one_by_one(
                server.address, request, effort.requests, effort.seconds
            )
            rows.append(
                {
                    "warm_up": warm,
                    "side": side,
                    "start_seconds": round(server.start_seconds, 2),
                    "first_ms": round(found[0] * 1000, 2),
                    "later_ms": percentiles(found[len(found) // 2 :]),
                    "memory_mib": server.memory_mib(),
                }
            )
            print(rows[-1], flush=True)
    return rows


def swaps(
    export: pathlib.Path, request: bytes, swap_count: int, effort: Effort
) -> dict[str, Any]:
    """All clients ask while versions come, and one goes back.

    Versions are copies of one export, so every answer must have the outputs
    of the first one. Memory "before": the first version is loaded, warmed up
    and has answered 1,000 requests (or its share), no swap has begun. "After":
    the load is over and all versions but one are unloaded.
    """
    with _base(export) as base, serve(base) as server:
        check = _Check(_ask(server, request))
        running = Clients(
            server.address, request, effort.clients, check
        ).start()
        changes: list[float] = []
        memory: list[float] = []
        with MemoryWatch(server) as watch:
            # None stands for the rollback.
            plan = [*range(2, swap_count + 2), None]
            step = effort.swap_requests / (len(plan) + 1)
            end = time.monotonic() + effort.swap_seconds
            _until(running, min(1000, int(step)), end)
            before = server.memory_mib()
            for place, version in enumerate(plan):
                _until(running, int(step * (place + 1)), end)
                changes.append(_change(base, server, version, end))
                memory.append(server.memory_mib())
                name = "rollback" if version is None else f"version {version}"
                print(
                    f"{name} after {running.done()} requests:"
                    f" {changes[-1]} s, {running.failed()} failed,"
                    f" {memory[-1]:.0f} MiB ({before:.0f} before)",
                    flush=True,
                )
            _until(running, effort.swap_requests, end)
            found = running.stop()
        time.sleep(2)
        after = server.memory_mib()
        return found.summary() | {
            "clients": effort.clients,
            "swaps": swap_count,
            "rollbacks": 1,
            "versions_that_answered": sorted(check.versions),
            "seconds_a_change": changes,
            "memory_before_mib": before,
            "memory_after_mib": after,
            "memory_most_mib": watch.most,
            "memory_after_each_change_mib": memory,
            "memory_ratio": round(after / before, 4),
        }


class _Check:
    """Every answer equals the first one but for its version."""

    def __init__(self, first: predict_pb2.PredictResponse):
        self._outputs = dict(first.outputs)
        self.versions = {first.model_spec.version.value}

    def __call__(self, packed: bytes) -> None:
        found = predict_pb2.PredictResponse.FromString(packed)
        self.versions.add(found.model_spec.version.value)
        if dict(found.outputs) != self._outputs:
            raise WrongAnswerError("other outputs than the first")


def _ask(server: Server, request: bytes) -> predict_pb2.PredictResponse:
    packed = serving_load.answer(server.address, request)
    return predict_pb2.PredictResponse.FromString(packed)


def _change(
    base: pathlib.Path, server: Server, version: int | None, end: float
) -> float:
    """Seconds from the new version's rename until the old one is gone."""
    destination = Destination(base)
    before = destination.versions()[0]
    begin = time.monotonic()
    if version is None:
        version = destination.versions()[1]
        destination.serve(version)
    else:
        destination.put(destination.path(before), version)
    with client(server) as asked:
        while time.monotonic() < end:
            states = {one.version: one.state for one in asked.status()}
            if states.get(version) == "AVAILABLE" and (
                states.get(before, "END") == "END"
            ):
                return round(time.monotonic() - begin, 2)
            time.sleep(0.1)
    raise InputError(f"version {version} is not in service: {states}")


def _until(running: Clients, count: int, end: float) -> None:
    while running.done() < count:
        if time.monotonic() > end:
            raise InputError(
                f"only {running.done()} of {count} requests in time,"
                f" {running.failed()} failed"
            )
        time.sleep(0.02)


@contextlib.contextmanager
def _base(export: pathlib.Path) -> Iterator[pathlib.Path]:
    """A base path with the export as version 1; goes with the block."""
    with tempfile.TemporaryDirectory(prefix="serving.") as name:
        base = pathlib.Path(name)
        shutil.copytree(export, base / "1")
        yield base
