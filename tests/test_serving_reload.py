"""A config taken in place of another; labels; the config file watched."""

import contextlib
import dataclasses
import time

import pytest
from google.protobuf import text_format
from serving_managers import (
    QUICK,
    ask,
    config,
    eventually,
    fails,
    put,
    serves,
    started,
    states,
)
from tensorflow_serving.config.model_server_config_pb2 import (
    ModelServerConfig,
)

from serving import polling
from serving.status import ServingError

ANY_VERSION = dataclasses.replace(
    QUICK, allow_version_labels_for_unavailable_models=True
)


@pytest.fixture
def base(tmp_path):
    folder = tmp_path / "m"
    put(folder, 1)
    put(folder, 2)
    return folder


@pytest.fixture
def make():
    with contextlib.ExitStack() as stack:
        yield lambda *args, **more: stack.enter_context(started(*args, **more))


def labelled(base, policy, **labels):
    found = config(base, m=policy)
    found.model_config_list.config[0].version_labels.update(labels)
    return found


def test_config_is_total(make, base, tmp_path):
    put(tmp_path / "n", 1)
    manager = make(base)
    manager.reload(config(tmp_path / "n"))
    assert ask(manager, "n") == (1, 2.0)  # reload waited for it
    eventually(lambda: states(manager, "m") == [(2, "END", 0)])
    manager.reload(config())
    eventually(lambda: states(manager, "n") == [(1, "END", 0)])
    manager.reload(config(base))
    assert ask(manager, "m") == (2, 3.0)


def test_a_server_may_start_empty(make, base):
    manager = make()
    manager.reload(ModelServerConfig())
    fails("NOT_FOUND", "Servable not found for request: Latest(m)",
          ask, manager, "m")  # fmt: skip
    manager.reload(config(base))
    assert ask(manager, "m") == (2, 3.0)
    text = "Cannot transition to requested config."
    with pytest.raises(ServingError, match=text) as caught:
        manager.reload(ModelServerConfig())
    assert caught.value.code.name == "FAILED_PRECONDITION"
    assert ask(manager, "m") == (2, 3.0)


def test_refused_config_changes_nothing(make, base):
    manager = make(base)
    listed = config(base)
    listed.model_config_list.config.add().CopyFrom(
        listed.model_config_list.config[0]
    )
    text = "Illegal to list model m multiple times in config list"
    fails("INVALID_ARGUMENT", text, manager.reload, listed)
    text = (
        "ServerModelConfig type not supported by HandleReloadConfigRequest."
        " Only ModelConfigList is currently supported"
    )
    custom = ModelServerConfig()
    custom.custom_model_config.SetInParent()
    fails("INVALID_ARGUMENT", text, manager.reload, custom)
    relative = config(base)
    relative.model_config_list.config[0].base_path = "m"
    text = "Expected model m to have an absolute path or URI; got base_path()=m"
    fails("INVALID_ARGUMENT", text, manager.reload, relative)
    caffe = config(base)
    caffe.model_config_list.config[0].model_platform = "caffe"
    text = (
        "Illegal to change a model's platform. For model m platform was"
        " tensorflow and new platform requested is caffe"
    )
    fails("INVALID_ARGUMENT", text, manager.reload, caffe)
    assert ask(manager, "m") == (2, 3.0)
    assert states(manager, "m") == [(2, "AVAILABLE", 0)]


def test_new_model_that_does_not_come(make, base, tmp_path):
    manager = make(base)
    (tmp_path / "none").mkdir()
    before = time.monotonic()
    with pytest.raises(ServingError) as caught:
        manager.reload(config(base, tmp_path / "none"), timeout=0.1)
    assert caught.value.code.name == "DEADLINE_EXCEEDED"
    assert "none" in caught.value.message
    assert time.monotonic() - before < 5
    # A later config is not held up, and the old model serves all the time.
    assert ask(manager, "m") == (2, 3.0)
    manager.reload(config(base), timeout=5)
    bad = tmp_path / "bad" / "3"
    bad.mkdir(parents=True)
    (bad / "saved_model.pb").write_bytes(b"\xff")
    with pytest.raises(ServingError) as caught:
        manager.reload(config(base, tmp_path / "bad"), timeout=20)
    assert caught.value.code.name == "UNKNOWN"
    assert caught.value.message.startswith(
        "1 model(s) did not become available:"
        " {{{name: bad version: 3} due to error: DATA_LOSS: "
    )


