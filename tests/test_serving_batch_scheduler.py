"""serving.batch_scheduler: which tasks go together, and when."""

import threading
import time

import numpy as np
import pytest

from serving.batch_scheduler import BatchScheduler, QueueSettings, Task
from serving.status import ServingError


class Recorder:
    """Keeps the sizes of batches; `gate` holds the threads back."""

    def __init__(self, open_gate=True):
        self.batches, self.times = [], []
        self.gate, self.entered = threading.Event(), threading.Event()
        if open_gate:
            self.gate.set()

    def __call__(self, tasks):
        self.entered.set()
        self.gate.wait(10)
        self.batches.append([task.size for task in tasks])
        self.times.append(time.monotonic())
        for task in tasks:
            task.done.release()


@pytest.fixture
def scheduler():
    made = BatchScheduler(1)
    yield made
    made.close()


def task(size):
    return Task({"x:0": np.arange(size)}, ["y:0"], size)


def settings(largest=4, timeout=0.0, batches=10, splitting=False):
    return QueueSettings(largest, largest, timeout, batches, splitting)


def wait(*tasks):
    for one in tasks:
        assert one.done.acquire(timeout=10)


def held(scheduler, **values):
    """A queue whose only thread is busy with a task of size 1."""
    recorder = Recorder(open_gate=False)
    queue = scheduler.add_queue(settings(**values), recorder)
    queue.schedule(task(1))
    assert recorder.entered.wait(10)
    return queue, recorder


def test_a_lone_task_goes_at_once(scheduler):
    recorder = Recorder()
    one = task(1)
    scheduler.add_queue(settings(), recorder).schedule(one)
    wait(one)
    assert recorder.batches == [[1]]


def test_what_waits_goes_together_up_to_the_largest(scheduler):
    queue, recorder = held(scheduler)
    tasks = [task(size) for size in (2, 1, 2, 3, 4, 1)]
    for one in tasks:
        queue.schedule(one)
    recorder.gate.set()
    wait(*tasks)
    assert recorder.batches == [[1], [2, 1], [2], [3], [4], [1]]


def test_an_open_batch_waits_for_its_timeout(scheduler):
    recorder = Recorder()
    queue = scheduler.add_queue(settings(timeout=0.2), recorder)
    start = time.monotonic()
    first, second = task(1), task(1)
    queue.schedule(first)
    time.sleep(0.05)
    queue.schedule(second)
    wait(first, second)
    assert recorder.batches == [[1, 1]]
    assert 0.19 < recorder.times[0] - start < 1


def test_a_full_batch_does_not_wait(scheduler):
    recorder = Recorder()
    queue = scheduler.add_queue(settings(largest=2, timeout=60), recorder)
    first, second = task(1), task(1)
    queue.schedule(first)
    queue.schedule(second)
    wait(first, second)
    assert recorder.batches == [[1, 1]]


def test_timeouts_of_two_queues_are_both_kept(scheduler):
    slow, fast = Recorder(), Recorder()
    late = scheduler.add_queue(settings(timeout=0.3), slow)
    soon = scheduler.add_queue(settings(timeout=0.1), fast)
    start, tasks = time.monotonic(), [task(1), task(1)]
    late.schedule(tasks[0])
    soon.schedule(tasks[1])
    wait(*tasks)
    assert 0.09 < fast.times[0] - start < 0.28
    assert 0.29 < slow.times[0] - start < 1


def test_queues_take_turns(scheduler):
    queue, first = held(scheduler, largest=1)
    second = Recorder()
    other = scheduler.add_queue(settings(largest=1), second)
    tasks = [task(1) for _ in range(6)]
    for place, one in enumerate(tasks):
        (queue if place < 3 else other).schedule(one)
    first.gate.set()
    wait(*tasks)
    order = sorted(
        [(at, "a") for at in first.times[1:]]
        + [(at, "b") for at in second.times]
    )
    assert "".join(name for _, name in order) == "bababa"


def test_task_larger_than_any_batch(scheduler):
    queue = scheduler.add_queue(settings(), Recorder())
    with pytest.raises(ServingError) as caught:
        queue.schedule(task(5))
    assert caught.value.code.name == "INVALID_ARGUMENT"
    text = "Task size 5 is larger than maximum input batch size 4"
    assert caught.value.message == text


def test_full_queue(scheduler):
    queue, recorder = held(scheduler, batches=2)
    tasks = [task(3), task(3), task(1)]
    for one in tasks:
        queue.schedule(one)
    with pytest.raises(ServingError) as caught:
        queue.schedule(task(1))
    assert caught.value.code.name == "UNAVAILABLE"
    assert caught.value.message == (
        "The batch scheduling queue to which this task was submitted is full;"
        " currently 2 batches enqueued and max_enqueued_batches is 2"
    )
    recorder.gate.set()
    wait(*tasks)
    one = task(1)
    queue.schedule(one)  # there is room again
    wait(one)


def test_splitting_fills_the_open_batch_first(scheduler):
    _, busy = held(scheduler)
    recorder = Recorder()
    queue = scheduler.add_queue(QueueSettings(100, 4, 0, 10, True), recorder)
    first = task(3)
    assert queue.schedule(first) == [first]
    # One row fits; the other nine make two batches and an open one.
    parts = queue.schedule(task(10))
    assert [part.feeds["x:0"].tolist() for part in parts] == [
        [0],
        [1, 2, 3, 4],
        [5, 6, 7, 8],
        [9],
    ]
    # No larger than a batch, and split nevertheless.
    more = queue.schedule(task(4))
    assert [part.size for part in more] == [3, 1]
    busy.gate.set()
    wait(first, *parts, *more)
    assert recorder.batches == [[3, 1], [4], [4], [1, 3], [1]]


def test_without_room_in_the_open_batch_parts_are_whole(scheduler):
    _, busy = held(scheduler)
    recorder = Recorder()
    queue = scheduler.add_queue(QueueSettings(100, 4, 0, 10, True), recorder)
    parts = queue.schedule(task(4)) + queue.schedule(task(6))
    assert [part.size for part in parts] == [4, 4, 2]
    busy.gate.set()
    wait(*parts)


def test_parts_of_a_task_need_room_for_all(scheduler):
    _, recorder = held(scheduler)
    queue = scheduler.add_queue(QueueSettings(100, 4, 0, 2, True), recorder)
    with pytest.raises(ServingError) as caught:
        queue.schedule(task(9))
    assert caught.value.code.name == "UNAVAILABLE"
    assert caught.value.message == (
        "The batch scheduling queue to which this task was submitted is full;"
        " task size is 9 but scheduling capacity is only 8"
        " (num_enqueued_batches=1, max_enqueued_batches=2, open_batch_size=0,"
        " max_execution_batch_size=4)"
    )
    parts = queue.schedule(task(8))  # which fills it to the last row
    with pytest.raises(ServingError, match="capacity is only 0"):
        queue.schedule(task(1))
    recorder.gate.set()
    wait(*parts)


def test_removing_a_queue_finishes_what_waits(scheduler):
    _, busy = held(scheduler)
    recorder = Recorder()
    queue = scheduler.add_queue(settings(timeout=60), recorder)
    queue.schedule(task(1))
    threading.Timer(0.1, busy.gate.set).start()
    scheduler.remove_queue(queue)  # does not sit out the timeout
    assert recorder.batches == [[1]]
    with pytest.raises(ServingError, match="unloaded"):
        queue.schedule(task(1))


def test_idle_threads_sleep():
    made = BatchScheduler(4)
    made.add_queue(settings(), Recorder())
    start = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - start < 0.1
    made.close()
