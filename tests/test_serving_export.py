"""serving.export: what a version's folder holds, and what is refused."""

import functools
import json
import shutil

import pytest
from programs import run_program

RUN_FILES = ("config.json", "classes.json", "data.json")


@pytest.fixture
def export(random_run, capsys, monkeypatch, tmp_path):
    """Runs the program; what is wrong must be told before the long work."""
    return functools.partial(
        run_program,
        "serving.export",
        capsys,
        monkeypatch,
        **{"run_dir": random_run, "output": tmp_path / "base", "version": 1},
    )


def test_a_version_holds_a_model_and_what_goes_with_it(random_export):
    found = {
        path.relative_to(random_export).as_posix()
        for path in random_export.rglob("*")
        if path.is_file()
    }
    assert {
        "saved_model.pb",
        "variables/variables.index",
        "assets.extra/model_card.json",
        "assets.extra/model_card.md",
        "assets.extra/tf_serving_warmup_requests",
    } <= found
    # Beside it nothing, above all nothing that is half a version.
    assert [p.name for p in random_export.parent.iterdir()] == ["7"]
    card = json.loads(
        (random_export / "assets.extra" / "model_card.json").read_text()
    )
    assert card["name"] == "tissue" and card["version"] == 7
    assert card["limits"] == {"max_pixels": 2**16}
    assert card["licence"]["data"] == "none, random weights"
    assert card["metrics"] is None and card["warm_up"] == [[40, 48]]


def test_a_run_that_was_stopped_is_exported_on_demand(
    export, stopped_run, monkeypatch
):
    code, _, err = export(run_dir=stopped_run.root)
    assert code == 2 and len(err.splitlines()) == 1
    assert "segmenter: step 10 of 1000; its training has not" in err
    assert "or export with --unfinished" in err
    written = []
    monkeypatch.setattr(
        "serving.export_folder.write", lambda *args: written.append(args)
    )
    code, _, err = export(run_dir=stopped_run.root, unfinished=True)
    assert code == 0 and len(written) == 1, err


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"run_dir": "/nowhere"}, "/nowhere/config.json: No such file"),
        ({"version": 0}, "version"),
        ({"version": "latest"}, "version"),
        ({"warmup_sizes": "64"}, "--warmup_sizes 64: write HEIGHTxWIDTH"),
        ({"warmup_sizes": "64x64,8x-8"}, "--warmup_sizes 8x-8: write"),
        ({"warmup_sizes": "0x64"}, "--warmup_sizes 0x64: sides of 1"),
        ({"max_pixels": 0}, "max_pixels"),
        ({"metrics": "/nowhere.json"}, "/nowhere.json: No such file"),
    ],
)
def test_bad_flags(export, tmp_path, values, message):
    code, out, err = export(**values)
    assert code == 2 and message in err and not out
    assert err.startswith("error: ") and err.count("\n") == 1
    assert not (tmp_path / "base").exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"warmup_sizes": "64x301"}, "--warmup_sizes 64x301: with its halo"),
        ({"max_pixels": 10**4}, "--max_pixels 10000: the smallest window"),
    ],
)
def test_limits_that_do_not_fit(export, tmp_path, values, message):
    code, _, err = export(**({"max_pixels": 2**16} | values))
    assert code == 2 and message in err
    assert not (tmp_path / "base").exists()


def test_a_version_that_exists_stays(export, tmp_path):
    there = tmp_path / "base" / "1"
    there.mkdir(parents=True)
    code, _, err = export()
    assert code == 2 and f"{there}: exists already" in err
    assert [*there.parent.iterdir()] == [there] and not [*there.iterdir()]


def test_metrics_must_be_those_of_an_evaluation(export, tmp_path):
    for text in ("[1]", "{"):
        (tmp_path / "scores.json").write_text(text)
        code, _, err = export(metrics=tmp_path / "scores.json")
        assert code == 2 and "scores.json: " in err


@pytest.mark.parametrize("kept", [(), ("segmenter",)])
def test_a_run_without_checkpoints(export, random_run, tmp_path, kept):
    run = tmp_path / "run"
    run.mkdir()
    for name in RUN_FILES:
        shutil.copy(random_run / name, run)
    for name in kept:
        shutil.copytree(random_run / name, run / name)
    code, _, err = export(run_dir=run)
    missing = "stages/0" if kept else "segmenter"
    assert code == 2
    assert f"{missing}/checkpoints: no checkpoint; train this phase" in err
    assert not (tmp_path / "base").exists()
