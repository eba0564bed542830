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
    look = watching.Look(
        Tiles(data, 1), ("a", "b"), palette, every, "", phase.folder
    )
    shown = bars.Bars([phase], Console(file=io.StringIO()))
    return watching.Watch(phase, look, shown)


class Counts:
    """Traces of each run's step; values fetched before each of its steps."""

    def __init__(self, monkeypatch):
        self.made, self.fetched, self.total = [], [], 0
        self._make, self._fetch = loop.make_advance, ops._EagerTensorBase._numpy
        monkeypatch.setattr(loop, "make_advance", self.make_advance)
        monkeypatch.setattr(
            ops._EagerTensorBase, "_numpy", lambda tensor: self.fetch(tensor)
        )

    def make_advance(self, *args):
        advance = self._make(*args)
        self.made.append(advance)
        self.fetched.append([])

        def noted(batch):
            self.fetched[-1].append(self.total)
            advance(batch)

        return noted

    def fetch(self, tensor):
        self.total += 1
        return self._fetch(tensor)


@pytest.mark.parametrize("name", ["stage 1", "segmenter"])
def test_one_trace_a_phase_and_no_fetch_between_logs(
    models, tmp_path, monkeypatch, name
):
    counts = Counts(monkeypatch)
    # Curves, pictures and checkpoints come between the steps.
    for steps, log_every, save_every in ((4, 1, 2), (12, 6, 6)):
        phase = phase_of(models, tmp_path, name, steps)
        every = loop.LoopSettings(log_every=log_every, save_every=save_every)
        loop.run(phase, strategies.one(), every, watch_of(phase, 2))
    # The second process of a phase, which resumes, traces once again.
    traces = [f.experimental_get_tracing_count() for f in counts.made]
    assert traces == [1, 1]
    first, second = (np.diff(fetched) for fetched in counts.fetched)
    # A log follows each step of the first run, and of the second's, 5 to 12,
    # the sixth and the last; the fifth is traced.
    assert len(first) == 3 and (first > 0).all()
    assert second[1] > 0 and second[2:].tolist() == [0] * 5
