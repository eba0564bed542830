"""Thresholds: files, flags and verdicts, by hand-made numbers."""

import json
import math

import pytest

from histogan_tf.errors import InputError
from serving import thresholds
from serving.thresholds import Thresholds, Verdict

SCORES = {"dice.gland": 0.8, "dice.nerve": math.nan, "kappa": -0.2}


def test_value_thresholds():
    judge = thresholds.judge
    passing = Thresholds(minimum={"dice.gland": 0.8, "kappa": -0.2})
    assert judge(passing, SCORES, None) == Verdict(())
    failing = Thresholds(minimum={"dice.gland": 0.81, "kappa": 0.0})
    assert judge(failing, SCORES, None) == Verdict(
        (
            "dice.gland is 0.8000; minimum 0.81",
            "kappa is -0.2000; minimum 0",
        )
    )


@pytest.mark.parametrize(
    ("least", "old", "blessed"),
    [
        (0.0, 0.8, True),
        (0.0, 0.81, False),
        (-0.05, 0.84, True),
        (-0.05, 0.86, False),
        (0.1, 0.75, False),
        (0.1, 0.6, True),
    ],
)
def test_change_thresholds(least, old, blessed):
    wanted = Thresholds(change={"dice.gland": least})
    found = thresholds.judge(wanted, SCORES, {"dice.gland": old})
    assert (found.reasons == ()) == blessed
    if not blessed:
        (reason,) = found.reasons
        assert (
            f"is 0.8000, in service {old:.4f}; change of {least:+g}" in reason
        )


def test_without_a_baseline_changes_pass_and_values_count():
    wanted = Thresholds({"dice.gland": 0.9}, {"kappa": 0.5})
    found = thresholds.judge(wanted, SCORES, None)
    assert found.reasons == ("dice.gland is 0.8000; minimum 0.9",)
    assert found.notes == ("kappa: no model in service; change not judged",)


def test_a_score_that_was_not_measured_fails():
    minimum = Thresholds(minimum={"dice.nerve": -1.0})
    (reason,) = thresholds.judge(minimum, SCORES, None).reasons
    assert reason == "dice.nerve is not measured; minimum -1"
    change = Thresholds(change={"dice.nerve": -1.0})
    (reason,) = thresholds.judge(change, SCORES, SCORES).reasons
    assert "not measured, in service not measured" in reason


def test_an_unknown_score_is_an_error_that_lists_the_known():
    with pytest.raises(InputError, match=r"'dice\.glnd'; allowed: dice\.gland"):
        thresholds.judge(Thresholds({"dice.glnd": 0.1}), SCORES, None)


def test_files_and_flags(tmp_path):
    path = tmp_path / "t.json"
    path.write_text('{"minimum": {"dice.a=b": 0.5, "kappa": 0}}')
    from_file = thresholds.load(path)
    assert from_file == Thresholds({"dice.a=b": 0.5, "kappa": 0.0})
    given = thresholds.from_flags(["dice.a=b=0.7"], ["kappa=-0.01"])
    assert given == Thresholds({"dice.a=b": 0.7}, {"kappa": -0.01})
    assert thresholds.merge(from_file, given) == Thresholds(
        {"dice.a=b": 0.7, "kappa": 0.0}, {"kappa": -0.01}
    )
    assert Thresholds().empty and not given.empty


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1], "an object is needed at the top"),
        ({"maximum": {}}, "'maximum'; allowed: minimum, change"),
        ({"minimum": [0.5]}, "minimum: an object is needed"),
        ({"minimum": {"a": "0.5"}}, "minimum: a: '0.5'; a number of -1..1"),
        ({"change": {"a": True}}, "change: a: True; a number"),
        ({"change": {"a": 80}}, "80; a number of -1..1"),
        ({"change": {"a": math.nan}}, "nan; a number"),
    ],
)
def test_bad_files(tmp_path, value, message):
    path = tmp_path / "t.json"
    path.write_text(json.dumps(value))
    with pytest.raises(InputError, match=message) as caught:
        thresholds.load(path)
    assert str(caught.value).startswith(str(path))


def test_no_file_and_no_json(tmp_path):
    with pytest.raises(InputError, match=r"t\.json: No such file"):
        thresholds.load(tmp_path / "t.json")
    (tmp_path / "t.json").write_text("{")
    with pytest.raises(InputError, match=r"t\.json: no JSON"):
        thresholds.load(tmp_path / "t.json")


@pytest.mark.parametrize("text", ["dice", "=0.5", "dice=high", "dice=nan"])
def test_bad_flags(text):
    with pytest.raises(InputError, match=f"--minimum '?{text}"):
        thresholds.from_flags([text], [])
