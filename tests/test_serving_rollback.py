"""serving.rollback as a program, and beside a manager that serves."""

import functools
import threading
import time

import pytest
from programs import run_program


@pytest.fixture
def models(tmp_path):
    """Two versions in service."""
    for name in ("3", "5"):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "saved_model.pb").touch()
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


@pytest.fixture
def manager(tmp_path):
    """A manager that polls every 20 ms, with versions 3 and 5 of a toy."""
    import serving_managers
    import serving_models

    from serving.manager import ModelManager

    for version in (3, 5):
        serving_models.half_plus(tmp_path / "toy" / str(version), version)
    manager = ModelManager(serving_managers.QUICK)
    manager.start(serving_managers.config(tmp_path / "toy"), timeout=60)
    yield manager
    manager.close()


def until(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_no_request_fails_while_versions_change(manager, rollback, tmp_path):
    """The toy of version v answers x / 2 + v, so answers tell the version."""
    from serving_managers import ask

    answers, ended = [], threading.Event()

    def request():
        while not ended.is_set():
            try:
                answers.append(ask(manager, "toy"))
            except Exception as error:  # any kind is a failed request
                answers.append(error)

    threads = [threading.Thread(target=request) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for version, values in ((5, None), (3, {}), (5, {"to": 5}), (3, {})):
            if values is not None:
                code, *_ = rollback(destination=tmp_path / "toy", **values)
                assert code == 0
            until(lambda v=version: answers and answers[-1] == (v, 1.0 + v))
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert set(answers) == {(3, 4.0), (5, 6.0)}
    assert len(answers) > 100
