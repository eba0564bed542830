"""Whole or not at all: full disks, kills and failures while writing."""

import errno
import os
import pathlib
import signal
import subprocess
import sys
import threading

import pytest

from histogan_tf import files, work_folder
from histogan_tf.errors import InputError

ROOT = pathlib.Path(__file__).resolve().parent.parent
FULL = OSError(errno.ENOSPC, "No space left on device")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def fill_disk(monkeypatch, function):
    def fail(*_):
        raise FULL

    monkeypatch.setattr(files.os, function, fail)


def test_write_and_replace(tmp_path):
    path = tmp_path / "a.json"
    files.atomic_write(path, b"one")
    files.atomic_write(str(path), b"two")
    assert path.read_bytes() == b"two"
    assert names(tmp_path) == ["a.json"]


def test_written_files_obey_the_umask(tmp_path):
    # mkstemp's 0600 would hide a shared run from one's colleagues.
    old = os.umask(0o027)
    try:
        files.atomic_write(tmp_path / "a", b"")
        with files.atomic_directory(tmp_path / "d"):
            pass
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "d").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_full_disk_keeps_the_old_file(tmp_path, monkeypatch, function):
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    fill_disk(monkeypatch, function)
    with pytest.raises(OSError, match="No space left"):
        files.atomic_write(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.json"]


def test_disk_really_full(tmp_path):
    # A limit on the file size fails the write itself, as a full disk does.
    code = f"""
import resource, signal
from histogan_tf import files, work_folder
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    files.atomic_write({str(tmp_path / "a")!r}, bytes(100_000))
except OSError as error:
    print(error.errno)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == (f"{errno.EFBIG}\n", "")
    assert names(tmp_path) == []


def test_write_into_missing_folder_names_it(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        files.atomic_write(tmp_path / "no" / "a", b"")
    assert str(tmp_path / "no") in caught.value.filename


def test_readers_see_whole_files_only(tmp_path):
    path = tmp_path / "a"
    files.atomic_write(path, b"0" * 100_000)
    seen, done = [], threading.Event()

    def read():
        while not done.is_set():
            seen.append(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for digit in b"123456789":
        files.atomic_write(path, bytes([digit]) * 100_000)
    done.set()
    reader.join()
    assert all(len(data) == 100_000 and len(set(data)) == 1 for data in seen)


KILLED = """
import os, pathlib, sys
from histogan_tf import files, work_folder
target = pathlib.Path(sys.argv[2])

def hold(*_):
    print("inside", flush=True)
    sys.stdin.read()

if sys.argv[1] == "write":
    files.os.fsync = hold
    files.atomic_write(target, b"half of it")
else:
    with files.atomic_directory(target) as folder:
        (folder / "shard").write_bytes(b"half of it")
        hold()
"""


@pytest.mark.parametrize("kind", ["write", "directory"])
def test_killed_in_the_middle(tmp_path, kind):
    target = tmp_path / "final"
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, kind, str(target)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with child:
        assert child.stdout.readline() == b"inside\n"
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    assert not target.exists()
    # What is left cannot be taken for anything else, and bars no second try.
    assert all(
        name.startswith(".final.") and name.endswith(".tmp")
        for name in names(tmp_path)
    )
    assert names(tmp_path)
    if kind == "write":
        files.atomic_write(target, b"all")
        assert target.read_bytes() == b"all"
    else:
        with files.atomic_directory(target) as folder:
            (folder / "shard").write_bytes(b"all")
        assert (target / "shard").read_bytes() == b"all"


def test_directory_appears_when_complete(tmp_path):
    target = tmp_path / "runs" / "d"
    with files.atomic_directory(target) as folder:
        assert folder.parent == target.parent
        (folder / "sub").mkdir()
        (folder / "sub" / "x").write_text("1")
        assert not target.exists()
    assert (target / "sub" / "x").read_text() == "1"
    assert names(target.parent) == ["d"]


@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt(), InputError("x")])
def test_failed_directory_leaves_nothing(tmp_path, error):
    with (
        pytest.raises(type(error)),
        files.atomic_directory(tmp_path / "d") as folder,
    ):
        (folder / "shard").write_text("half")
        raise error
    assert names(tmp_path) == []


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_directory_on_a_full_disk(tmp_path, monkeypatch, function):
    fill_disk(monkeypatch, function)
    with (
        pytest.raises(OSError, match="No space left"),
        files.atomic_directory(tmp_path / "d") as folder,
    ):
        (folder / "shard").write_text("1")
    assert names(tmp_path) == []


def test_directory_takes_an_empty_folder(tmp_path):
    (tmp_path / "d").mkdir()
    with files.atomic_directory(tmp_path / "d") as folder:
        (folder / "x").touch()
    assert names(tmp_path / "d") == ["x"]


def test_directory_never_overwrites(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "precious").touch()
    (tmp_path / "f").touch()
    for name in ("d", "f"):
        with (
            pytest.raises(InputError, match=f"{name}: exists already"),
            files.atomic_directory(tmp_path / name),
        ):
            pytest.fail("entered")
    assert names(tmp_path) == ["d", "f"]
    assert names(tmp_path / "d") == ["precious"]


def test_where_the_program_runs_is_no_output(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (".", tmp_path, ""):
        with (
            pytest.raises(InputError, match="the program runs there"),
            files.atomic_directory(path),
        ):
            pytest.fail("entered")
    with pytest.raises(InputError, match="the program runs there"):
        work_folder.beside(pathlib.Path("."))


def test_names_that_are_no_text(tmp_path):
    name = os.fsencode(tmp_path) + b"/Pr\xfcfung.png"
    with open(name, "wb"):
        pass
    for source in (str(tmp_path), os.fsdecode(name)):
        with pytest.raises(
            InputError, match=r"Pr.*fung\.png': the name is not"
        ):
            files.list_files(source, (".png",))


def test_directory_filled_meanwhile_is_kept(tmp_path):
    # Two programs write to one name: the second to finish must not win.
    target = tmp_path / "d"
    with (
        pytest.raises(InputError, match="d: exists already"),
        files.atomic_directory(target) as folder,
    ):
        (folder / "x").write_text("second")
        target.mkdir()
        (target / "x").write_text("first")
    assert (target / "x").read_text() == "first"
    assert names(tmp_path) == ["d"]


@pytest.fixture
def pictures(tmp_path):
    for name in ("b.PNG", "a.png", "c.tif", "notes.txt", "sub/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", ["a.png", "b.PNG", "c.tif"]),
        ("*.tif", ["c.tif"]),
        ("*", ["a.png", "b.PNG", "c.tif"]),
        ("**/*.png", ["a.png", "sub/d.png"]),
        ("sub", ["sub/d.png"]),
        ("a.png", ["a.png"]),
    ],
)
def test_list_files(pictures, source, expected):
    found = files.list_files(str(pictures / source), (".png", ".tif"))
    assert [str(path.relative_to(pictures)) for path in found] == expected


def test_list_a_folder_with_brackets_in_its_name(pictures):
    folder = pictures / "slides [40x]"
    folder.mkdir()
    (folder / "e.png").touch()
    found = files.list_files(str(folder), (".png",))
    assert found == [folder / "e.png"]


@pytest.mark.parametrize("pattern", ["sub/*.png", "**/*.png"])
def test_a_pattern_below_a_folder_with_brackets(pictures, monkeypatch, pattern):
    folder = pictures / "HE [2024]" / "sub"
    folder.mkdir(parents=True)
    (folder / "e.png").touch()
    monkeypatch.chdir(pictures)
    for source in (str(pictures / "HE [2024]"), "HE [2024]"):
        (found,) = files.list_files(f"{source}/{pattern}", (".png",))
        assert found.absolute() == folder / "e.png"
    # What the brackets mean elsewhere goes first.
    other = pictures / "HE 2" / "sub"
    other.mkdir(parents=True)
    (other / "f.png").touch()
    found = files.list_files(f"{pictures}/HE [2024]/sub/*.png", (".png",))
    assert found == [other / "f.png"]


def test_home(pictures, monkeypatch):
    monkeypatch.setenv("HOME", str(pictures))
    for source in ("~/a.png", "~/a*", "~/sub/../a*.png"):
        (found,) = files.list_files(source, (".png",))
        assert found.samefile(pictures / "a.png")


@pytest.mark.parametrize("source", ["*.jpg", "missing", "folder.png"])
def test_nothing_to_list(pictures, source):
    with pytest.raises(InputError) as caught:
        files.list_files(str(pictures / source), (".png", ".tif"))
    assert source in str(caught.value)
    assert ".png, .tif" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_hidden_temporaries_are_not_listed(tmp_path):
    (tmp_path / ".a.png.x.png").touch()
    with pytest.raises(InputError):
        files.list_files(str(tmp_path), (".png",))