def test_labels(make, base):
    manager = make(base, m=[1, 2])
    eventually(lambda: serves(manager, "m", 1) and serves(manager, "m", 2))
    text = "Unrecognized servable version label: stable"
    fails("INVALID_ARGUMENT", text, ask, manager, "m", label="stable")
    manager.reload(labelled(base, [1, 2], stable=1, canary=2))
    assert ask(manager, "m", label="stable") == (1, 2.0)
    assert ask(manager, "m", label="canary") == (2, 3.0)
    for name, label in (("n", "stable"), ("m", ""), ("m", "Stable")):
        text = f"Unrecognized servable version label: {label}"
        fails("INVALID_ARGUMENT", text, ask, manager, name, label=label)
    # A label moves, another goes.
    manager.reload(labelled(base, [1, 2], stable=2))
    assert ask(manager, "m", label="stable") == (2, 3.0)
    text = "Unrecognized servable version label: canary"
    fails("INVALID_ARGUMENT", text, ask, manager, "m", label="canary")


def test_label_of_a_version_that_does_not_serve(make, base):
    manager = make(base)
    manager.reload(labelled(base, 1, stable=2))
    for wrong in (1, 7):
        text = (
            f"Request to assign label to version {wrong} of model m, which is"
            " not currently available for inference"
        )
        new = labelled(base, [1, 2], stable=wrong)
        fails("FAILED_PRECONDITION", text, manager.reload, new)
    assert ask(manager, "m", label="stable") == (2, 3.0)
    assert states(manager, "m") == [(2, "AVAILABLE", 0)]
    # At start nothing serves yet.
    other = make()
    text = text.replace("version 7", "version 2")
    fails("FAILED_PRECONDITION", text, other.start, labelled(base, 1, stable=2))


def test_labels_before_the_first_config(make):
    text = "Model labels does not init yet.stable"
    fails("UNAVAILABLE", text, ask, make(), "m", label="stable")


def test_labels_for_unavailable_versions(make, base):
    manager = make(settings=ANY_VERSION)
    manager.start(labelled(base, [1, 2], stable=1, canary=7), timeout=20)
    eventually(lambda: serves(manager, "m", 1))
    assert ask(manager, "m", label="stable") == (1, 2.0)
    text = "Servable not found for request: Specific(m, 7)"
    fails("NOT_FOUND", text, ask, manager, "m", label="canary")
    # Only a new label may name it: an old one that serves may not move there.
    text = (
        "Request to assign label to version 8 of model m, which is not"
        " currently available for inference"
    )
    new = labelled(base, [1, 2], stable=8)
    fails("FAILED_PRECONDITION", text, manager.reload, new)


def test_config_file_is_watched(make, base, tmp_path, caplog):
    path = tmp_path / "models.config"
    path.write_text(text_format.MessageToString(config(base, m=[1])))
    manager = make(base, m=[1])
    watcher = polling.watch_config(str(path), manager.reload, 0.02)
    try:
        path.write_text("model_config_list {")
        eventually(lambda: "Failed to read ModelServerConfig" in caplog.text)
        path.write_text("model_config_list { config { name: 'm' } }")
        eventually(lambda: "reload failed" in caplog.text)
        path.unlink()
        assert ask(manager, "m") == (1, 2.0)
        # The label waits for its version, then is assigned.
        both = labelled(base, [1, 2], new=2)
        text = "which is not currently available"
        path.write_text(text_format.MessageToString(both))
        eventually(lambda: text in caplog.text)
        assert ask(manager, "m") == (1, 2.0)
        path.write_text(text_format.MessageToString(config(base, m=[1, 2])))
        eventually(lambda: serves(manager, "m", 2))
        path.write_text(text_format.MessageToString(both))
        time.sleep(0.1)
        assert ask(manager, "m", label="new") == (2, 3.0)
    finally:
        watcher.stop()


def test_periodic_goes_on_after_a_failure(caplog):
    calls = []

    def fail():
        calls.append(1)
        raise KeyError("oops")

    periodic = polling.Periodic(fail, 0.01, "test_poll")
    eventually(lambda: len(calls) > 2)
    periodic.stop()
    count = len(calls)
    time.sleep(0.05)
    assert len(calls) == count
    assert "test_poll failed" in caplog.text
