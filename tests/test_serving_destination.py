"""The watched folder: names, order, and a kill in the middle of a copy."""

import signal
import subprocess
import sys

import pytest

from histogan_tf.errors import InputError
from serving import destination
from serving.destination import Destination


def make(folder, *names):
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "saved_model.pb").touch()
    return Destination(folder)


@pytest.fixture
def export(tmp_path):
    """Three files, the model's graph among them."""
    folder = tmp_path / "base" / "170"
    (folder / "variables").mkdir(parents=True)
    for name in ("a", "saved_model.pb", "variables/v"):
        (folder / name).write_text(name)
    return folder


def test_versions_are_numbers_only(tmp_path):
    found = make(tmp_path, "9", "0010", "x", "-3", ".7.ab.tmp", "²",
                 ".rolled_back.8", ".rolled_back.x", "9" * 30)  # fmt: skip
    (tmp_path / "11").write_text("a file")
    assert found.versions() == [10, 9] and found.aside() == [8]
    assert found.path(10).name == "0010"
    assert [p.name for p in found.leftovers()] == [".7.ab.tmp"]
    assert found.listing() == "versions: 10, 9; rolled back: 8"
    assert Destination(tmp_path / "none").versions() == []


def test_put_copies_everything(export, tmp_path):
    target = Destination(tmp_path / "a" / "models")
    path = target.put(export, 3)
    assert path == tmp_path / "a" / "models" / "3"
    found = {
        str(p.relative_to(path)): p.read_text()
        for p in path.rglob("*")
        if p.is_file()
    }
    assert found == {n: n for n in ("a", "saved_model.pb", "variables/v")}
    assert target.versions() == [3] and target.leftovers() == []


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (3, "version 3 is not above 3"),
        (2, "version 2 is not above 3"),
        (5, "version 5 was rolled back"),
        (2**63, "0..9223372036854775807"),
    ],
)
def test_put_refuses_what_would_not_be_served(
    export, tmp_path, version, message
):
    target = make(tmp_path / "models", "3", ".rolled_back.5")
    with pytest.raises(InputError, match=message):
        target.put(export, version)
    assert target.versions() == [3] and target.leftovers() == []


def test_serve_goes_back_and_forward(tmp_path):
    target = make(tmp_path, "1", "2", "3", "4")
    target.serve(2)
    assert (target.versions(), target.aside()) == ([2, 1], [4, 3])
    target.serve(4)
    assert (target.versions(), target.aside()) == ([4, 2, 1], [3])
    target.serve(3)
    assert (target.versions(), target.aside()) == ([3, 2, 1], [4])
    target.serve(3)
    assert (target.versions(), target.aside()) == ([3, 2, 1], [4])
    with pytest.raises(InputError, match=r"no version 9; versions: 3, 2, 1; "):
        target.serve(9)


def test_what_is_half_copied_is_no_version(tmp_path, export):
    target = make(tmp_path / "m", "1", "3", ".rolled_back.4")
    (tmp_path / "m" / "2" / "variables").mkdir(parents=True)
    (tmp_path / "m" / "6").mkdir()
    (tmp_path / "m" / ".rolled_back.4" / "saved_model.pb").unlink()
    assert target.versions() == [3, 1]
    for version in (2, 4):
        with pytest.raises(
            InputError,
            match=r"no saved_model\.pb or saved_model\.pbtxt in it; a",
        ):
            target.serve(version)
    assert (target.versions(), target.aside()) == ([3, 1], [4])
    # Its number is taken all the same.
    with pytest.raises(InputError, match="version 5 is not above 6"):
        target.put(export, 5)


def test_the_newest_goes_last(tmp_path, monkeypatch):
    """A server between two renames sees the old newest or the new one."""
    target, seen = make(tmp_path, "1", "2", "3", "4"), []
    rename = type(tmp_path).rename

    def watched(path, goal):
        rename(path, goal)
        seen.append(target.versions()[0])

    monkeypatch.setattr(type(tmp_path), "rename", watched)
    target.serve(1)
    assert seen == [4, 4, 1]
    seen.clear()
    target.serve(3)
    assert seen == [3]


SLOW_COPY = """
import pathlib, shutil, sys, time
copy = shutil.copy2
def slow(source, target, **options):
    copy(source, target, **options)
    print("copied", flush=True)
    time.sleep(60)
shutil.copytree.__defaults__ = tuple(
    slow if d is copy else d for d in shutil.copytree.__defaults__)
from serving.destination import Destination
Destination(pathlib.Path(sys.argv[1])).put(pathlib.Path(sys.argv[2]), 5)
"""


def test_a_kill_leaves_only_a_dot_folder(export, tmp_path):
    target = make(tmp_path / "models", "3")
    with subprocess.Popen(
        [sys.executable, "-c", SLOW_COPY, str(target.folder), str(export)],
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b"copied\n"
        process.send_signal(signal.SIGKILL)
    names = sorted(p.name for p in target.folder.iterdir())
    (left,) = target.leftovers()
    assert names == [left.name, "3"] and left.name.startswith(".5.")
    assert len([p for p in left.rglob("*") if p.is_file()]) == 1
    assert target.versions() == [3]
    target.put(export, 5)
    assert target.versions() == [5, 3]


def test_check_export(export, tmp_path):
    assert destination.check_export(export) == 170
    with pytest.raises(
        InputError, match=r"base: no .*\.pb or .*\.pbtxt in it; is"
    ):
        destination.check_export(export.parent)
    graph = export / "saved_model.pb"
    graph.rename(graph.with_suffix(".pbtxt"))
    assert destination.check_export(export) == 170
    named = export.rename(tmp_path / "best")
    with pytest.raises(InputError, match="best: its name is the version"):
        destination.check_export(named)
