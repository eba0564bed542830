"""trainer.demo: which data it knows, and the command lines that it runs."""

import contextlib
import dataclasses
import os
import pathlib
import shlex
import subprocess
import sys

import numpy as np
import pytest
from programs import run_program

from histogan_tf.data import images, ingest
from histogan_tf.errors import InputError
from trainer import demo_data

RECORDS = pathlib.Path("records")


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_glas_is_recognised(tmp_path):
    touch(
        tmp_path,
        "Grade.csv",
        "images/train_1.png",
        "labels/train_1_anno.png",
        "images/testA_1.png",
    )
    found = demo_data.recognise(tmp_path, RECORDS, 10)
    assert found.images == str(tmp_path / "images" / "train_*.png")
    assert (found.mpp, found.max_labelled) == (0.62, 10)
    # Patients are held out, not images.
    assert found.group_column == "patient ID"
    assert pathlib.Path(found.classes).name == "glas.json"


def test_gleason_is_recognised(tmp_path, capsys):
    touch(tmp_path, "images/test1.jpg", "masks/test1.png")
    found = demo_data.recognise(tmp_path, RECORDS, 10)
    assert pathlib.Path(found.classes).name == "gleason.json"
    assert (found.mpp, found.max_labelled) == (0.5, None)
    assert "no um/px; 0.5" in capsys.readouterr().out


def test_real_folders_are_recognised(real_data):
    for name in ("glas", "gleason"):
        found = demo_data.recognise(real_data / name, RECORDS, 10)
        assert pathlib.Path(found.classes).stem == name


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"not known; allowed are GlaS: Gr"):
        demo_data.recognise(tmp_path, RECORDS, 10)
    with pytest.raises(InputError, match="none: no such folder"):
        demo_data.recognise(tmp_path / "none", RECORDS, 10)


def test_phantoms_are_painted_once(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_data, "IMAGES", 2)
    monkeypatch.setattr(demo_data, "SIDE", 40)
    settings = demo_data.phantom(tmp_path, RECORDS, 1)
    assert settings.max_labelled == 1
    paths = sorted(tmp_path.glob("*/*.png"))
    assert [p.name for p in paths] == ["phantom_00.png", "phantom_01.png"] * 2
    image = images.read_image(paths[0])
    mask = images.read_mask_raw(paths[2])
    assert image.shape == (40, 40, 3) and set(np.unique(mask)) <= {0, 1, 2}
    # Only what is missing is painted again, and as before.
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in paths}
    paths[2].unlink()
    demo_data.phantom(tmp_path, RECORDS, 1)
    after = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in paths}
    assert {p for p in paths if before[p][0] == after[p][0]} == {
        paths[1],
        paths[3],
    }
    assert [v[1] for v in before.values()] == [v[1] for v in after.values()]


def test_a_tile_holds_a_crop_of_the_coarsest_stage():
    from histogan_tf import presets

    config = presets.demo()
    side = demo_data.SIDE * demo_data.MPP / config.stage_mpp(0)
    assert side >= 40 > config.stages[0].crop


@pytest.fixture
def demo(tmp_path, monkeypatch, capsys, phantom_files):
    """The demo on the small phantoms, with ingest alone really run."""
    real = demo_data.IngestSettings(
        images=str(phantom_files / "images"),
        masks=str(phantom_files / "masks"),
        classes=str(demo_data.TABLES / "phantom.json"),
        output=str(tmp_path / "out" / "records"),
        mpp=2.5,
        validation=0.2,
    )
    monkeypatch.setattr(demo_data, "phantom", lambda *_: real)
    commands = []

    class Done(contextlib.nullcontext):
        returncode = 0

        def wait(self):
            return self.returncode

    def start(command):
        assert command[0] == sys.executable
        commands.append(command)
        if command[2] == "trainer.ingest":
            line = shlex.join(["python", *command[1:]])
            ingest.ingest(dataclasses.replace(real, command=line))
        done = Done()
        done.enter_result = done
        return done

    monkeypatch.setattr(subprocess, "Popen", start)

    def run(**changes):
        commands.clear()
        values = {"output": tmp_path / "out"} | changes
        result = run_program("trainer.demo", capsys, monkeypatch, **values)
        return result, [list(c) for c in commands]

    run.done = Done
    return run


def test_every_command_is_printed_and_run_in_order(demo, tmp_path, monkeypatch):
    (code, out, err), commands = demo(set="stages.0.steps=7")
    assert (code, err) == (0, "")
    names = ["ingest", "train", "evaluate", "synthesize", "segment"]
    assert [c[2] for c in commands] == [f"trainer.{n}" for n in names]
    shown = [line[2:] for line in out.splitlines() if line.startswith("$ ")]
    assert shown == [shlex.join(["python", *c[1:]]) for c in commands]
    assert "--set=stages.0.steps=7" in commands[1]
    assert "--split=validation" in commands[2]
    # An image that was held out is shown, with its own mask.
    from histogan_tf.data import manifest

    made = manifest.load(tmp_path / "out" / "records")
    (held,) = made.split("validation").labelled.images
    assert f"/masks/{held.name}.png" in " ".join(commands[3])
    assert f"/images/{held.name}.png" in " ".join(commands[4])
    assert f"report: {tmp_path}/out/run/report.html" in out
    assert "minutes: data 0.0, ingest" in out

    # Again: the records are used as they are, and what is there is kept.
    (tmp_path / "out" / "synthetic").mkdir()
    (code, out, _), commands = demo()
    assert code == 0 and "ingest: " in out
    assert [c[2].split(".")[1] for c in commands] == [
        "train",
        "evaluate",
        "segment",
    ]

    # Records of another command are not taken for these.
    other = dataclasses.replace(demo_data.phantom(), seed=5)
    monkeypatch.setattr(demo_data, "phantom", lambda *_: other)
    (code, out, err), commands = demo()
    assert code == 2 and not commands
    assert "records: made by another command" in err


@pytest.mark.parametrize("pattern", ["", "*.png"])
def test_a_folder_with_brackets_and_umlauts(tmp_path, pattern):
    # A Mac's name: "u" and U+0308; the records call it by the composed one.
    folder = tmp_path / "HE [2024]"
    touch(folder, "u\u0308_m.png", "u\u0308.png", "b.png")
    found = demo_data.find(str(folder / pattern), "\u00fc_m")
    assert found == folder / "u\u0308_m.png"


STOPPED = """
from histogan_tf import program
from trainer import demo
step = "import steps; steps.write()"
program.run(lambda: demo.run(["python", "-c", step]))
"""
STEP = """
import time
from histogan_tf import files, program

def half():
    with files.atomic_directory("made"):
        print("inside", flush=True)
        time.sleep(60)

def write():
    program.run(half)
"""


def test_sigterm_goes_on_to_the_step(tmp_path):
    (tmp_path / "steps.py").write_text(STEP)
    root = pathlib.Path(__file__).resolve().parent.parent
    child = subprocess.Popen(
        [sys.executable, "-c", STOPPED],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{root}:{tmp_path}"},
    )
    assert "inside\n" in iter(child.stdout.readline, "")
    assert len(list(tmp_path.glob(".made.*.tmp"))) == 1
    child.terminate()
    err = child.communicate(timeout=60)[1]
    assert (child.returncode, err) == (143, "error: stopped by SIGTERM\n" * 2)
    assert not list(tmp_path.glob(".made.*"))


def test_a_step_that_fails_ends_the_demo(demo):
    demo.done.returncode = 3
    (code, out, _), commands = demo()
    assert code == 3
    assert [c[2] for c in commands] == ["trainer.ingest"]
    assert "report:" not in out
