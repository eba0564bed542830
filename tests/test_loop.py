"""The training loop, with a model of one number."""

import pathlib
import resource
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf.errors import InputError
from trainer import loop, strategies

STEPS = 6


class Line(tf.keras.Model):
    """Learns x -> weight * x by hand-made steps of 0.1."""

    term_names = ("fit/a", "fit/b")

    def __init__(self, size=1):
        super().__init__()
        self.weight = tf.Variable(tf.random.uniform([size]))
        self.traces = 0

    def train_step(self, batch):
        self.traces += 1
        loss = tf.reduce_sum(batch["x"])
        self.weight.assign_add(tf.ones_like(self.weight) * 0.1 * loss)
        return {"fit/a": loss, "fit/b": 2.0 * loss}


class Notes:
    """A watcher that writes down what it is told."""

    def begin(self, model, step):
        self.model, self.started = model, step
        self.logs, self.ended = [], False

    def log(self, step, losses):
        self.logs.append((step, losses))

    def end(self):
        self.ended = True


def make_phase(folder, values=range(1, STEPS + 1), steps=STEPS, build=Line):
    def batches(start, rows):
        x = np.array(list(values)[start:], np.float32)
        return tf.data.Dataset.from_tensor_slices({"x": x}).batch(1)

    return loop.Phase("line", folder, steps, 1, build, batches)


def train(phase, log_every=2, save_every=2, keep=2):
    notes = Notes()
    every = loop.LoopSettings(log_every, save_every, keep)
    loop.run(phase, strategies.one(), every, notes)
    return notes


def saved(folder):
    """Steps of the checkpoints on disk."""
    return sorted(
        int(path.stem.split("-")[1])
        for path in (folder / "checkpoints").glob("ckpt-*.index")
    )


def stored_weight(folder):
    path = tf.train.latest_checkpoint(str(folder / "checkpoints"))
    name = "model/weight/.ATTRIBUTES/VARIABLE_VALUE"
    return tf.train.load_checkpoint(path).get_tensor(name)


def test_logs_are_means_and_checkpoints_are_kept(tmp_path):
    phase = make_phase(tmp_path)
    assert not loop.is_complete(phase)
    notes = train(phase, log_every=4)
    assert notes.started == 0 and notes.ended
    # Means over steps 1..4 and 5..6 of 1, 2, 3, ...
    assert notes.logs == [
        (4, {"fit/a": 2.5, "fit/b": 5.0}),
        (6, {"fit/a": 5.5, "fit/b": 11.0}),
    ]
    assert notes.model.traces == 1
    assert saved(tmp_path) == [4, 6]
    assert loop.is_complete(phase)


def test_a_step_by_xla_learns_the_same(tmp_path):
    import strategy_models as small

    def build():
        lessons = small.some_lessons[:1]
        rates = small.config.optimizer
        return small.SegmenterModel(small.alone, rates, 2, lessons)

    found = {}
    for jit in (False, True):
        kept = small.train(
            build,
            strategies.one(),
            tmp_path / str(jit),
            loop.LoopSettings(jit_compile=jit),
        )
        found[jit] = [v.numpy() for v in kept.model.variables]
    for plain, by_xla in zip(*found.values(), strict=True):
        np.testing.assert_allclose(plain, by_xla, atol=1e-5)
    # Not the same function twice: XLA rounds in its own way.
    assert any((a != b).any() for a, b in zip(*found.values(), strict=True))


def test_a_complete_phase_is_left_alone(tmp_path):
    train(make_phase(tmp_path))
    before = stored_weight(tmp_path)
    notes = train(make_phase(tmp_path, values=[]))
    assert not hasattr(notes, "started")
    np.testing.assert_array_equal(before, stored_weight(tmp_path))


