"""Bars in a terminal: the phase at work and the whole run, with time left.

In: the list of phases, and how far one has come. Out: two lines on stderr,
redrawn on a terminal; in a log file, a line at each point of the curves. They
start with the first phase that trains, so that an error before it stands
alone.

A step of one phase takes longer than one of another; `Phase.work` says about
how much, so that the whole run's time left is a fair guess from the start.
"""

from collections.abc import Sequence
from types import TracebackType

from rich import progress
from rich.console import Console

from trainer.loop import Phase

# Seconds of the past that the time left is judged by.
_PERIOD = 600.0


class Bars:
    """A context manager; see the module."""

    def __init__(self, phases: Sequence[Phase], console: Console | None = None):
        """Shows nothing yet.

        Args:
          phases: all of the run, in order, complete ones included.
          console: where to draw; stderr by default.
        """
        self.phases = list(phases)
        self.bar = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(bar_width=24),
            progress.TextColumn("{task.fields[count]}", markup=False),
            progress.TimeElapsedColumn(),
            progress.TextColumn("left"),
            progress.TimeRemainingColumn(),
            console=console or Console(stderr=True),
            speed_estimate_period=_PERIOD,
        )
        total = sum(p.steps * p.work for p in self.phases)
        self.whole = self.bar.add_task("whole run", total=total, count="")
        self.tasks: dict[str, progress.TaskID] = {}

    def __enter__(self) -> "Bars":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # One that never started would print an empty line.
        if self.tasks:
            self.bar.stop()

    def begin(self, phase: Phase, step: int) -> None:
        """Adds the phase's line, `step` steps of it done."""
        self.bar.start()
        self.tasks[phase.name] = self.bar.add_task(
            phase.name, total=phase.steps, completed=step, count=""
        )
        self.update(phase, step, "")

    def update(self, phase: Phase, step: int, text: str) -> None:
        """Moves both lines; `text` is shown beside the phase's name."""
        self.bar.update(
            self.tasks[phase.name],
            completed=step,
            count=f"{step}/{phase.steps}",
            description=f"{phase.name} {text}".rstrip(),
        )
        self.bar.update(
            self.whole,
            completed=self.work_done(phase, step),
            count=f"phase {self._place(phase) + 1}/{len(self.phases)}",
        )
        if not self.bar.console.is_terminal:
            self._print(phase, step, text)

    def _print(self, phase: Phase, step: int, text: str) -> None:
        """A line for a log file, where nothing can be redrawn."""
        left = self.bar.tasks[self.whole].time_remaining
        minutes = "?" if left is None else f"{left / 60:.0f}"
        self.bar.console.print(
            f"{phase.name} {step}/{phase.steps} {text}, about {minutes} min"
            " left in all",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )

    def end(self, phase: Phase) -> None:
        """The phase is complete, or was stopped."""
        self.bar.stop_task(self.tasks[phase.name])

    def work_done(self, phase: Phase, step: int) -> float:
        """Work of the phases before, and of this phase's first steps."""
        before = self.phases[: self._place(phase)]
        return sum(p.steps * p.work for p in before) + step * phase.work

    def _place(self, phase: Phase) -> int:
        return [p.name for p in self.phases].index(phase.name)
