"""Loads that fail: retries, old versions that stay, what is reported."""

import contextlib
import dataclasses
import pathlib
import shutil
import threading
import time

import pytest
import serving_models
from serving_managers import (
    QUICK,
    ask,
    config,
    eventually,
    fails,
    hidden,
    put,
    spec,
    started,
    states,
)

from serving import lifecycle
from serving.lifecycle import State, Version
from serving.manager import ModelManager
from serving.status import ServingError

DATA_LOSS = 15


@pytest.fixture
def base(tmp_path):
    folder = tmp_path / "m"
    put(folder, 1)
    return folder


@pytest.fixture
def make():
    with contextlib.ExitStack() as stack:
        yield lambda *args, **more: stack.enter_context(started(*args, **more))


def retries(count, micros=10_000):
    return dataclasses.replace(
        QUICK, max_num_load_retries=count, load_retry_interval_micros=micros
    )


def test_corrupt_newer_version_leaves_the_old_one(make, base):
    manager = make(base)
    serving_models.corrupt(base / "2")
    eventually(lambda: states(manager, "m")[0] == (2, "END", DATA_LOSS))
    assert ask(manager, "m") == (1, 2.0)
    assert states(manager, "m")[1] == (1, "AVAILABLE", 0)
    text = "Servable not found for request: Specific(m, 2)"
    fails("NOT_FOUND", text, ask, manager, "m", 2)
    # A later one that is sound takes over from both.
    put(base, 3)
    eventually(lambda: ask(manager, "m") == (3, 4.0))
    eventually(lambda: states(manager, "m")[2] == (1, "END", 0))


def test_half_copied_version_is_not_served(make, base):
    manager = make(base)
    whole = hidden(base, 2)
    (base / "2").mkdir()
    shutil.copytree(whole / "variables", base / "2" / "variables")
    manager.poll()
    assert [row[0] for row in states(manager, "m")] == [1]
    (whole / "saved_model.pb").rename(base / "2" / "saved_model.pb")
    eventually(lambda: ask(manager, "m") == (2, 3.0))


def test_retries_until_it_works(make, base, caplog):
    manager = make(base, settings=retries(200))
    serving_models.corrupt(base / "2")
    eventually(lambda: "retries left: 197" in caplog.text)
    assert states(manager, "m")[0] == (2, "LOADING", 0)
    assert ask(manager, "m") == (1, 2.0)
    sound = hidden(base, 9)
    (sound / "saved_model.pb").replace(base / "2" / "saved_model.pb")
    eventually(lambda: ask(manager, "m") == (2, 10.0))


def attempts(make, base, count):
    """Warm-ups of version 2 when all of them fail."""
    seen = []

    def fail(_, path):
        if path.name == "2":
            seen.append(path)
            raise ValueError("not warm")

    manager = make(base, settings=retries(count), warm_up=fail)
    put(base, 2)
    eventually(lambda: states(manager, "m")[0][1] == "END")
    return manager, seen


@pytest.mark.parametrize("count", [0, 3])
def test_count_of_retries(make, base, count):
    manager, seen = attempts(make, base, count)
    assert len(seen) == count + 1
    assert states(manager, "m")[0] == (2, "END", 2)  # UNKNOWN
    row = manager.status(spec("m", 2)).model_version_status[0]
    assert row.status.error_message == "not warm"
    # Not tried again while it is wanted ...
    for _ in range(3):
        manager.poll()
    time.sleep(0.05)
    assert len(seen) == count + 1
    # ... but when it goes and comes back.
    (base / "2").rename(base / ".2")
    manager.poll()
    (base / ".2").rename(base / "2")
    eventually(lambda: len(seen) == 2 * (count + 1))


def test_failed_warm_up_is_never_served(make, base):
    manager, _ = attempts(make, base, 0)
    assert ask(manager, "m") == (1, 2.0)