def test_resumes_at_the_newest_checkpoint(tmp_path):
    whole = train(make_phase(tmp_path / "whole"))
    # The pipeline breaks at step 6, after the checkpoint of step 4.
    with pytest.raises(StopIteration):
        train(make_phase(tmp_path / "part", values=range(1, 6)))
    assert saved(tmp_path / "part") == [2, 4]
    # First weights depend on the phase's seed, not on draws before it.
    tf.random.uniform([3])
    again = train(make_phase(tmp_path / "part"))
    assert again.started == 4
    assert again.logs == [(6, {"fit/a": 5.5, "fit/b": 11.0})]
    np.testing.assert_array_equal(
        again.model.weight.numpy(), whole.model.weight.numpy()
    )


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    train(make_phase(tmp_path, steps=2))
    wider = make_phase(tmp_path, build=lambda: Line(2))
    with pytest.raises(InputError, match="other networks") as error:
        train(wider)
    text = str(error.value)
    assert text.startswith(f"{tmp_path}/checkpoints/ckpt-2: ")
    assert "\n" not in text


@pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
def test_a_damaged_checkpoint_is_named(tmp_path, part):
    train(make_phase(tmp_path, steps=2))
    path = tmp_path / "checkpoints" / f"ckpt-2.{part}"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="ckpt-2: damaged or not whole"):
        train(make_phase(tmp_path))


def test_what_is_shown_last_is_what_is_saved(tmp_path):
    """The last look comes after the phase has finished its model."""
    seen = []

    def finish(model):
        seen.append("finish")
        model.weight.assign([7.0])

    class Look(Notes):
        def log(self, step, losses):
            seen.append((step, float(self.model.weight[0])))

    phase = replace(make_phase(tmp_path, steps=2), finish=finish)
    loop.run(phase, strategies.one(), loop.LoopSettings(2, 2, 2), Look())
    assert seen == ["finish", (2, 7.0)]
    np.testing.assert_allclose(stored_weight(tmp_path), [7.0])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_loss_stops_and_keeps_the_last_checkpoint(tmp_path, bad):
    values = [1, 2, 3, bad, 5, 6]
    with pytest.raises(InputError) as error:
        train(make_phase(tmp_path, values), log_every=6, save_every=3)
    text = str(error.value)
    assert "phase line: loss fit/a is not finite at step 4" in text
    assert "\n" not in text and "last good checkpoint" in text
    assert saved(tmp_path) == [3]
    assert np.isfinite(stored_weight(tmp_path)).all()


def test_the_first_bad_loss_is_the_one_named():
    totals = loop.Totals(("a", "b"))
    for step, b in enumerate([1.0, np.nan, 3.0], start=7):
        totals.add(
            tf.constant([np.nan if step > 8 else 1.0, b]),
            tf.constant(step, tf.int64),
        )
    with pytest.raises(InputError, match="loss b is not finite at step 8"):
        totals.check("x")


class Spoiled(Line):
    """Its loss stays finite, its weight does not."""

    def train_step(self, batch):
        terms = super().train_step(batch)
        self.weight.assign(self.weight / (3.0 - batch["x"]))
        return terms


def test_a_bad_weight_is_never_saved(tmp_path):
    with pytest.raises(InputError, match=r"weight .* not finite at step 4"):
        train(make_phase(tmp_path, build=Spoiled))
    assert saved(tmp_path) == [2]


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path):
    size = 100_000

    def build():
        return Line(size)

    with pytest.raises(StopIteration):
        train(make_phase(tmp_path, [1, 2], build=build))
    before = stored_weight(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        with pytest.raises(InputError) as error:
            train(make_phase(tmp_path, build=build))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    text = str(error.value)
    assert "checkpoints: cannot write the checkpoint of step 4" in text
    assert "\n" not in text
    np.testing.assert_array_equal(before, stored_weight(tmp_path))
    assert saved(tmp_path) == [2]
    assert not list((tmp_path / "checkpoints").glob("*temp*"))
    assert train(make_phase(tmp_path, build=build)).started == 2


def test_leftovers_of_a_killed_write_are_removed(tmp_path):
    folder = pathlib.Path(tmp_path / "checkpoints")
    (folder / "ckpt-2_temp").mkdir(parents=True)
    (folder / "ckpt-2_temp" / "part-00000-of-00001.index").write_bytes(b"x")
    (folder / "checkpoint.tmp1234").write_bytes(b"x")
    train(make_phase(tmp_path))
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoint",
        *(
            f"ckpt-{step}.{kind}"
            for step in (4, 6)
            for kind in ("data-00000-of-00001", "index")
        ),
    ]
