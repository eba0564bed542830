"""Queues of waiting runs, and the threads that take them in batches.

In: tasks, each for one queue. Out: every queue's own function called with
lists of tasks, on the threads that all queues share. Rules and texts are
those of TensorFlow's SharedBatchScheduler: a queue is a list of batches of
which the last is open; a batch goes when it is full, or when its first task
has waited for the timeout; threads go round the queues.

Threads sleep until there is work, or until the next timeout: unlike the
original, which looks again every millisecond.
"""

import collections
import dataclasses
import itertools
import threading
import time
from collections.abc import Callable

import numpy as np

from serving import status


@dataclasses.dataclass(eq=False, slots=True)
class Task:
    """One waiting run; `done` is released when `outputs` or `error` is set.

    `feeds` and `outputs` are as of `Servable.run`, `size` is dimension 0 of
    all feeds, `deadline` a time of `time.monotonic()` or None.
    """

    feeds: dict[str, np.ndarray]
    fetches: list[str]
    size: int
    deadline: float | None = None
    queued: float = 0.0
    outputs: list[np.ndarray] | None = None
    error: status.ServingError | None = None
    done: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def __post_init__(self):
        self.done.acquire()

    def part(self, start: int, end: int) -> "Task":
        """A task of some of the rows, not yet queued."""
        feeds = {name: array[start:end] for name, array in self.feeds.items()}
        return Task(feeds, self.fetches, end - start, self.deadline)


@dataclasses.dataclass(frozen=True)
class QueueSettings:
    """When a batch goes.

    `largest_task` and `largest_batch` are sizes in rows, `timeout` seconds,
    `batches` how many may wait, the open one included. `splitting`: a task
    that does not fit into the open batch fills it up and goes on in others.
    """

    largest_task: int
    largest_batch: int
    timeout: float
    batches: int
    splitting: bool = False


@dataclasses.dataclass(eq=False, slots=True)
class _Batch:
    tasks: list[Task] = dataclasses.field(default_factory=list)
    size: int = 0
    started: float = 0.0


class BatchScheduler:
    """Threads, and the queues that they serve in turn."""

    def __init__(self, threads: int, name: str = "batch_threads"):
        lock = threading.Lock()
        self._work = threading.Condition(lock)
        self._drained = threading.Condition(lock)
        self._queues: list[BatchQueue] = []
        self._next, self._closed = 0, False
        self._threads = [
            threading.Thread(
                target=self._loop, name=f"{name}_{place}", daemon=True
            )
            for place in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def add_queue(
        self, settings: QueueSettings, process: Callable[[list[Task]], None]
    ) -> "BatchQueue":
        """A new queue; `process` must finish its tasks and raise nothing."""
        queue = BatchQueue(settings, process, self._work)
        with self._work:
            self._queues.append(queue)
        return queue

    def remove_queue(self, queue: "BatchQueue") -> None:
        """Takes no more tasks, and returns when all are done."""
        with self._work:
            queue.closed = True
            self._work.notify()
            while not queue.idle():
                self._drained.wait()
            self._queues.remove(queue)

    def close(self) -> None:
        """Ends the threads once they have finished what they are at."""
        with self._work:
            self._closed = True
            self._work.notify_all()
        for thread in self._threads:
            thread.join()

    def _loop(self) -> None:
        while True:
            with self._work:
                taken = self._wait()
            if taken is None:
                return
            queue, tasks = taken
            queue.process(tasks)
            with self._work:
                queue.running -= 1
                if queue.closed:
                    self._drained.notify_all()

    def _wait(self) -> tuple["BatchQueue", list[Task]] | None:
        while not self._closed:
            now, wake = time.monotonic(), None
            for step in range(len(self._queues)):
                place = (self._next + step) % len(self._queues)
                queue = self._queues[place]
                tasks = queue.take(now)
                if tasks:
                    self._next = place + 1
                    # Others wait, and this thread may have kept their time.
                    if any(other.due() is not None for other in self._queues):
                        self._work.notify()
                    return queue, tasks
                due = queue.due()
                if due is not None and (wake is None or due < wake):
                    wake = due
            self._work.wait(None if wake is None else max(0.0, wake - now))
        return None


class BatchQueue:
    """Waiting tasks of one kind; all fields are guarded by one lock."""

    def __init__(
        self,
        settings: QueueSettings,
        process: Callable[[list[Task]], None],
        work: threading.Condition,
    ):
        self.process, self.running, self.closed = process, 0, False
        self._settings, self._work = settings, work
        self._batches = collections.deque([_Batch()])

    def schedule(self, task: Task) -> list[Task]:
        """Lets a task wait its turn.

        Returns:
          What to wait for: the task, or its parts in the order of its rows.

        Raises:
          ServingError: INVALID_ARGUMENT for a task that is too large;
            UNAVAILABLE when the queue is full.
        """
        if task.size > self._settings.largest_task:
            raise status.invalid(
                f"Task size {task.size} is larger than maximum input batch"
                f" size {self._settings.largest_task}"
            )
        now = time.monotonic()
        with self._work:
            if self.closed:
                raise status.unavailable("The model is being unloaded")
            self._check_room(task.size)
            parts = self._parts(task)
            if any([self._add(part, now) for part in parts]):
                self._work.notify()
        return parts

    def take(self, now: float) -> list[Task] | None:
        """The tasks of a batch that is to go now."""
        if len(self._batches) == 1:
            due = self.due()
            if due is None or due > now:
                return None
            self._batches.append(_Batch())
        self.running += 1
        return self._batches.popleft().tasks

    def due(self) -> float | None:
        """When the first batch is to go; None: there is none."""
        first = self._batches[0]
        if not first.tasks:
            return None
        full = first.size >= self._settings.largest_batch
        if full or self.closed or len(self._batches) > 1:
            return 0.0
        return first.started + self._settings.timeout

    def idle(self) -> bool:
        """Whether no task waits or runs."""
        return not self.running and not self._batches[0].tasks

    def _parts(self, task: Task) -> list[Task]:
        """The first part fills the open batch, as SplitInputTask does."""
        limit = self._settings.largest_batch
        room = limit - self._batches[-1].size
        if not self._settings.splitting or task.size <= room:
            return [task]
        starts = [*range(room, task.size, limit), task.size]
        if room:
            starts.insert(0, 0)
        return [task.part(*ends) for ends in itertools.pairwise(starts)]

    def _add(self, task: Task, now: float) -> bool:
        """Whether there is now something new to do for a thread."""
        batch, limit = self._batches[-1], self._settings.largest_batch
        more = bool(batch.tasks) and batch.size + task.size > limit
        if more:
            batch = _Batch()
            self._batches.append(batch)
        first = not batch.tasks
        if first:
            batch.started = now
        task.queued = now
        batch.tasks.append(task)
        batch.size += task.size
        return first or more or batch.size >= limit

    def _check_room(self, size: int) -> None:
        limit, most = self._settings.largest_batch, self._settings.batches
        waiting, last = len(self._batches), self._batches[-1].size
        full = "The batch scheduling queue to which this task was submitted is"
        if self._settings.splitting:
            room = (most - waiting) * limit + limit - last
            if size > room:
                raise status.unavailable(
                    f"{full} full; task size is {size} but scheduling capacity"
                    f" is only {room} (num_enqueued_batches={waiting},"
                    f" max_enqueued_batches={most}, open_batch_size={last},"
                    f" max_execution_batch_size={limit})"
                )
        elif last + size > limit and waiting >= most:
            raise status.unavailable(
                f"{full} full; currently {waiting} batches enqueued and"
                f" max_enqueued_batches is {most}"
            )
