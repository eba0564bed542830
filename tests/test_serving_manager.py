"""Models by name and version: found, swapped, drained, reported."""

import contextlib
import dataclasses
import threading

import numpy as np
import pytest
from grpc import StatusCode
from serving_managers import (
    QUICK,
    ask,
    config,
    eventually,
    fails,
    put,
    serves,
    spec,
    started,
    states,
)

from serving.status import ServingError


@pytest.fixture
def base(tmp_path):
    folder = tmp_path / "m"
    put(folder, 1)
    return folder


@pytest.fixture
def make():
    with contextlib.ExitStack() as stack:
        yield lambda *args, **more: stack.enter_context(started(*args, **more))


def test_names(make, base):
    manager = make(base)
    assert ask(manager, "m") == (1, 2.0)
    assert ask(manager, "m", 1) == (1, 2.0)
    text = "ModelSpec has no name specified."
    fails("INVALID_ARGUMENT", text, ask, manager, "")
    start = "Servable not found for request: "
    for version in (7, 0, -1, 2**63 - 1):
        text = f"{start}Specific(m, {version})"
        fails("NOT_FOUND", text, ask, manager, "m", version)
    # Names are names, never paths.
    tricks = ["../m", "m/1", "/etc", "m\0", ".", "m/../m", "\u202em", "M", "m "]
    for name in ["n", *tricks]:
        fails("NOT_FOUND", f"{start}Latest({name})", ask, manager, name)


def test_status(make, base):
    manager = make(base)
    assert states(manager, "m") == [(1, "AVAILABLE", 0)]
    put(base, 2)
    eventually(lambda: states(manager, "m")[-1][1] == "END")
    # Newest first; what was unloaded stays listed.
    assert states(manager, "m") == [(2, "AVAILABLE", 0), (1, "END", 0)]
    (row,) = manager.status(spec("m", 1)).model_version_status
    assert (row.version, row.status.error_message) == (1, "")
    labelled = manager.status(spec("m", label="nonsense"))
    assert len(labelled.model_version_status) == 2
    fails(
        "NOT_FOUND",
        "Could not find version 3 of model m",
        manager.status,
        spec("m", 3),
    )
    fails(
        "NOT_FOUND",
        "Could not find any versions of model n",
        manager.status,
        spec("n"),
    )


def test_policies(make, base):
    for version in (2, 3, 10):
        put(base, version)
    manager = make(base, m=2)
    eventually(lambda: len(states(manager, "m")) == 2)
    eventually(lambda: serves(manager, "m", 3))
    assert ask(manager, "m") == (10, 11.0)
    manager.reload(config(base, m=[1, 3]))
    # 1 is loaded before 10 goes; 3 serves all the time.
    eventually(lambda: states(manager, "m")[0] == (10, "END", 0))
    assert ask(manager, "m") == (3, 4.0)
    eventually(lambda: serves(manager, "m", 1))
    manager.reload(config(base, m="all"))
    eventually(lambda: {s[1] for s in states(manager, "m")} == {"AVAILABLE"})
    assert [row[0] for row in states(manager, "m")] == [10, 3, 2, 1]


def test_swap_waits_for_requests_under_way(make, base):
    manager = make(base)
    with manager.handle(spec("m")) as old:
        put(base, 2)
        eventually(lambda: ask(manager, "m") == (2, 3.0))
        eventually(lambda: states(manager, "m")[1][1] == "UNLOADING")
        # No new request gets the old version; the old request still works.
        fails(
            "NOT_FOUND",
            "Servable not found for request: Specific(m, 1)",
            ask,
            manager,
            "m",
            1,
        )
        signature = old.servable.signatures["serving_default"]
        feeds = {signature.inputs["x"].name: np.array([2], np.float32)}
        fetches = [signature.outputs["y"].name]
        manager.poll()
        assert old.servable.run(feeds, fetches)[0] == 2
        assert states(manager, "m")[1][1] == "UNLOADING"
    eventually(lambda: states(manager, "m")[1][1] == "END")
    with pytest.raises(ServingError, match="closed"):
        old.servable.run({}, [])


