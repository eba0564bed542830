"""The run directory: made once, reopened by the same settings and data only."""

import json

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf import config_json, presets, run_dir
from histogan_tf.data import classes, phantom
from histogan_tf.errors import InputError
from histogan_tf.models.segmenter import Segmenter

DATA = {"hash": "a" * 64, "styles": []}


@pytest.fixture(scope="module")
def table():
    return classes.load(phantom.CLASSES_FILE)


@pytest.fixture
def run(tmp_path, table):
    return run_dir.create_run(tmp_path / "run", presets.tiny(), table, DATA)


def changed(*assignments):
    return config_json.override(presets.tiny(), list(assignments))


def one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_new_run_holds_what_it_was_given(run, table):
    assert run.config() == presets.tiny()
    assert run.classes() == table
    assert run.read_json(run.data_path) == DATA
    names = {p.name for p in run.root.iterdir()}
    assert names == {"config.json", "classes.json", "data.json"}


def test_paths(tmp_path):
    run = run_dir.RunDir(tmp_path)
    assert run.phase(run_dir.stage_name(2)) == tmp_path / "stages" / "2"
    names = run_dir.stage_names(presets.base())
    assert names == ["stages/0", "stages/1", "stages/2", "stages/3"]
    assert run.phase("judge") == tmp_path / "judge"
    assert run.metrics_path == tmp_path / "metrics.json"
    assert run.report_path == tmp_path / "report.html"
    assert run.samples == tmp_path / "samples"
    assert run.command_path == tmp_path / "command.txt"
    assert not list(tmp_path.iterdir())


def test_the_same_settings_reopen_it(run, table):
    before = {p: p.stat().st_mtime_ns for p in run.root.iterdir()}
    again = run_dir.create_run(run.root, presets.tiny(), table, DATA)
    assert again == run == run_dir.open_run(str(run.root))
    assert {p: p.stat().st_mtime_ns for p in run.root.iterdir()} == before


@pytest.mark.parametrize(
    "assignment, field",
    [
        ("seed=5", "seed: 0 -> 5"),
        ("stages.1.critic.widths.0=7", "stages.1.critic.widths.0: 6 -> 7"),
        ("optimizer.ema=0.5", "optimizer.ema: 0.995 -> 0.5"),
    ],
)
def test_another_config_is_refused_by_field(run, table, assignment, field):
    with pytest.raises(InputError) as error:
        run_dir.create_run(run.root, changed(assignment), table, DATA)
    message = one_line(error)
    assert message.startswith(f"{run.config_path}: ")
    assert field in message
    assert run.config() == presets.tiny()


def test_other_classes_are_refused(run, table):
    fewer = classes.ClassTable(table.classes[:2], table.ignore)
    with pytest.raises(InputError, match="other classes") as error:
        run_dir.create_run(run.root, presets.tiny(), fewer, DATA)
    assert one_line(error).startswith(f"{run.classes_path}: ")


def test_other_records_are_refused(run, table):
    other = {"hash": "b" * 64}
    with pytest.raises(InputError) as error:
        run_dir.create_run(run.root, presets.tiny(), table, other)
    message = one_line(error)
    assert message.startswith(f"{run.data_path}: ")
    assert "a" * 12 in message and "b" * 12 in message


def test_no_run_there(tmp_path):
    with pytest.raises(InputError, match=r"is .* a run directory"):
        run_dir.open_run(tmp_path / "nothing")


@pytest.mark.parametrize("text", ["", "{", '{"seed": ', "\x00"])
def test_damaged_settings(run, table, text):
    run.config_path.write_text(text)
    for call in (
        lambda: run_dir.open_run(run.root),
        lambda: run_dir.create_run(run.root, presets.tiny(), table, DATA),
    ):
        with pytest.raises(InputError) as error:
            call()
        assert one_line(error).startswith(f"{run.config_path}: damaged")


def test_settings_that_are_no_settings(run):
    run.config_path.write_text('{"sede": 1}')
    with pytest.raises(InputError, match="unknown key 'sede'"):
        run_dir.open_run(run.root)


def test_bytes_that_are_no_text(run):
    run.config_path.write_bytes(b"\xff\xfe\x80")
    with pytest.raises(InputError, match="damaged"):
        run_dir.open_run(run.root)


@pytest.mark.parametrize("text", ["[]", "{}", '"x"', '{"hash": 3}'])
def test_data_without_a_hash_is_damaged(run, table, text):
    run.data_path.write_text(text)
    with pytest.raises(InputError) as error:
        run_dir.create_run(run.root, presets.tiny(), table, DATA)
    assert one_line(error).startswith(f"{run.data_path}: ")


def test_a_creation_cut_short_is_no_run_and_can_be_repeated(
    tmp_path, table, monkeypatch
):
    real, folder = run_dir.atomic_write, tmp_path / "run"

    def full_disk(path, data):
        if path.name == "config.json":
            raise OSError(28, "No space left on device")
        real(path, data)

    monkeypatch.setattr(run_dir, "atomic_write", full_disk)
    with pytest.raises(OSError, match="No space"):
        run_dir.create_run(folder, presets.tiny(), table, DATA)
    with pytest.raises(InputError):
        run_dir.open_run(folder)
    monkeypatch.undo()
    other = {"hash": "c" * 64}
    run = run_dir.create_run(folder, presets.tiny(), table, other)
    assert run.read_json(run.data_path) == other


def test_json_is_written_whole(run):
    path = run.root / "deep" / "er" / "x.json"
    run.write_json(path, {"a": [1, 2.5, "ü"]})
    assert json.loads(path.read_text()) == {"a": [1, 2.5, "ü"]}
    assert [p.name for p in path.parent.iterdir()] == ["x.json"]


def test_a_phase_without_checkpoint(run):
    with pytest.raises(InputError, match="no checkpoint") as error:
        run_dir.latest_checkpoint(run, "stages/0")
    assert str(run.phase("stages/0")) in one_line(error)
    with pytest.raises(InputError, match="no checkpoint"):
        run_dir.load_pyramid(run)


def test_networks_come_back_with_their_averaged_weights(random_run):
    run = run_dir.open_run(random_run)
    path = run_dir.latest_checkpoint(run, "judge")
    reader = tf.train.load_checkpoint(path)
    network = run_dir.load_segmenter(run, "judge")
    stored = {
        name.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE"): name
        for name in reader.get_variable_to_shape_map()
        if name.startswith("model/average_segmenter/")
    }
    name = stored["model/average_segmenter/last/kernel"]
    np.testing.assert_array_equal(network.last.kernel, reader.get_tensor(name))


def test_checkpoints_of_other_networks_are_refused(run, table):
    settings = presets.tiny().judge
    network = Segmenter(settings.network, table.count, settings.patch)
    network.make_variables()
    wider = Segmenter(settings.network, table.count + 1, settings.patch)
    wider.make_variables()
    # As those of the time before batch norm: a layer is not there at all.
    short = tf.train.Checkpoint(first=network.first)
    path = run.phase("judge") / "checkpoints" / "ckpt-1"
    for stored in (wider, short):
        holder = tf.train.Checkpoint(average_segmenter=stored)
        tf.train.Checkpoint(model=holder).write(str(path))
        index = f'model_checkpoint_path: "{path.name}"'
        (path.parent / "checkpoint").write_text(index)
        with pytest.raises(InputError, match="other networks") as error:
            run_dir.load_segmenter(run, "judge")
        assert one_line(error).startswith(f"{path}: ")
