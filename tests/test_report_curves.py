"""Event files of killed and resumed runs; bins and axes of the drawings."""

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf.report import curves, events
from histogan_tf.report.facts import Curve


def test_newest_value_of_a_step_wins():
    points = [
        (1.0, 10, 1.0), (2.0, 20, 2.0), (3.0, 30, 3.0),
        (5.0, 20, 2.5), (4.0, 20, 9.0), (6.0, 40, float("nan")),
    ]  # fmt: skip
    assert events.newest(points) == Curve((10, 20, 30), (1.0, 2.5, 3.0))


def test_a_resumed_run_rewrites_its_steps(tmp_path):
    for run, steps in enumerate([(10, 20, 30), (20, 30)]):
        # Two files whose names sort the other way round than their times.
        writer = tf.summary.create_file_writer(
            str(tmp_path), filename_suffix=f".{run}"
        )
        with writer.as_default():
            for step in steps:
                tf.summary.scalar("loss/a", run + step / 100, step)
            tf.summary.image("grid", np.zeros((1, 4, 4, 3)), step=1)
            tf.summary.text("settings", "x", step=1)
        writer.close()
    files = sorted(tmp_path.iterdir())
    files[0].rename(tmp_path / "events.out.tfevents.9")
    files[1].rename(tmp_path / "events.out.tfevents.1")
    found = events.read(tmp_path)
    assert list(found) == ["loss/a"]
    assert found["loss/a"].steps == (10, 20, 30)
    assert np.allclose(found["loss/a"].values, (0.1, 1.2, 1.3))


def test_a_cut_event_file_keeps_what_is_whole(tmp_path):
    writer = tf.summary.create_file_writer(str(tmp_path))
    with writer.as_default():
        for step in (1, 2):
            tf.summary.scalar("loss/a", 0.5, step)
    writer.close()
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-5])
    assert events.read(tmp_path)["loss/a"] == Curve((1,), (0.5,))


def test_no_events(tmp_path):
    assert events.read(tmp_path / "none") == {}


def test_bins_hold_mean_and_extremes():
    curve = Curve((1, 2, 3, 4), (1.0, 3.0, 10.0, 20.0))
    found = curves.bins(curve, 2)
    assert found.tolist() == [[1.5, 3.5], [2, 15], [1, 10], [3, 20]]
    assert curves.bins(curve)[1].tolist() == list(curve.values)


def test_axis_ends_below_a_lonely_peak():
    flat = (1.0,) * 299
    assert curves.top([Curve(tuple(range(299)), flat)]) is None
    peak = Curve(tuple(range(300)), (*flat, 22.0))
    assert curves.top([peak]) == pytest.approx(1.1)
