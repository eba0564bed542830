"""The threaded map: order, errors, and how far it runs ahead."""

import threading
import time

import pytest

from histogan_tf.data.in_order import in_order


def test_results_keep_the_order():
    def slow(number):
        time.sleep(0.002 * (number % 3))
        return number * number

    assert list(in_order(slow, range(20), 3)) == [n * n for n in range(20)]


def test_it_runs_a_few_items_ahead_only():
    begun, lock = [], threading.Lock()

    def note(number):
        with lock:
            begun.append(number)

    results = in_order(note, range(100), 2)
    next(results)
    time.sleep(0.05)
    assert len(begun) <= 5
    results.close()
    assert len(begun) <= 5


def test_an_error_comes_in_its_turn():
    def fail(number):
        if number == 3:
            raise KeyError(number)
        return number

    results = in_order(fail, range(9), 2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError):
        next(results)
