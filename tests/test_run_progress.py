"""run_progress: steps of a run's phases, and what programs say of them."""

import json
import shutil

import numpy as np
from programs import run_program

from histogan_tf import presets, run_dir, run_progress
from histogan_tf.data import images


def test_steps_that_are_wanted():
    config = presets.tiny()
    assert list(run_progress.wanted(config).items()) == [
        ("stages/0", 6),
        ("stages/1", 4),
        ("judge", 4),
        ("segmenter", 4),
    ]


def test_steps_that_are_done(random_run, stopped_run):
    whole = run_dir.open_run(random_run)
    names = ("stages/0", "stages/1", "judge", "segmenter")
    assert run_progress.steps(whole) == dict.fromkeys(names, (1000, 1000))
    assert run_progress.unfinished(whole, names) == []
    assert run_progress.steps(stopped_run)["segmenter"] == (10, 1000)
    assert run_progress.unfinished(stopped_run, names) == [
        f"{stopped_run.root}/segmenter: step 10 of 1000; its training has not"
        " come to its end"
    ]
    assert run_progress.unfinished(stopped_run, ["judge"]) == []
    shutil.rmtree(stopped_run.phase("judge"))
    assert "judge" not in run_progress.steps(stopped_run)


def test_a_program_tells_and_notes_it(
    stopped_run, tmp_path, capsys, monkeypatch
):
    path = tmp_path / "tile.png"
    images.write_png(path, np.full((48, 48, 3), 200, np.uint8))
    output = tmp_path / "found"
    code, _, err = run_program(
        "trainer.segment",
        capsys,
        monkeypatch,
        run_dir=stopped_run.root,
        images=path,
        output=output,
        mpp=5.0,
    )
    assert code == 0, err
    assert "segmenter: step 10 of 1000; its training has not" in err
    known = json.loads((output / "segmentation.json").read_text())["steps"]
    assert known["segmenter"] == [10, 1000]
    assert known["judge"] == [1000, 1000]
