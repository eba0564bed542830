"""Trains one phase: steps, checkpoints, resume, a watch for bad losses.

In: a `Phase` (how to build its model and its batches) and a tf.distribute
strategy. Out: checkpoints in the phase's folder; a `Watcher` is told of the
progress. The loop knows no model: `train_step` returns loss terms by name,
each replica its share, and that is all that is asked of it.

A phase resumes at its newest checkpoint, and batches are a function of the
step, so a killed run ends with the weights of an uninterrupted one. Of several
workers (`team.py`) each takes its rows of the same global batch, and worker 0
alone writes.
"""

import functools
import pathlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import tensorflow as tf

from histogan_tf import checkpoints
from histogan_tf.errors import InputError
from histogan_tf.models.fused import compiled_whole
from trainer.team import Team

_NEVER = -1
_ADVICE = (
    "stopped, the last good checkpoint is kept; try a lower learning rate or"
    " --precision float32 in a new --run_dir, into which finished phases may be"
    " copied"
)


@dataclass(frozen=True)
class Phase:
    """One entry of the run's explicit list of phases.

    `batches(start, rows)` is the pipeline from step `start` on, of these rows
    of each batch; `batch` counts the images of a step, `mpp` is their scale.
    `seed` (not 0) decides the first weights, whatever was trained before;
    `work` is about what a step costs, in any unit. `finish` completes the
    trained model, which is saved after it; every worker calls it.
    """

    name: str
    folder: pathlib.Path
    steps: int
    batch: int
    build: Callable[[], tf.keras.Model]
    batches: Callable[[int, range], tf.data.Dataset]
    mpp: float = 1.0
    seed: int = 1
    work: float = 1.0
    finish: Callable[[tf.keras.Model], None] = lambda model: None


@dataclass(frozen=True)
class LoopSettings:
    """How often, in steps, to log and to save; checkpoints to keep.

    `jit_compile`: see `make_advance`.
    """

    log_every: int = 50
    save_every: int = 500
    keep: int = 2
    jit_compile: bool = False


class Watcher(Protocol):
    """Who is told of a phase's progress."""

    def begin(self, model: tf.keras.Model, step: int) -> None:
        """The phase starts, or goes on, after `step` steps."""

    def log(self, step: int, losses: dict[str, float]) -> None:
        """Means of the loss terms since the last call."""

    def end(self) -> None:
        """The phase is complete, or stopped by an error."""


class Totals:
    """Sums of loss terms on the device, and where one went bad."""

    def __init__(self, names: tuple[str, ...]):
        self.names = names
        self.sums = tf.Variable(tf.zeros([len(names)]))
        self.bad = tf.Variable(tf.fill([len(names)], np.int64(_NEVER)))
        self.count = tf.Variable(0.0)

    def add(self, vector: tf.Tensor, step: tf.Tensor) -> None:
        """Adds the global terms of `step` (in a graph; no host sync).

        `vector` is float32, a term for each of `names`.
        """
        new = ~tf.math.is_finite(vector) & (self.bad == _NEVER)
        self.bad.assign(tf.where(new, step, self.bad))
        self.sums.assign_add(vector)
        self.count.assign_add(1.0)

    def take(self) -> dict[str, float]:
        """Means since the last call."""
        means = (self.sums / tf.maximum(self.count, 1.0)).numpy()
        self.sums.assign(tf.zeros_like(self.sums))
        self.count.assign(0.0)
        return dict(zip(self.names, map(float, means), strict=True))

    def check(self, name: str) -> None:
        """Raises InputError naming the first loss that is not finite."""
        steps = self.bad.numpy()
        if (steps == _NEVER).all():
            return
        first = int(steps[steps != _NEVER].min())
        which = self.names[int(np.argmax(steps == first))]
        raise InputError(
            f"phase {name}: loss {which} is not finite at step {first};"
            f" {_ADVICE}"
        )


def run(
    phase: Phase,
    strategy: tf.distribute.Strategy,
    settings: LoopSettings,
    watcher: Watcher,
) -> None:
    """Trains a phase to its end; at once done when it is complete already.

    Raises:
      InputError: a loss or a weight is not finite, or the disk is full; the
        newest checkpoint is whole and good.
    """
    team = Team(strategy)
    # tf.data refuses a seed of 0 beside the epochs' seeds, which are tensors.
    tf.keras.utils.set_random_seed(phase.seed)
    with strategy.scope():
        model = phase.build()
        step = tf.Variable(0, dtype=tf.int64, trainable=False)
    saves = Saves(phase, model, step, settings.keep)
    team.led(saves.clean)
    done = team.same(
        team.together(saves.restore), f"{saves.folder}: newest step"
    )
    if done >= phase.steps:
        return
    totals = Totals(model.term_names)
    advance = make_advance(model, strategy, totals, step, settings.jit_compile)
    batches = iter(distribute(phase, team, done))
    # Together: an error of what only worker 0 does ends the others too.
    team.together(functools.partial(watcher.begin, model, done))
    try:
        while done < phase.steps:
            advance(next(batches))
            done += 1
            last = done == phase.steps
            shown = last or done % settings.log_every == 0
            saved = last or done % settings.save_every == 0
            if shown or saved:
                totals.check(phase.name)
            if last:
                phase.finish(model)  # so that what is shown is what is saved
            if shown:
                team.together(
                    functools.partial(watcher.log, done, totals.take())
                )
            if saved:
                saves.check_weights(done)
                team.led(functools.partial(saves.save, done))
    finally:
        watcher.end()


