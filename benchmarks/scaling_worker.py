"""One process of the scaling benchmark: trains, and adds up a vector.

In: a `Work`, as JSON, on the command line; TF_CONFIG where there are two. Out:
worker 0 prints a line of JSON: seconds of a step, seconds of one sum over the
workers of as many numbers as a step sends, and how many bytes that is.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Work:
    """`batch` is global; each process is held to `core`, if not negative."""

    preset: str
    stage: int
    precision: str
    batch: int
    steps: int
    core: int


def main() -> None:
    """See the module."""
    work = Work(**json.loads(sys.argv[1]))
    if work.core >= 0:
        # Before TensorFlow counts the cores for its threads.
        os.sched_setaffinity(0, [work.core])
    found = measure(work)
    if found:
        print(json.dumps(found))


def measure(work: Work) -> dict[str, float] | None:
    """The figures; None where this is not worker 0."""
    import tensorflow as tf

    from benchmarks import step_cells
    from benchmarks.step_work import timed
    from trainer import loop, strategies
    from trainer.team import Team

    cell = step_cells.Cell(work.preset, work.stage, work.precision, work.batch)
    config = step_cells.config_of(cell)
    strategies.prepare(work.precision, 0)
    kind = "multi_worker" if "TF_CONFIG" in os.environ else "one"
    strategy = strategies.STRATEGIES[kind]()
    team = Team(strategy)
    with strategy.scope():
        model = step_cells.stage_model(config, work.stage)
        step = tf.Variable(0, dtype=tf.int64, trainable=False)
    totals = loop.Totals(model.term_names)
    advance = loop.make_advance(model, strategy, totals, step)
    batches = iter(
        strategy.distribute_datasets_from_function(
            lambda _: step_cells.tile_batches(
                config,
                cell,
                config.stages[work.stage].crop,
                team.rows(work.batch),
            )
        )
    )
    networks = (model.generator, model.critic, model.segmenter)
    count = sum(
        int(v.shape.num_elements())
        for n in networks
        for v in n.trainable_variables
    )
    batch = next(batches)
    sent = messages(lambda: advance.get_concrete_function(batch))
    found = {
        "step_seconds": timed(lambda: advance(batch), totals.take, work.steps),
        "sum_seconds": sum_seconds(strategy, count, work.steps),
        "bytes": 4.0 * count,
        "messages": sent,
    }
    team.total(0)
    return found if team.lead else None


def messages(trace: Callable[[], Any]) -> int:
    """Sums over the workers in a step that `trace` traces, its losses' too."""
    import tensorflow as tf

    context, count = type(tf.distribute.get_replica_context()), 0
    (base,) = (c for c in context.__mro__ if "all_reduce" in vars(c))
    original = base.all_reduce

    def counted(*values: Any, **more: Any) -> Any:
        nonlocal count
        count += 1
        return original(*values, **more)

    base.all_reduce = counted
    try:
        trace()
    finally:
        base.all_reduce = original
    return count + 1


def sum_seconds(strategy, count: int, steps: int) -> float:
    """Seconds of one sum over the workers of `count` float32."""
    import tensorflow as tf

    from benchmarks.step_work import timed

    total = tf.Variable(0.0)

    @tf.function(autograph=False)
    def add():
        parts = strategy.run(lambda: tf.ones([count]) * (total + 1.0))
        summed = strategy.reduce(tf.distribute.ReduceOp.SUM, parts, axis=None)
        total.assign(summed[0])
        total.assign(0.0)

    return timed(add, total.numpy, steps)


if __name__ == "__main__":
    main()