def test_rollback_and_forward(make, base):
    put(base, 2)
    manager = make(base)
    assert ask(manager, "m")[0] == 2
    (base / "2").rename(base / ".2.gone")
    eventually(lambda: ask(manager, "m")[0] == 1)
    eventually(lambda: states(manager, "m")[0] == (2, "END", 0))
    # The same number again is loaded again.
    (base / ".2.gone").rename(base / "2")
    eventually(lambda: ask(manager, "m")[0] == 2)


def test_empty_base_path_unloads_all(make, base):
    manager = make(base)
    (base / "1").rename(base / "old")
    eventually(lambda: states(manager, "m") == [(1, "END", 0)])
    fails(
        "NOT_FOUND",
        "Servable not found for request: Latest(m)",
        ask,
        manager,
        "m",
    )


def test_a_model_without_versions_is_told_of_once(make, base, caplog):
    def told():
        return [r for r in caplog.records if "No versions of" in r.message]

    manager = make(base)
    assert not told()
    for times in (1, 2):
        (base / "1").rename(base / ".1")
        eventually(lambda n=times: len(told()) == n)
        manager.poll()
        manager.poll()
        assert len(told()) == times
        (base / ".1").rename(base / "1")
        eventually(lambda: serves(manager, "m", 1))
    assert told()[0].levelname == "WARNING"
    assert f"servable m found under base path {base}." in told()[0].message


def test_missing_base_path_skips_the_whole_poll(make, base, tmp_path, caplog):
    other = tmp_path / "other"
    put(other, 1)
    manager = make(base, other)
    base.rename(tmp_path / "away")
    put(other, 2)
    caplog.clear()
    eventually(lambda: len(caplog.records) > 2)
    assert "Could not find base path" in caplog.text
    assert ask(manager, "m")[0] == ask(manager, "other")[0] == 1
    (tmp_path / "away").rename(base)
    eventually(lambda: ask(manager, "other")[0] == 2)
    assert ask(manager, "m")[0] == 1


def test_base_path_is_a_loop_or_a_file(make, base, tmp_path):
    manager = make(base)
    base.rename(tmp_path / "away")
    base.symlink_to(tmp_path / "loop")
    (tmp_path / "loop").symlink_to(base)
    manager.poll()
    base.unlink()
    base.write_text("")
    manager.poll()
    assert ask(manager, "m")[0] == 1


def test_start_waits_for_a_version(make, tmp_path):
    manager = make()
    started = threading.Event()

    def start():
        manager.start(config(tmp_path / "m"))
        started.set()

    thread = threading.Thread(target=start, daemon=True)
    thread.start()
    assert not started.wait(0.1)
    (tmp_path / "m").mkdir()
    assert not started.wait(0.1)
    put(tmp_path / "m", 5)
    assert started.wait(10)
    assert ask(manager, "m")[0] == 5


def test_polling_off(make, base):
    before = set(threading.enumerate())
    manager = make(
        base,
        settings=dataclasses.replace(QUICK, file_system_poll_wait_seconds=0),
    )
    put(base, 2)
    new = set(threading.enumerate()) - before
    assert not [t for t in new if "poll" in t.name]
    manager.poll()
    eventually(lambda: ask(manager, "m")[0] == 2)


def test_close_ends_waits_and_threads(make, base, tmp_path):
    before = set(threading.enumerate())
    manager = make(base)
    errors = []

    def wait():
        try:
            manager.reload(config(base, tmp_path / "never"))
        except ServingError as error:
            errors.append(error.code)

    waiting = threading.Thread(target=wait)
    waiting.start()
    eventually(lambda: manager._config.model_config_list.config[1:])
    manager.close()
    waiting.join(10)
    assert errors == [StatusCode.UNAVAILABLE]
    assert set(threading.enumerate()) <= before
    with pytest.raises(ServingError) as caught:
        ask(manager, "m")
    assert caught.value.code == StatusCode.NOT_FOUND
    with pytest.raises(ServingError, match="shutting down"):
        manager.reload(config(base))
    manager.close()
