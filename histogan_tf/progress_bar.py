"""A progress bar with the time left, on stderr.

In: calls of (work done, work in all, text). Out: one line that is redrawn on
a terminal. It starts at the first call, so that an error in the flags stands
alone.
"""

import contextlib
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress_bar(task: str) -> Iterator[Callable[[int, int, str], None]]:
    """Yields the function that moves the bar."""
    from rich import progress
    from rich.console import Console

    bar = progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    line = bar.add_task(task, total=None)

    def show(done: int, total: int, text: str) -> None:
        bar.start()
        bar.update(line, completed=done, total=total, description=text)

    try:
        yield show
    finally:
        # Stopping a bar that never started would print an empty line.
        if bar.live.is_started:
            bar.stop()
