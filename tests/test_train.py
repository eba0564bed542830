"""trainer.train: bad input, and runs that are killed and go on."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from programs import run_program
from small_training import ingest_small, small_config, write_config
from test_loop import Notes, make_phase

from histogan_tf import presets, run_dir
from histogan_tf.data import classes

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Starts programs in copies of one process, which has loaded TensorFlow but
# has not used it yet. A copy kills itself at a moment of its own.
SCRIPT = '''
import os, signal, sys

import tensorflow as tf
from tensorflow.python.ops import gen_io_ops

from histogan_tf import files
from histogan_tf.models.segmenter_model import SegmenterModel
from histogan_tf.models.stage import StageModel
from histogan_tf import program
from trainer import bars, loop, phases, strategies, train, watching

data, config, whole, killed = sys.argv[1:]


def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)


def while_creating():
    """Before the third file of the run gets its name."""
    replace, calls = os.replace, []
    def counted(*args):
        calls.append(args)
        return die() if len(calls) == 3 else replace(*args)
    files.os.replace = counted


def while_saving():
    """Parts of the checkpoint are written, none has its name."""
    gen_io_ops.merge_v2_checkpoints = die


def before_recording():
    """The checkpoint's files are whole, but not yet the newest by name."""
    tf.train.CheckpointManager._record_state = die


def taught(model):
    """Whether it is the last segmenter, not the judge."""
    return isinstance(model, SegmenterModel) and model.settings.pseudo_labels


def after(wanted_model, wanted):
    """When the phase of that model has done some steps."""
    make = loop.make_advance
    def made(model, strategy, totals, step, *more):
        advance = make(model, strategy, totals, step, *more)
        def counted(batch):
            advance(batch)
            if wanted_model(model) and int(step.numpy()) == wanted:
                die()
        return counted
    loop.make_advance = made


def copy(run, prepare):
    """Runs the program in a copy of this process; returns its id."""
    child = os.fork()
    if child:
        return child
    prepare()
    sys.argv = ["train", f"--data={data}", f"--run_dir={run}",
                f"--config={config}", "--precision=float32", "--save_every=2",
                "--log_every=1"]
    program.run(train.main)


def state(child, run):
    _, status = os.waitpid(child, 0)
    newest = [
        tf.train.latest_checkpoint(f"{run}/{phase}/checkpoints")
        for phase in ("stages/0", "segmenter")
    ]
    newest = [path and int(path.split("-")[-1]) for path in newest]
    signal_number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    has_config = os.path.exists(f"{run}/config.json")
    print(signal_number, has_config, *newest, flush=True)


reference = copy(whole, lambda: None)
for moment in (
    while_creating,
    while_saving,
    lambda: after(lambda model: isinstance(model, StageModel), 3),
    before_recording,
    lambda: after(taught, 3),
    lambda: None,
):
    state(copy(killed, moment), killed)
state(reference, whole)
'''


@pytest.fixture(scope="module")
def records(phantom_files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("train") / "records"
    ingest_small(phantom_files, folder)
    return folder


def variables(folder):
    import tensorflow as tf

    path = tf.train.latest_checkpoint(str(folder / "checkpoints"))
    reader = tf.train.load_checkpoint(path)
    names = reader.get_variable_to_shape_map()
    return {
        name: reader.get_tensor(name)
        for name in names
        if name.endswith("VARIABLE_VALUE")
    }


def test_killed_runs_end_with_the_weights_of_a_whole_one(records, tmp_path):
    config = write_config(tmp_path / "config.json", small_config())
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, records, config, whole, killed],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    # Signal, config.json there, newest step of the stage and the segmenter.
    assert done.stdout.splitlines() == [
        "9 False None None",
        "9 True None None",
        "9 True 2 None",
        "9 True 2 None",
        "9 True 4 2",
        "0 True 4 4",
        "0 True 4 4",
    ], done.stderr[-3000:]
    for phase in ("stages/0", "segmenter"):
        one, two = variables(whole / phase), variables(killed / phase)
        assert one.keys() == two.keys() and len(one) >= 20
        for name, value in one.items():
            np.testing.assert_array_equal(value, two[name], err_msg=name)
        assert not list((killed / phase / "checkpoints").glob("*temp*"))
    assert len((killed / "command.txt").read_text().splitlines()) == 5
    first = [(r / "data.json").read_bytes() for r in (whole, killed)]
    assert first[0] == first[1]


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


def test_records_that_changed_since_ingest(train, records, tmp_path):
    copy = tmp_path / "records"
    shutil.copytree(records, copy)
    shard = next(copy.rglob("*.tfrecord*"))
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    refused(train(data=copy, verify_data=True), str(shard), "SHA-256 is ")
    assert not (tmp_path / "run").exists()


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
