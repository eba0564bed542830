"""The processes that train together, and this one's place among them.

In: a strategy. Out: which images of a batch are this process's; work that all
processes do at the same point, with an error of one told to all. Without
other processes (`one`, `mirrored`) everything is this process's.

Worker 0 leads: it alone writes files and shows progress.
"""

from collections.abc import Callable
from typing import TypeVar

import tensorflow as tf

from histogan_tf.errors import InputError

Result = TypeVar("Result")


class Team:
    """The workers of a strategy; every method is called by all of them."""

    def __init__(self, strategy: tf.distribute.Strategy):
        self.strategy = strategy
        self.replicas: int = strategy.num_replicas_in_sync
        self.workers, self.index = 1, 0
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            resolver = strategy.cluster_resolver
            self.workers = resolver.cluster_spec().num_tasks("worker")
            self.index = resolver.task_id

    @property
    def lead(self) -> bool:
        """Whether this is worker 0."""
        return self.index == 0

    def rows(self, batch: int) -> range:
        """Which images of a global batch are this worker's.

        `batch` is a multiple of the number of replicas.
        """
        share = batch // self.workers
        return range(self.index * share, (self.index + 1) * share)

    def total(self, value: float) -> float:
        """Sum over the workers; waits until all are here."""
        if self.workers == 1:
            return value
        local = self.replicas // self.workers
        # float64 holds every number of a step; int64 is a GPU's host's.
        share = tf.constant(value / local, tf.float64)
        return float(self._sum(share).numpy())

    @tf.function(autograph=False)
    def _sum(self, share: tf.Tensor) -> tf.Tensor:
        parts = self.strategy.run(lambda x: x + 0.0, args=(share,))
        return self.strategy.reduce(
            tf.distribute.ReduceOp.SUM, parts, axis=None
        )

    def together(self, work: Callable[[], Result]) -> Result:
        """Every worker calls `work`, and none goes on unless all succeeded.

        Raises:
          InputError: another worker failed. Its own error says why.
        """
        if self.workers == 1:
            return work()
        try:
            result = work()
        except Exception:
            self.total(1.0)
            raise
        if self.total(0.0):
            raise InputError(
                f"worker {self.index}: another worker was stopped by an error;"
                " its own last line says which"
            )
        return result

    def led(self, work: Callable[[], None]) -> None:
        """Worker 0 calls `work`; the others wait for its end."""
        self.together(work if self.lead else lambda: None)

    def same(self, value: int, what: str) -> int:
        """The value, which all workers must have.

        Raises:
          InputError: they differ, as where each has a disk of its own.
        """
        # Rounded: a sixth, six times, is a little less than 1.
        led = round(self.total(value if self.lead else 0))
        # One and the same sum at every worker, so all raise or none.
        if self.total(value != led):
            raise InputError(
                f"worker {self.index}: {what}: {value} here, {led} at worker"
                " 0, or another elsewhere; --run_dir must be on a file system"
                " that all share"
            )
        return value
