"""serving.rollback as a program, and beside a manager that serves."""

import functools

import pytest
from programs import run_program


@pytest.fixture
def models(tmp_path):
    """Two versions in service."""
    for name in ("3", "5"):
        (tmp_path / "models" / name).mkdir(parents=True)
    return tmp_path / "models"


@pytest.fixture
def rollback(models, capsys, monkeypatch):
    return functools.partial(
        run_program, "serving.rollback", capsys, monkeypatch, destination=models
    )


def names(models):
    return sorted(p.name for p in models.iterdir())


def test_back_and_forward(rollback, models):
    code, out, _ = rollback()
    assert code == 0 and f"{models}/3: newest version (was 5)" in out
    assert "versions: 3; rolled back: 5" in out
    assert names(models) == [".rolled_back.5", "3"]
    code, out, _ = rollback(to=5)
    assert code == 0 and f"{models}/5: newest version (was 3)" in out
    assert names(models) == ["3", "5"]


def test_refuses_without_an_older_version(rollback, models):
    assert rollback()[0] == 0
    code, _, err = rollback()
    assert code == 2 and "no version to go back to; versions: 3; rol" in err
    assert names(models) == [".rolled_back.5", "3"]


def test_list_changes_nothing(rollback, models):
    code, out, _ = rollback(list=True)
    assert (code, out) == (0, "versions: 5, 3; rolled back: none\n")
    assert names(models) == ["3", "5"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"to": 4}, "no version 4; versions: 5, 3"),
        ({"destination": "/nowhere"}, "/nowhere: no such folder"),
    ],
)
def test_bad_flags(rollback, models, values, message):
    code, _, err = rollback(**values)
    assert code == 2 and message in err
    assert names(models) == ["3", "5"]