class Saves:
    """The checkpoints of one phase: the newest is always whole and good."""

    def __init__(
        self,
        phase: Phase,
        model: tf.keras.Model,
        step: tf.Variable,
        keep: int,
    ):
        self.name, self.model, self.step = phase.name, model, step
        self.folder = phase.folder / "checkpoints"
        self.checkpoint = tf.train.Checkpoint(model=model, step=step)
        self.manager = tf.train.CheckpointManager(
            self.checkpoint, str(self.folder), keep
        )

    def restore(self) -> int:
        """Loads the newest checkpoint, if any; returns the steps done.

        Raises:
          InputError: it is of another model.
        """
        newest = self.manager.latest_checkpoint
        if newest is not None:
            checkpoints.restore(self.checkpoint, newest)
        return int(self.step.numpy())

    def save(self, step: int) -> None:
        """Writes a checkpoint and removes the oldest.

        Raises:
          InputError: the files cannot be written; the checkpoint before
            stays the newest.
        """
        try:
            self.manager.save(checkpoint_number=step)
        except (tf.errors.OpError, OSError) as error:
            self.clean()
            reason = getattr(error, "message", error)
            raise InputError(
                f"{self.folder}: cannot write the checkpoint of step {step}:"
                f" {reason}; the one before it is kept"
            ) from error

    def check_weights(self, step: int) -> None:
        """Raises InputError naming a weight that is not finite."""
        floats = [v for v in self.model.variables if v.dtype.is_floating]
        good = tf.stack([tf.reduce_all(tf.math.is_finite(v)) for v in floats])
        if not (good := good.numpy()).all():
            raise InputError(
                f"phase {self.name}: weight {floats[int(np.argmin(good))].name}"
                f" is not finite at step {step}; {_ADVICE}"
            )

    def clean(self) -> None:
        """Removes what a killed or failed write left behind."""
        for path in self.folder.glob("*_temp*"):
            shutil.rmtree(path, ignore_errors=True)
        for path in self.folder.glob("*.tmp*"):
            path.unlink(missing_ok=True)


def distribute(phase: Phase, team: Team, start: int) -> tf.data.Dataset:
    """This worker's rows of every batch, in parts for its replicas."""
    rows, count = team.rows(phase.batch), team.replicas // team.workers
    # Out here, as `parts` is called on the host: the judge reads tiles first,
    # which is work for a GPU.
    data = phase.batches(start, rows)

    def parts(context: tf.distribute.InputContext) -> tf.data.Dataset:
        del context  # Team.rows knows more
        if count == 1:
            return data
        share = data.rebatch(len(rows) // count, drop_remainder=True)
        return share.prefetch(count)

    return team.strategy.distribute_datasets_from_function(parts)


def make_advance(
    model: tf.keras.Model,
    strategy: tf.distribute.Strategy,
    totals: Totals,
    step: tf.Variable,
    jit_compile: bool = False,
) -> Callable[[dict[str, tf.Tensor]], None]:
    """One traced training step over all replicas.

    `jit_compile`: by XLA, where one replica is all.
    """

    def shares(batch):
        # One vector, so that one message between machines carries all terms.
        terms = model.train_step(batch)
        return tf.stack([terms[name] for name in totals.names])

    if jit_compile:
        shares = compiled_whole(shares)

    # Nothing in a step is for AutoGraph, which doubles the time of tracing.
    @tf.function(autograph=False)
    def advance(batch):
        parts = strategy.run(shares, args=(batch,))
        step.assign_add(1)
        totals.add(
            strategy.reduce(tf.distribute.ReduceOp.SUM, parts, axis=None), step
        )

    return advance


def is_complete(phase: Phase) -> bool:
    """Whether the newest checkpoint is the phase's last."""
    latest = tf.train.latest_checkpoint(str(phase.folder / "checkpoints"))
    return latest is not None and latest.endswith(f"-{phase.steps}")
