"""Version folders and policies."""

import pathlib

import pytest
from tensorflow_serving.config.model_server_config_pb2 import ModelConfig

from serving import versions


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("1", 1),
        ("0", 0),
        ("007", 7),
        ("1700000000", 1_700_000_000),
        ("9223372036854775807", 2**63 - 1),
        ("0" * 300 + "5", 5),
        ("9223372036854775808", None),
        ("9" * 5000, None),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1.0", None),
        ("1_0", None),
        ("1 ", None),
        ("1\n", None),
        ("v1", None),
        (".1", None),
        ("\uff11", None),
        ("latest", None),
    ],
)
def test_numbers(name, value):
    assert versions.number(name) == value


def put(base, *names, file="saved_model.pb"):
    for name in names:
        (base / name).mkdir(parents=True)
        (base / name / file).touch()


def test_children(tmp_path):
    put(tmp_path, "1", "12", ".3", "x4", "5.tmp")
    put(tmp_path, "6", file="saved_model.pbtxt")
    (tmp_path / "7").write_text("a file")
    assert versions.find(tmp_path) == {
        number: tmp_path / str(number) for number in (1, 6, 12)
    }


def test_half_copied_versions_are_none(tmp_path):
    put(tmp_path, "1")
    put(tmp_path, "2", file="saved_model.pb.part")
    (tmp_path / "3" / "variables").mkdir(parents=True)
    (tmp_path / "4" / "saved_model.pb").mkdir(parents=True)
    (tmp_path / "5").symlink_to(tmp_path / "5")
    (tmp_path / "6").symlink_to(tmp_path / "gone")
    assert list(versions.find(tmp_path)) == [1]
    (tmp_path / "3" / "saved_model.pb").touch()
    assert list(versions.find(tmp_path)) == [1, 3]


def test_later_spelling_wins(tmp_path, caplog):
    put(tmp_path, "1", "01", "001")
    assert versions.find(tmp_path) == {1: tmp_path / "1"}
    assert "Duplicate version directories detected" in caplog.text
    assert "loaded from 1, 01 will be ignored" in caplog.text


def test_linked_versions_count(tmp_path):
    put(tmp_path / "elsewhere", "a")
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "8").symlink_to(tmp_path / "elsewhere" / "a")
    assert list(versions.find(tmp_path / "base")) == [8]


def test_base_path_that_cannot_be_listed(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").touch()
    for name in ("missing", "loop", "file"):
        with pytest.raises(OSError, match=name):
            versions.find(tmp_path / name)


FOUND = {number: pathlib.Path(f"/m/{number}") for number in (1, 2, 5, 9)}


def chosen(**policy):
    model = ModelConfig(name="m", model_version_policy=policy)
    found = versions.choose(model, FOUND)
    assert all(FOUND[number] == path for number, path in found.items())
    return sorted(found)


def test_policies():
    assert sorted(versions.choose(ModelConfig(), FOUND)) == [9]
    assert chosen() == [9]
    assert chosen(latest={}) == [9]
    assert chosen(latest={"num_versions": 2}) == [5, 9]
    assert chosen(latest={"num_versions": 2**32 - 1}) == [1, 2, 5, 9]
    assert chosen(all={}) == [1, 2, 5, 9]
    assert chosen(specific={"versions": [5, 1, 5]}) == [1, 5]


def test_specific_version_that_is_missing(caplog):
    assert chosen(specific={"versions": [2, 3]}) == [2]
    assert "Version 3 of servable m" in caplog.text
    assert (caplog.records[0].model, caplog.records[0].version) == ("m", 3)
    assert chosen(specific={}) == []


def test_nothing_found():
    assert versions.choose(ModelConfig(), {}) == {}
