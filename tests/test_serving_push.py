"""serving.push as a program, with exports of known scores."""

import functools
import json
import shutil

import pytest
import serving_exports
from programs import run_program

from histogan_tf.data import manifest
from serving import blessing


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Exports 10 (takes all for stroma, the most) and 11 (all for lumen)."""
    folder = tmp_path_factory.mktemp("base")
    for version, answer in ((10, 0), (11, 2)):
        serving_exports.constant(folder / str(version), answer)
    return folder


@pytest.fixture
def push(base, phantom_records, tmp_path, capsys, monkeypatch):
    """Pushes export 10 to tmp_path / "models" if not told otherwise."""
    for path in base.glob("*.blessing"):
        shutil.rmtree(path)
    return functools.partial(
        run_program,
        "serving.push",
        capsys,
        monkeypatch,
        export=base / "10",
        destination=tmp_path / "models",
        data=phantom_records,
        infra="off",
    )


def pushed(tmp_path):
    folder = tmp_path / "models"
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


def test_blessed_and_pushed(push, base, phantom_records, tmp_path):
    pixels = manifest.load(phantom_records).class_pixels("test")
    share = pixels[0] / sum(pixels)
    dice = 2 * share / (1 + share)
    code, out, _ = push(
        minimum=f"dice.stroma={dice - 1e-4:.6f}", change="kappa=0"
    )
    assert code == 0
    path = base / "10.blessing" / "BLESSED"
    assert out.splitlines() == [
        str(path),
        "  kappa: no model in service; change not judged",
        f"pushed: {tmp_path}/models/10",
    ]
    found = json.loads(path.read_text())
    assert found["blessed"] and found["reasons"] == []
    assert found["sha256"] == blessing.hash_of(base / "10")
    facts = found["facts"]
    assert facts["scores"]["dice.stroma"] == pytest.approx(dice)
    assert facts["scores"]["dice.lumen"] == 0
    assert facts["in_service"] is None and facts["change"] == {"kappa": 0}
    assert "--minimum=dice.stroma=" in facts["command"]
    # What is served is what was exported, to the byte.
    assert pushed(tmp_path) == ["10"]
    assert blessing.hash_of(tmp_path / "models" / "10") == found["sha256"]


def test_a_value_threshold_stops_it(push, base, tmp_path):
    code, out, _ = push(minimum="dice.lumen=0.5")
    assert code == 1 and out.splitlines() == [
        str(base / "10.blessing" / "NOT_BLESSED"),
        "  dice.lumen is 0.0000; minimum 0.5",
        "not pushed",
    ]
    assert pushed(tmp_path) == []


def test_worse_than_the_model_in_service(push, base, tmp_path):
    assert push(unblessed=True)[0] == 0
    worse = functools.partial(push, export=base / "11")
    code, out, _ = worse(change="dice.stroma=-0.01")
    assert code == 1 and "dice.stroma is 0.0000, in service 0." in out
    assert pushed(tmp_path) == ["10"]
    facts = json.loads((base / "11.blessing" / "NOT_BLESSED").read_text())[
        "facts"
    ]
    assert facts["in_service"] == 10
    assert facts["in_service_scores"]["dice.stroma"] > 0.5
    code, out, _ = worse(change="dice.lumen=0.01")
    assert code == 0 and pushed(tmp_path) == ["10", "11"]
    assert [p.name for p in (base / "11.blessing").iterdir()] == ["BLESSED"]


def test_flags_go_before_the_file(push, tmp_path):
    path = tmp_path / "thresholds.json"
    path.write_text('{"minimum": {"dice.lumen": 0.5, "accuracy": 0.1}}')
    assert push(thresholds=path)[0] == 1
    assert push(thresholds=path, minimum="dice.lumen=0")[0] == 0


def test_unblessed_is_pushed_without_a_blessing(push, base, tmp_path):
    code, out, _ = push(unblessed=True, version=99)
    assert code == 0 and out == f"pushed: {tmp_path}/models/99\n"
    assert pushed(tmp_path) == ["99"]
    assert not blessing.folder(base / "10").exists()


def test_leftovers_are_named(push, tmp_path):
    left = tmp_path / "models" / ".9.0123.tmp"
    left.mkdir(parents=True)
    code, out, _ = push(unblessed=True)
    assert code == 0 and f"{left}: of a push that was killed" in out


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "no thresholds: give --thresholds, --minimum or --change, or"),
        ({"unblessed": True, "minimum": "kappa=0"}, "give one of them"),
        ({"minimum": "kappa=0", "data": ""}, "--data: thresholds need records"),
        ({"minimum": "dice.nerve=0.1"}, "threshold for 'dice.nerve'; allowed"),
        ({"minimum": "kappa=0", "split": "train"}, "no labelled images"),
        (
            {"unblessed": True, "export": "/nowhere"},
            "saved_model.pbtxt in it; is",
        ),
        ({"unblessed": True, "version": 7}, "version 7 is not above 8"),
        ({"unblessed": True, "version": 12}, "version 12 was rolled back"),
    ],
)
def test_bad_input(push, tmp_path, values, message):
    for name in ("8", ".rolled_back.12"):
        (tmp_path / "models" / name).mkdir(parents=True)
    code, _, err = push(**values)
    assert code == 2 and message in err and err.startswith("error: ")
    assert pushed(tmp_path) == [".rolled_back.12", "8"]
