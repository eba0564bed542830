"""Bars: how far a phase and the whole run are."""

import io
import pathlib

from rich.console import Console

from trainer.bars import Bars
from trainer.loop import Phase


def phases():
    def one(name, steps, work):
        folder = pathlib.Path(name)
        return Phase(name, folder, steps, 1, list, list, work=work)

    return [one("stages/0", 10, 2.0), one("stages/1", 20, 3.0)]


def test_work_done_counts_the_phases_before():
    first, second = phases()
    bars = Bars([first, second], Console(file=io.StringIO()))
    assert bars.work_done(first, 4) == 8.0
    assert bars.work_done(second, 5) == 20.0 + 15.0


def test_bars_show_phase_and_whole_run():
    first, second = phases()
    text = io.StringIO()
    console = Console(file=text, width=120)
    with Bars([first, second], console) as bars:
        bars.begin(second, 15)
        bars.update(second, 20, "C 1.00 [red]")
        bars.end(second)
        assert bars.bar.tasks[bars.whole].percentage == 100
    shown = text.getvalue()
    assert "stages/1 C 1.00 [red]" in shown and "20/20" in shown
    assert "whole run" in shown and "phase 2/2" in shown


def test_nothing_is_drawn_before_the_first_phase():
    text = io.StringIO()
    with Bars(phases(), Console(file=text)):
        pass
    assert text.getvalue() == ""
