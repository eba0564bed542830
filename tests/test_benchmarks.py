"""The benchmarks' own arithmetic, by hand; their scores on a random run."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from small_training import small_config

from benchmarks import (
    fidelity_methods,
    fidelity_scores,
    fidelity_table,
    input_pipeline,
    machine,
    runs,
    timed_training,
)
from benchmarks.fidelity_table import Line
from benchmarks.fidelity_training import (
    Settings,
    steps_file,
    times_file,
    train_pyramid,
)
from benchmarks.timed_training import Speed
from histogan_tf import presets, run_dir
from histogan_tf.data import ingest, manifest, phantom
from histogan_tf.data.ingest_settings import IngestSettings
from histogan_tf.errors import InputError
from trainer.loop import Phase
from trainer.training_data import TrainingData


class Counting(tf.keras.Model):
    """A model of one weight that grows by 1 a step."""

    term_names = ("critic/loss",)

    def __init__(self):
        super().__init__()
        self.weight = tf.Variable(0.0)

    def train_step(self, batch):
        self.weight.assign_add(1.0)
        return {"critic/loss": tf.reduce_mean(batch)}


def counting_phase(folder: pathlib.Path, steps: int) -> Phase:
    numbers = tf.data.Dataset.from_tensors(tf.ones([2])).repeat()
    return Phase("stages/0", folder, steps, 2, Counting, lambda *_: numbers)


def test_one_stage_has_every_level_at_its_widest():
    config = presets.demo()
    stage = fidelity_methods.one_stage(config, 7).stages[0]
    # 2.5 um/px only stage 2; 5: stages 2, 1; 10: 1, 0; 20 and 40: stage 0.
    two, one, zero = (s.generator.widths for s in config.stages[::-1])
    assert stage.generator.widths == (
        two[0],
        max(two[1], one[0]),
        max(one[1], zero[0]),
        zero[1],
        zero[2],
    )
    assert stage.crop == config.stages[-1].crop
    assert stage.steps == 7
    assert stage.reconstruction == config.stages[0].reconstruction


def test_mean_colours_by_hand():
    image = np.array([[[200, 0, 0], [100, 40, 0]]], np.uint8)
    labels = np.array([[[255, 0], [51, 204]]], np.uint8)
    colours = fidelity_methods.class_colours([(image, labels)])
    first = (200 + 0.2 * 100) / 1.2, 0.2 * 40 / 1.2, 0
    np.testing.assert_allclose(colours, [first, (100, 40, 0)], atol=1e-9)


def test_fill_blends_and_takes_ignored_for_class_0():
    colours = np.array([[100.0, 0, 0], [0, 200.0, 0]])
    labels = np.array([[[255, 0], [51, 204], [0, 0]]], np.uint8)
    filled = fidelity_methods.fill(labels, colours)
    assert filled.tolist() == [[[100, 0, 0], [20, 160, 0], [100, 0, 0]]]


def test_averages_are_coarsest_first():
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    coarse, fine = fidelity_methods.averages(image, 2)
    np.testing.assert_array_equal(fine, image)
    assert coarse[0, 0].tolist() == [8, 8, 10]  # 7.5, 8.5, 9.5 to even


def test_steps_in_a_time():
    assert Speed(start=4.0, step=0.5).steps_in(10.0) == 12
    assert Speed(start=40.0, step=0.5).steps_in(10.0) == 1


def test_seconds_add_up_over_a_resume(tmp_path):
    times = tmp_path / "run.seconds.json"
    # A run that was killed after step 90; its newest checkpoint is of 50.
    timed_training.train(counting_phase(tmp_path / "p", 50), times, 0)
    first = timed_training.seconds(times)["stages/0"]
    stored = {"stages/0": [[50, first + 100.0], [90, 999.0]]}
    machine.write_json(times, stored)
    timed_training.train(counting_phase(tmp_path / "p", 100), times, 0)
    marks = machine.read_json(times)["stages/0"]
    assert [mark[0] for mark in marks] == [50, 100]
    assert 100.0 < marks[-1][1] < 200.0
    # A complete phase is left alone.
    timed_training.train(counting_phase(tmp_path / "p", 100), times, 0)
    assert machine.read_json(times)["stages/0"] == marks


def test_speed_is_measured_after_the_warm_up(tmp_path):
    found = timed_training.speed(counting_phase(tmp_path / "p", 5), 2, 4)
    assert found.step > 0
    assert found.start >= 0
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize(
    ("value", "at_least", "verdict"),
    [
        (0.85, True, "PASS"),
        (0.849, True, "MISS"),
        (0.85, False, "PASS"),
        (0.851, False, "MISS"),
        (None, False, "MISS"),
    ],
)
def test_verdicts(value, at_least, verdict):
    line = Line("x", {"pyramid": value}, 0.85, at_least)
    assert line.verdict("pyramid") == verdict


def test_a_damaged_file_of_figures_is_named(tmp_path):
    path = tmp_path / "seconds.json"
    path.write_text("{")
    with pytest.raises(InputError, match=r"seconds\.json"):
        machine.read_json(path)


@pytest.fixture(scope="module")
def source(random_run, phantom_files, tmp_path_factory) -> TrainingData:
    """A random run, two training and three test tiles."""
    folder = tmp_path_factory.mktemp("benchmark") / "records"
    data = ingest.ingest(
        IngestSettings(
            images=str(phantom_files / "images" / "tile_[01]*"),
            masks=str(phantom_files / "masks" / "tile_[01]*"),
            test_images=str(phantom_files / "images" / "tile_[234]*"),
            test_masks=str(phantom_files / "masks" / "tile_[234]*"),
            classes=str(phantom.CLASSES_FILE),
            output=str(folder),
            mpp=2.5,
            validation=0.0,
        )
    )
    run = run_dir.open_run(random_run)
    return TrainingData(run.config(), data, run)


def test_scores_table_and_chart(source, tmp_path, monkeypatch):
    monkeypatch.setattr(fidelity_scores, "SPLITS", 1)
    settings = Settings(tmp_path, tmp_path, tmp_path / "fidelity.json")
    found = fidelity_scores.score(settings, source, source)
    rows = fidelity_table.lines(found)
    methods = list(found["methods"])
    assert methods == ["pyramid", "one stage", "mean colour"]
    # Both stages are small enough for one and two levels, each measured with
    # both normalisations; and two rows of Dice.
    levels = [
        len(row["floor"])
        for row in found["methods"]["pyramid"]["sliced_wasserstein"]["karras"]
    ]
    assert len(rows) == 2 + 2 * sum(levels)
    for name in methods:
        for row in found["methods"][name]["sliced_wasserstein"]["karras"]:
            pairs = zip(row["distances"], row["floor"], strict=True)
            np.testing.assert_allclose(row["ratio"], [a / b for a, b in pairs])
    text = fidelity_table.table(rows)
    assert text.count("PASS") + text.count("MISS") == len(rows)
    assert json.loads((tmp_path / "scores.json").read_text()) == found
    assert (tmp_path / fidelity_scores.SHEET).exists()
    fidelity_table.chart(tmp_path / "chart.png", rows)
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
    # The second time nothing is painted: no file of the run is looked at.
    again = fidelity_scores.score(settings, source, source)
    assert again == found


def test_files_stand_beside_the_runs(source, tmp_path):
    settings = Settings(tmp_path, tmp_path / "out", tmp_path / "f.json")
    root = source.run.root
    assert times_file(source) == root.parent / "random.seconds.json"
    assert steps_file(settings).parent == tmp_path / "out"


def test_pipeline_table_and_chart(tmp_path):
    row = {
        "stage": 0,
        "mpp": 5.0,
        "crop": 8,
        "batch": 4,
        "pipeline_images_per_second": 30.0,
        "train_step_images_per_second": 10.0,
        "ratio": 3.0,
    }
    text = input_pipeline.table([row, row | {"ratio": 2.9}]).splitlines()
    assert text[1].endswith("PASS")
    assert text[2].endswith("MISS")
    input_pipeline.chart(tmp_path / "a.png", [row])
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_pipeline_and_step_are_measured_apart(tmp_path):
    phase = counting_phase(tmp_path / "p", 5)
    speed, batch = input_pipeline.pipeline_speed(phase, 4, 0.05)
    assert speed > 0
    assert input_pipeline.step_speed(phase, batch, 2) > 0


def test_batches_are_lowered_to_the_limit():
    found = input_pipeline.wanted_config("tiny", "bfloat16", 3)
    assert found.precision == "bfloat16"
    (coarse, fine), known = found.stages, presets.tiny().stages
    assert coarse == dataclasses.replace(known[0], batch=3)
    assert fine == known[1] and fine.batch == 2


def test_every_stages_pipeline_is_measured_from_records(tmp_path):
    folder = input_pipeline.phantom_records(tmp_path / "p", 1, 128)
    config = dataclasses.replace(small_config(2), precision="float32")
    data = manifest.load(folder)
    source = runs.opened(tmp_path / "run", config, data)
    rows = input_pipeline.measure(source, 0.05, 1)
    assert [row["stage"] for row in rows] == [*range(len(config.stages))]
    for row in rows:
        assert row["batch"] == 2
        assert row["ratio"] == pytest.approx(
            row["pipeline_images_per_second"]
            / row["train_step_images_per_second"],
            rel=0.05,
        )


def test_a_pyramid_trains_for_minutes(tmp_path):
    folder = input_pipeline.phantom_records(tmp_path / "p", 1, 128)
    settings = Settings(
        tmp_path, tmp_path, tmp_path / "f.json", preset="tiny", minutes=1e-3
    )
    source = train_pyramid(settings, small_config(), manifest.load(folder))
    known = json.loads((tmp_path / "speed.json").read_text())
    # Less time than tracing takes: a step.
    assert known["minutes"] == 1e-3 and known["scale_steps"] == 0.0
    assert known["stages/0"]["step"] > 0
    assert [stage.steps for stage in source.config.stages] == [1]
    assert "stages/0" in json.loads(times_file(source).read_text())


def test_phantom_records_are_made_once(tmp_path):
    folder = input_pipeline.phantom_records(tmp_path, painted=1, side=64)
    train = manifest.load(folder).split("train")
    assert len(train.labelled.images) == len(train.unlabelled.images) == 2
    written = (folder / "manifest.json").stat().st_mtime_ns
    assert input_pipeline.phantom_records(tmp_path, 1, 64) == folder
    assert (folder / "manifest.json").stat().st_mtime_ns == written
