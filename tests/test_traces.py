"""The loop traces a step once, and waits for the device at logs only."""

import io

import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console
from tensorflow.python.framework import ops

from histogan_tf.data.dataset import Tiles
from trainer import bars, loop, strategies, watching


@pytest.fixture(scope="module")
def models():
    import strategy_models

    return strategy_models


def phase_of(models, folder, name, steps):
    return loop.Phase(
        name, folder, steps, 4, models.builds[name], models.batches, seed=3
    )


def watch_of(phase, every):
    tile = {
        "image": np.full((16, 20, 3), 90, np.uint8),
        "labels": np.full((16, 20, 2), 127, np.uint8),
        "style": np.zeros(6, np.float32),
    }
    data = tf.data.Dataset.from_tensors(tile)
    palette = np.zeros([2, 3], np.uint8)
    look = watching.Look(Tiles(data, 1), ("a", "b"), palette, every, "")
    shown = bars.Bars([phase], Console(file=io.StringIO()))
    return watching.Watch(phase, look, shown)


@pytest.mark.parametrize("name", ["stage 1", "segmenter"])
def test_one_trace_a_phase(models, tmp_path, monkeypatch, name):
    made, make = [], loop.make_advance

    def kept(*args):
        made.append(make(*args))
        return made[-1]

    monkeypatch.setattr(loop, "make_advance", kept)
    # Curves, pictures and checkpoints come between the steps.
    for steps in (4, 6):
        phase = phase_of(models, tmp_path, name, steps)
        every = loop.LoopSettings(log_every=1, save_every=2)
        loop.run(phase, strategies.one(), every, watch_of(phase, 2))
    # The second process of a phase, which resumes, traces once again.
    counts = [advance.experimental_get_tracing_count() for advance in made]
    assert counts == [1, 1]


class Mute:
    def begin(self, model, step):
        pass

    def log(self, step, losses):
        pass

    def end(self):
        pass


def fetches(models, folder, steps, monkeypatch):
    """How often a run of so many steps, with one log, fetches a value."""
    count, fetch = [0], ops._EagerTensorBase._numpy

    def counted(self):
        count[0] += 1
        return fetch(self)

    every = loop.LoopSettings(log_every=steps, save_every=steps)
    with monkeypatch.context() as patch:
        patch.setattr(ops._EagerTensorBase, "_numpy", counted)
        phase = phase_of(models, folder, "stage 1", steps)
        loop.run(phase, strategies.one(), every, Mute())
    return count[0]


def test_steps_between_logs_fetch_nothing(models, tmp_path, monkeypatch):
    few = fetches(models, tmp_path / "few", 2, monkeypatch)
    many = fetches(models, tmp_path / "many", 9, monkeypatch)
    assert few == many > 0