def test_long_pause_is_cut_short(make, base):
    manager = make(base, settings=retries(5, 60_000_000))
    serving_models.corrupt(base / "2")
    eventually(lambda: states(manager, "m")[0] == (2, "LOADING", 0))
    shutil.rmtree(base / "2")
    eventually(lambda: states(manager, "m")[0][1] == "END")
    serving_models.corrupt(base / "3")
    eventually(lambda: states(manager, "m")[0] == (3, "LOADING", 0))
    before = time.monotonic()
    manager.close()
    assert time.monotonic() - before < 10


def test_start_fails_when_a_model_cannot_be_loaded(base, tmp_path):
    serving_models.corrupt(tmp_path / "bad" / "4")
    manager = ModelManager(QUICK)
    try:
        with pytest.raises(ServingError) as caught:
            manager.start(config(base, tmp_path / "bad"), timeout=30)
    finally:
        manager.close()
    assert caught.value.code.name == "UNKNOWN"
    assert caught.value.message.startswith(
        "1 model(s) did not become available:"
        " {{{name: bad version: 4} due to error: DATA_LOSS: "
    )


def test_slow_load_of_one_model_does_not_stop_the_other(make, base, tmp_path):
    put(tmp_path / "slow", 1)
    go = threading.Event()

    def wait(_, path):
        if path.parent.name == "slow" and path.name == "2":
            go.wait(20)

    two = dataclasses.replace(QUICK, num_load_threads=2)
    manager = make(base, tmp_path / "slow", settings=two, warm_up=wait)
    put(tmp_path / "slow", 2)
    eventually(lambda: states(manager, "slow")[0] == (2, "LOADING", 0))
    put(base, 2)
    eventually(lambda: ask(manager, "m")[0] == 2)
    assert ask(manager, "slow")[0] == 1
    go.set()
    eventually(lambda: ask(manager, "slow")[0] == 2)


def test_wanted_again_while_it_loads(make, base):
    warming, go = threading.Event(), threading.Event()

    def wait(_, path):
        if path.name == "2":
            warming.set()
            go.wait(20)

    manager = make(base, warm_up=wait)
    put(base, 2)
    # LOADING is told before the files are read: they must be, by now.
    assert warming.wait(20)
    assert states(manager, "m")[0] == (2, "LOADING", 0)
    (base / "2").rename(base / ".2")
    manager.poll()
    (base / ".2").rename(base / "2")
    manager.poll()
    go.set()
    eventually(lambda: ask(manager, "m")[0] == 2)


def version(number, state, aspired):
    found = Version("m", number, pathlib.Path(f"/m/{number}"), aspired)
    found.state = state
    return found


READY, NEW, LOADING = State.AVAILABLE, State.START, State.LOADING


@pytest.mark.parametrize(
    ("versions", "unload", "load"),
    [
        ([], None, None),
        ([(1, NEW, True), (2, NEW, True)], None, 2),
        ([(1, READY, False), (2, NEW, True)], None, 2),
        ([(1, READY, False), (2, LOADING, True)], None, None),
        ([(1, READY, False), (2, READY, True)], 1, None),
        ([(1, READY, False), (2, State.END, True)], None, None),
        ([(1, READY, True), (2, READY, False)], 2, None),
        ([(1, READY, False), (2, READY, False)], 1, None),
        # Two that nobody wants serve: one goes before the new one is there.
        ([(1, READY, False), (2, READY, False), (3, LOADING, True)], 1, None),
        ([(2, READY, False), (3, LOADING, True)], None, None),
        ([(1, READY, True), (2, NEW, False)], None, None),
        ([(1, State.UNLOADING, False)], None, None),
    ],
)
def test_policy(versions, unload, load):
    found = [version(*row) for row in versions]
    old, new = lifecycle.to_unload(found), lifecycle.to_load(found)
    assert (old and old.number) == unload
    assert (new and new.number) == load


def test_settings_are_checked():
    with pytest.raises(ValueError, match="max_num_load_retries: -1"):
        retries(-1)
