"""Trains phases by the trainer's own loop, and takes the time.

In: a `trainer.loop.Phase`. Out: its checkpoints, and a JSON file of seconds
by phase: pairs [step, seconds] at every log, so that a resumed phase goes on
at the seconds of the step that it resumes from. Seconds are wall time from
the first step on: tracing and saving count, building the networks does not.
"""

import pathlib
import tempfile
import time
from dataclasses import dataclass, replace

import tensorflow as tf

from benchmarks import machine
from trainer import loop, strategies
from trainer.loop import LoopSettings, Phase

WARM_UP, TIMED = 10, 60  # steps of a measurement of speed
EVERY = LoopSettings(log_every=50, save_every=250)


@dataclass(frozen=True)
class Speed:
    """Seconds before a phase is up to speed, and of each step then."""

    start: float
    step: float

    def steps_in(self, seconds: float) -> int:
        """Steps that a phase does in that time; one at least."""
        return max(1, int((seconds - self.start) / self.step))


class Clock:
    """A watcher that notes a phase's seconds and prints its progress."""

    def __init__(self, path: pathlib.Path, phase: Phase):
        self.path, self.phase = path, phase
        self.marks: list[list[float]] = []

    def begin(self, model: tf.keras.Model, step: int) -> None:
        """Goes on at the seconds of `step`; later ones were lost."""
        del model
        stored = machine.read_json(self.path) or {}
        marks = stored.get(self.phase.name, [])
        self.marks = [mark for mark in marks if mark[0] <= step]
        before = self.marks[-1][1] if self.marks else 0.0
        self.start = time.monotonic() - before

    def log(self, step: int, losses: dict[str, float]) -> None:
        """Notes the seconds at `step`; tells of every tenth part."""
        seconds = time.monotonic() - self.start
        self.marks.append([step, round(seconds, 2)])
        stored = machine.read_json(self.path) or {}
        machine.write_json(self.path, stored | {self.phase.name: self.marks})
        tenths = [10 * s // self.phase.steps for s in (self._previous(), step)]
        if tenths[0] != tenths[1]:
            text = " ".join(f"{k} {v:.2f}" for k, v in losses.items())
            print(
                f"   {self.phase.name} {step}/{self.phase.steps}"
                f" {seconds:.0f} s  {text}",
                flush=True,
            )

    def end(self) -> None:
        """Nothing is open."""

    def _previous(self) -> float:
        return self.marks[-2][0] if len(self.marks) > 1 else 0


def train(phase: Phase, times: pathlib.Path, seed: int) -> None:
    """Trains a phase on one device, or goes on where it was stopped."""
    if loop.is_complete(phase):
        return
    # First weights then depend on the seed, not on the phases before. As in
    # strategies.prepare it is not 0, which tf.data refuses.
    tf.keras.utils.set_random_seed(seed + 1)
    clock = Clock(times, phase)
    loop.run(phase, strategies.one(), EVERY, clock)


def seconds(times: pathlib.Path) -> dict[str, float]:
    """Seconds of every phase in a file of times."""
    stored = machine.read_json(times) or {}
    return {name: marks[-1][1] for name, marks in stored.items()}


def include(times: pathlib.Path, others: pathlib.Path, name: str) -> None:
    """Adds another run's seconds, as phases of `name`/, to a file of times."""
    more = machine.read_json(others) or {}
    named = {f"{name}/{phase}": marks for phase, marks in more.items()}
    machine.write_json(times, (machine.read_json(times) or {}) | named)


def speed(phase: Phase, warm_up: int = WARM_UP, timed: int = TIMED) -> Speed:
    """Trains `timed` steps after `warm_up` steps and throws them away."""
    marks = _Marks()
    with tempfile.TemporaryDirectory() as folder:
        trial = replace(
            phase, folder=pathlib.Path(folder), steps=warm_up + timed
        )
        every = LoopSettings(log_every=warm_up, save_every=trial.steps)
        loop.run(trial, strategies.one(), every, marks)
    (_, begin), (_, first), *_, (_, last) = marks.times
    step = (last - first) / timed
    return Speed(max(0.0, first - begin - warm_up * step), step)


class _Marks:
    """A watcher that keeps (step, time) and tells nobody."""

    def __init__(self) -> None:
        self.times: list[tuple[int, float]] = []

    def begin(self, model: tf.keras.Model, step: int) -> None:
        del model
        self.times.append((step, time.monotonic()))

    def log(self, step: int, losses: dict[str, float]) -> None:
        del losses
        self.times.append((step, time.monotonic()))

    def end(self) -> None:
        pass
