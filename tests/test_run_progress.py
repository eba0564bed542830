"""run_progress: steps of a run's phases, and what programs say of them."""

import json
import shutil

import numpy as np
import pytest
from programs import run_program

from histogan_tf import presets, run_dir, run_progress
from histogan_tf.data import images


@pytest.fixture
def stopped(random_run, tmp_path):
    """A copy of `random_run` whose segmenter stopped at step 10 of 1000."""
    run = run_dir.open_run(shutil.copytree(random_run, tmp_path / "stopped"))
    folder = run.phase("segmenter") / "checkpoints"
    for path in folder.glob("ckpt-1000.*"):
        path.rename(folder / path.name.replace("1000", "10"))
    state = folder / "checkpoint"
    state.write_text(state.read_text().replace("ckpt-1000", "ckpt-10"))
    return run


def test_steps_that_are_wanted():
    config = presets.tiny()
    assert list(run_progress.wanted(config).items()) == [
        ("stages/0", 6),
        ("stages/1", 4),
        ("judge", 4),
        ("segmenter", 4),
    ]


def test_steps_that_are_done(random_run, stopped, tmp_path):
    whole = run_dir.open_run(random_run)
    names = ("stages/0", "stages/1", "judge", "segmenter")
    assert run_progress.steps(whole) == dict.fromkeys(names, (1000, 1000))
    assert run_progress.unfinished(whole, names) == []
    assert run_progress.steps(stopped)["segmenter"] == (10, 1000)
    assert run_progress.unfinished(stopped, names) == [
        f"{stopped.root}/segmenter: step 10 of 1000; its training has not come"
        " to its end"
    ]
    assert run_progress.unfinished(stopped, ["judge"]) == []
    shutil.rmtree(stopped.phase("judge"))
    assert "judge" not in run_progress.steps(stopped)


def test_a_program_tells_and_notes_it(stopped, tmp_path, capsys, monkeypatch):
    path = tmp_path / "tile.png"
    images.write_png(path, np.full((48, 48, 3), 200, np.uint8))
    output = tmp_path / "found"
    code, _, err = run_program(
        "trainer.segment",
        capsys,
        monkeypatch,
        run_dir=stopped.root,
        images=path,
        output=output,
        mpp=5.0,
    )
    assert code == 0, err
    assert "segmenter: step 10 of 1000; its training has not" in err
    known = json.loads((output / "segmentation.json").read_text())["steps"]
    assert known["segmenter"] == [10, 1000]
    assert known["judge"] == [1000, 1000]
