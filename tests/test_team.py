"""One process's team; teams of several: test_replicas, test_killed."""

import pytest
import tensorflow as tf

from histogan_tf.errors import InputError
from trainer.team import Team


class Part(Team):
    """A worker whose partners answer what the test says."""

    def __init__(self, index, workers, others=()):
        self.index, self.workers, self.replicas = index, workers, workers
        self.others = list(others)

    def total(self, value):
        return value + self.others.pop(0)


class Replicas(Team):
    """A worker of two, `count` replicas each, whose sums are one by one."""

    def __init__(self, count):
        self.index, self.workers, self.replicas = 0, 2, 2 * count
        self.count = count

    def _sum(self, share):
        # The other worker has nothing to say.
        return tf.constant(sum([float(share)] * self.count), tf.float64)


@pytest.mark.parametrize("count", [1, 6, 7, 10, 12])
@pytest.mark.parametrize("value", [True, 250, 1000, 1750])
def test_replicas_sum_to_the_very_number(count, value):
    assert Replicas(count).same(value, "step") == value


def test_alone():
    team = Team(tf.distribute.get_strategy())
    assert (team.lead, team.workers, team.replicas) == (True, 1, 1)
    assert team.rows(6) == range(6)
    assert team.total(3.0) == 3.0
    assert team.same(7, "x") == 7
    done = []
    team.led(lambda: done.append(1))
    assert team.together(lambda: done) == [1]


def test_rows_join_to_the_batch():
    rows = [list(Part(index, 3).rows(6)) for index in range(3)]
    assert rows == [[0, 1], [2, 3], [4, 5]]


def test_an_error_of_one_stops_the_others():
    with pytest.raises(InputError, match="worker 1: another worker"):
        Part(1, 2, [1.0]).led(lambda: 1 / 0)
    # Its own error is not hidden.
    with pytest.raises(ZeroDivisionError):
        Part(0, 2, [0.0]).led(lambda: 1 / 0)


def test_what_differs_is_named():
    assert Part(1, 2, [4, 0]).same(4, "step") == 4
    with pytest.raises(InputError, match=r"step: 0 here, 4 at worker 0.*share"):
        Part(1, 3, [4, 0]).same(0, "step")
    # The same as worker 0, while a third one differs.
    with pytest.raises(InputError, match="step: 4 here"):
        Part(1, 3, [4, 1]).same(4, "step")
