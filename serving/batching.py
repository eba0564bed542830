"""A servable that joins concurrent runs of one signature into one run.

In: a Servable and how to batch. Out: a BatchingServable with the same `run`;
its callers wait while their inputs are joined along dimension 0 with those of
others that feed and fetch the same tensors. It behaves as tensorflow/serving's
BatchingSession, also where that hurts:

- A run that fails fails for every caller whose inputs were in it. One broken
  image, or one image of another size, spoils its neighbours' requests; clients
  see the code of the bad one. Batch tensors of one size, not files.
- A timeout counts from the call on. A batch is dropped only when all of its
  callers are too late; otherwise it runs up to the latest deadline.
- Outputs without a row for every input row are an error.
- A run that feeds and fetches other tensors than a signature has, as one with
  an output filter, is not batched.
"""

import dataclasses
import functools
import pathlib
import threading
import time
from collections.abc import Callable

import numpy as np
from tensorflow.core.protobuf import meta_graph_pb2

from serving import batch_merge, status
from serving.batch_parameters import BatchParameters, read_model
from serving.batch_scheduler import BatchQueue, BatchScheduler, Task
from serving.limits import RequestLimits
from serving.servable import Servable


@dataclasses.dataclass(frozen=True)
class BatchRecord:
    """One batch, for metrics.

    `input_sizes`: rows of each task; `size`: rows of the run; `padding`: how
    many of them are copies; `waits`: seconds that each task was queued.
    """

    input_sizes: tuple[int, ...]
    size: int
    padding: int
    waits: tuple[float, ...]


Observer = Callable[[BatchRecord], None]
# Names of the tensors that are fed and fetched.
_Key = tuple[tuple[str, ...], tuple[str, ...]]


class BatchingServable(Servable):
    """Wraps one Servable; `run` may be called from any number of threads.

    It has no session of its own: all that a Servable does is overridden.
    """

    def __init__(
        self,
        servable: Servable,
        scheduler: BatchScheduler,
        parameters: BatchParameters,
        limits: RequestLimits,
        observe: Observer | None = None,
    ):
        self.signatures = servable.signatures
        self._servable, self._scheduler = servable, scheduler
        self._parameters, self._limits = parameters, limits
        self._observe = observe
        self._declared = {_key(s) for s in self.signatures.values()}
        self._queues: dict[_Key, BatchQueue] = {}
        self._lock = threading.Lock()

    def run(
        self,
        feeds: dict[str, np.ndarray],
        fetches: list[str],
        timeout: float | None = None,
    ) -> list[np.ndarray]:
        """As `Servable.run`, together with other callers.

        Raises:
          ServingError: the queue is full or the wait was too long; the
            inputs cannot be batched; or the joint run failed.
        """
        key = tuple(sorted(feeds)), tuple(sorted(set(fetches)))
        if key not in self._declared:
            return self._servable.run(feeds, fetches, timeout)
        size = batch_merge.batch_size(feeds)
        queue = self._queue(key)
        deadline = time.monotonic() + timeout if timeout else None
        parts = queue.schedule(Task(feeds, fetches, size, deadline))
        results = [_result(part) for part in parts]
        if len(results) == 1:
            return results[0]
        return [np.concatenate(same) for same in zip(*results, strict=True)]

    def close(self) -> None:
        """Finishes what waits, then closes the wrapped servable."""
        for queue in self._queues.values():
            self._scheduler.remove_queue(queue)
        self._queues.clear()
        self._servable.close()

    def _queue(self, key: _Key) -> BatchQueue:
        with self._lock:
            if key not in self._queues:
                process = functools.partial(self._process, list(key[1]))
                self._queues[key] = self._scheduler.add_queue(
                    self._parameters.queue_settings(), process
                )
            return self._queues[key]

    def _process(self, fetches: list[str], tasks: list[Task]) -> None:
        """Runs a batch; all of its callers get their outputs or one error."""
        try:
            results = self._run_batch(fetches, tasks)
            for task, outputs in zip(tasks, results, strict=True):
                task.outputs = outputs
        except status.ServingError as error:
            _fail(tasks, error)
        except Exception as error:
            # A bug or no memory; a caller left waiting would hang for ever.
            _fail(tasks, status.internal(f"{type(error).__name__}: {error}"))
        finally:
            for task in tasks:
                task.done.release()

    def _run_batch(
        self, fetches: list[str], tasks: list[Task]
    ) -> list[list[np.ndarray]]:
        now = time.monotonic()
        timeout = _timeout(tasks, now)
        size = sum(task.size for task in tasks)
        allowed = self._parameters.allowed_batch_sizes
        rows = batch_merge.padded_size(size, allowed) if size else 0
        if self._observe:
            sizes = tuple(task.size for task in tasks)
            waits = tuple(now - task.queued for task in tasks)
            self._observe(BatchRecord(sizes, rows, rows - size, waits))
        feeds = batch_merge.merge(
            tasks,
            rows,
            self._parameters.pad_variable_length_inputs,
            self._limits,
        )
        found = self._servable.run(feeds, fetches, timeout)
        outputs = dict(zip(fetches, found, strict=True))
        return batch_merge.split(tasks, rows, outputs)


def _key(signature: meta_graph_pb2.SignatureDef) -> _Key:
    sides = signature.inputs, signature.outputs
    feeds, fetches = ({info.name for info in s.values()} for s in sides)
    return tuple(sorted(feeds)), tuple(sorted(fetches))


def _result(task: Task) -> list[np.ndarray]:
    task.done.acquire()
    if task.error is not None:
        raise task.error
    assert task.outputs is not None
    return task.outputs


def _fail(tasks: list[Task], error: status.ServingError) -> None:
    # One exception each: raised in several threads, they would share one
    # traceback.
    for task in tasks:
        task.outputs = None
        task.error = status.ServingError(error.code, error.message)


def _timeout(tasks: list[Task], now: float) -> float | None:
    deadlines = [task.deadline for task in tasks]
    if None in deadlines:
        return None
    latest = max(deadline for deadline in deadlines if deadline is not None)
    if latest <= now:
        raise status.exhausted(
            "Run() timeout exceeded while waiting in batching queue"
        )
    return latest - now


class Batcher:
    """Makes batching servables that share their threads; a `wrap`.

    Args of the constructor:
      common: parameters of models without their own; the number of threads
        and their name are always of these.
      per_model: take `batching_params.pbtxt` of the version's folder instead;
        a version without one is not batched.
      limits: bound inputs that padding enlarges.
      observe: called with a record of every batch, from batch threads.
    """

    def __init__(
        self,
        common: BatchParameters,
        per_model: bool = False,
        limits: RequestLimits | None = None,
        observe: Observer | None = None,
    ):
        self._common, self._per_model = common, per_model
        self._limits, self._observe = limits or RequestLimits(), observe
        self._scheduler = BatchScheduler(
            common.num_batch_threads, common.thread_pool_name
        )

    def wrap(self, servable: Servable, folder: pathlib.Path) -> Servable:
        """The servable with batching, or as it is.

        Args:
          servable: just loaded.
          folder: it was loaded from.

        Raises:
          ServingError: INVALID_ARGUMENT: a bad file of its own.
        """
        parameters = read_model(folder) if self._per_model else self._common
        if parameters is None:
            return servable
        return BatchingServable(
            servable, self._scheduler, parameters, self._limits, self._observe
        )

    def close(self) -> None:
        """Ends the threads, after all servables are closed."""
        self._scheduler.close()
