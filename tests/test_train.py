"""trainer.train: bad input; what a run must not be continued with."""

import json
import shutil
from dataclasses import replace

import pytest
from programs import run_program
from small_training import ingest_small, small_config, write_config
from test_loop import Notes, make_phase

from histogan_tf import presets, run_dir
from histogan_tf.data import classes


@pytest.fixture(scope="module")
def records(phantom_files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("train") / "records"
    ingest_small(phantom_files, folder)
    return folder


@pytest.fixture
def train(records, tmp_path, capsys, monkeypatch):
    from tensorflow.python.framework import config as framework

    def run(**changes):
        values = {
            "data": records,
            "run_dir": tmp_path / "run",
            "preset": "tiny",
            "precision": "float32",
        }
        values |= changes
        return run_program("trainer.train", capsys, monkeypatch, **values)

    yield run
    framework.disable_op_determinism()


def refused(result, *parts):
    code, out, err = result
    lines = err.splitlines()
    assert (code, out, len(lines)) == (2, "", 1), err
    assert lines[0].startswith("error: ")
    for part in parts:
        assert part in lines[0]


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"preset": "huge"}, ["--preset=huge", "base|demo|large|tiny"]),
        (
            {"strategy": "many"},
            ["--strategy=many", "one|mirrored|multi_worker"],
        ),
        ({"precision": "half"}, ["auto|float32|bfloat16"]),
        ({"save_every": 0}, ["--save_every=0"]),
        ({"strategy": "multi_worker"}, ["TF_CONFIG: not set"]),
        (
            {"strategy": "mirrored", "jit_compile": True},
            ["--jit_compile with --strategy=mirrored", "--strategy=one"],
        ),
        (
            {"stages": "0,2"},
            ["--stages: no stage '2'", "0 (the coarsest) to 1"],
        ),
        ({"set": "stages.0.stepps=3"}, ["stages.0.stepps", "steps"]),
        ({"set": "stages.0.steps=-3"}, ["StageConfig.steps: -3", "use 1 to"]),
        ({"set": "stages.1.crop=96"}, ["px at 5.0 um/px", "crop of 96"]),
        ({"set": "finest_mpp=2"}, ["2.5 um/px is coarser", "finest_mpp"]),
        ({"data": "/no/such"}, ["/no/such"]),
        ({"config": "/no/such.json"}, ["--config /no/such.json: No such"]),
    ],
)
def test_bad_flags_and_data(train, tmp_path, changes, parts):
    refused(train(**changes), *parts)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('{"optimiser": {}}', ["unknown key 'optimiser'", "optimizer"]),
        ('{"augment": {"flip": true}}', ["'augment.flip'", "flips"]),
        ('{"augment": {"flips": 3}}', ["augment.flips: 3", "bool"]),
        ("[1]", ["[1] is not an object"]),
        ("{", ["not JSON"]),
        ('\ufeff{"nets": 1}', ["nets"]),  # a byte order mark is none of it
    ],
)
def test_bad_config_files(train, tmp_path, text, parts):
    path = tmp_path / "config.json"
    path.write_text(text)
    refused(train(config=path), str(path), *parts)


def make_run(folder, records, config, table=None):
    known = json.loads((records / "manifest.json").read_text())
    table = table or classes.load(records / "classes.json")
    data = {"hash": known["hash"], "styles": []}
    return run_dir.create_run(folder, config, table, data)


def test_a_run_of_another_config(train, records, tmp_path):
    config = small_config()
    make_run(tmp_path / "run", records, replace(config, seed=3))
    path = write_config(tmp_path / "config.json", config)
    refused(
        train(config=path),
        "run/config.json: the run has another",
        "seed: 3 -> 0",
    )


def test_a_run_of_other_classes(train, records, tmp_path):
    config = small_config()
    known = classes.load(records / "classes.json")
    table = replace(
        known,
        classes=(*known.classes[:2], replace(known.classes[2], name="mucus")),
    )
    make_run(tmp_path / "run", records, config, table)
    path = write_config(tmp_path / "config.json", config)
    refused(
        train(config=path),
        "run/classes.json: the run has other classes",
        "stroma, epithelium, mucus there",
        "stroma, epithelium, lumen in --data",
    )


def test_a_run_of_other_records(train, records, tmp_path):
    config = small_config()
    run = make_run(tmp_path / "run", records, config)
    run.write_json(run.data_path, {"hash": "f" * 64})
    path = write_config(tmp_path / "config.json", config)
    refused(train(config=path), "other records: hash ffffffffffff there")


@pytest.mark.parametrize("verify", [True, False])
def test_records_that_changed_since_ingest(train, records, tmp_path, verify):
    copy = tmp_path / "records"
    shutil.copytree(records, copy)
    shard = next(copy.rglob("train-labelled*.tfrecord"))
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    # Else the first pass, for the styles, comes upon it.
    refused(train(data=copy, verify_data=verify), str(shard), "SHA-256 is ")
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_config_file_changes_single_fields_of_the_preset(
    train, records, tmp_path
):
    # The run differs from preset and file together in the seed alone.
    augment = replace(presets.tiny().augment, flips=False)
    config = replace(presets.tiny(), augment=augment, seed=3)
    make_run(tmp_path / "run", records, config)
    path = tmp_path / "config.json"
    path.write_text('{"augment": {"flips": false}}')
    refused(train(config=path), "another config: seed: 3 -> 0")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_auto_precision_is_that_of_the_run(train, records, tmp_path, precision):
    # The run differs in the seed alone, whatever this machine can do.
    config = replace(presets.tiny(), precision=precision, seed=3)
    make_run(tmp_path / "run", records, config)
    refused(train(precision="auto"), "another config: seed: 3 -> 0")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_auto_precision_is_that_of_the_config_file(
    train, records, tmp_path, precision
):
    config = replace(presets.tiny(), precision=precision, seed=3)
    make_run(tmp_path / "run", records, config)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"precision": precision}))
    found = train(config=path, precision="auto")
    refused(found, "another config: seed: 3 -> 0")


def test_a_bad_loss_ends_the_program(train, records, tmp_path, monkeypatch):
    from trainer import loop, phases, watching

    config = small_config()
    run = make_run(tmp_path / "run", records, config)
    folder = run.phase("stages/0")
    values = [1, 2, float("nan"), 4]
    phase = replace(make_phase(folder, values, 4), name="stages/0")
    monkeypatch.setattr(phases, "phases", lambda source, tell: [phase])
    monkeypatch.setattr(watching, "Watch", lambda *_: Notes())
    path = write_config(tmp_path / "config.json", config)
    code, out, err = train(config=path, save_every=2)
    told, last = err.splitlines()
    assert told.startswith("trains on ") and told.endswith(", float32")
    text = "phase stages/0: loss fit/a is not finite at step 3"
    refused((code, out, last), text)
    assert run_dir.latest_checkpoint(run, "stages/0").endswith("ckpt-2")
    assert not loop.is_complete(phase)
