"""Work folders: they stay, and know what they are for."""

import contextlib

import pytest

from histogan_tf import locks, work_folder
from histogan_tf.errors import InputError


def test_a_folder_stays_until_all_is_done(tmp_path):
    target = tmp_path / "out"
    with (
        pytest.raises(ValueError, match="half-way"),
        work_folder.lasting_directory(target, {"seed": 1}) as folder,
    ):
        (folder / "one").write_text("1")
        raise ValueError("half-way")
    assert not target.exists()
    with work_folder.lasting_directory(target, {"seed": 1}) as folder:
        assert (folder / "one").read_text() == "1"
        (folder / "two").write_text("2")
    assert sorted(p.name for p in target.iterdir()) == ["one", "two"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_nothing_of_killed_writers_is_published(tmp_path):
    target = tmp_path / "out"
    with work_folder.lasting_directory(target, {}) as folder:
        (folder / "masks" / ".a.tif.work").mkdir(parents=True)
        (folder / "masks" / ".a.tif.work" / ".plan.x1.tmp").write_text("")
        (folder / ".areas.csv.x2.tmp").write_text("")
        (folder / "masks" / "a.tif").write_text("whole")
    found = sorted(str(p.relative_to(target)) for p in target.rglob("*"))
    assert found == ["masks", "masks/a.tif"]


@contextlib.contextmanager
def killed_at_the_end(monkeypatch, target, identity):
    """Work whose folder does not become the target any more."""

    def killed(*_):
        raise KeyboardInterrupt

    with (
        monkeypatch.context() as patch,
        pytest.raises(KeyboardInterrupt),
        work_folder.lasting_directory(target, identity) as folder,
    ):
        yield folder
        patch.setattr(work_folder.os, "replace", killed)


def test_a_kill_at_the_very_end_opens_the_work_to_no_other(
    tmp_path, monkeypatch
):
    target = tmp_path / "out"
    with killed_at_the_end(monkeypatch, target, {"style": 1}):
        pass
    with (
        pytest.raises(InputError, match="another style: 1 there, 2 now"),
        work_folder.lasting_directory(target, {"style": 2}),
    ):
        pass


def test_notes_stay_to_the_very_end_and_are_not_published(
    tmp_path, monkeypatch
):
    target = tmp_path / "out"
    with killed_at_the_end(monkeypatch, target, {}) as folder:
        (folder / work_folder.NOTES).mkdir()
        (folder / work_folder.NOTES / "a.json").write_text("1")
    with work_folder.lasting_directory(target, {}) as folder:
        assert (folder / work_folder.NOTES / "a.json").read_text() == "1"
    assert list(target.iterdir()) == []


def test_a_second_process_is_refused(tmp_path):
    target = tmp_path / "out"
    with work_folder.lasting_directory(target, {}) as folder:
        (folder / "one").write_text("1")
        with (
            pytest.raises(InputError, match=r"out is being made by process \d"),
            work_folder.lasting_directory(target, {}),
        ):
            pass
    assert [p.name for p in tmp_path.rglob("*")] == ["out", "one"]


def test_a_lock_that_its_holder_took_away_is_none(tmp_path, monkeypatch):
    @contextlib.contextmanager
    def too_late(path, what):
        yield

    monkeypatch.setattr(locks, "held", too_late)
    with (
        pytest.raises(InputError, match="another process has just ended here"),
        work_folder.alone(tmp_path / "work", "x"),
    ):
        pass


def test_a_difference_is_told_in_few_words(tmp_path):
    folder = tmp_path / "work"
    work_folder.claim(folder, {"slides": list(range(10**5))})
    with pytest.raises(
        InputError, match=r"slides: \[0, 1, .* \.\.\. there"
    ) as e:
        work_folder.claim(folder, {})
    assert len(str(e.value)) < 400 + len(str(folder))


def test_other_work_is_not_continued(tmp_path):
    folder = tmp_path / "work"
    work_folder.claim(folder, {"seed": 1, "style": (0.5, 1.0)})
    work_folder.claim(folder, {"seed": 1, "style": (0.5, 1.0)})
    with pytest.raises(InputError, match=r"another style: \[0\.5, 1\.0\] th"):
        work_folder.claim(folder, {"seed": 1, "style": (0.5, 1.5)})
    with pytest.raises(InputError, match="another masks: None there, 'a' now"):
        work_folder.claim(
            folder, {"seed": 1, "style": (0.5, 1.0), "masks": "a"}
        )
    (folder / "plan.json").write_text("{")
    with pytest.raises(InputError, match=r"plan\.json: damaged; remove"):
        work_folder.claim(folder, {})


def test_a_target_that_is_taken(tmp_path):
    (tmp_path / "out").mkdir()
    with work_folder.lasting_directory(tmp_path / "out", {}) as folder:
        (folder / "one").write_text("1")
    with (
        pytest.raises(InputError, match="exists already; choose a new folder"),
        work_folder.lasting_directory(tmp_path / "out", {}),
    ):
        pass


@pytest.mark.parametrize("at", ["remove", "sync"])
def test_a_kill_after_the_folder_has_its_name(tmp_path, monkeypatch, at):
    target, identity = tmp_path / "out", {"sizes": (1, 2)}

    def killed(path):
        if at == "remove" or path == target:
            raise KeyboardInterrupt

    with (
        monkeypatch.context() as patch,
        pytest.raises(KeyboardInterrupt),
        work_folder.lasting_directory(target, identity) as folder,
    ):
        (folder / "one").write_text("1")
        (folder / "gone" / "empty").mkdir(parents=True)
        (folder / work_folder.NOTES).mkdir()
        (folder / work_folder.NOTES / "one.json").touch()
        patch.setattr(work_folder, at, killed)
    if at == "sync":  # nothing was left to do
        assert {path.name for path in target.iterdir()} == {"one"}
        with pytest.raises(InputError, match="out: exists already"):
            work_folder.check_free(target)
        return
    assert (target / work_folder.NOTES).exists()
    work_folder.check_free(target)
    with (
        pytest.raises(InputError, match="out: exists already"),
        work_folder.lasting_directory(target, {"sizes": (1, 3)}),
    ):
        pass
    assert (target / "one").exists()  # and stays, as it is not this work's
    with work_folder.lasting_directory(target, identity) as folder:
        assert (folder / "one").read_text() == "1"
    assert {path.name for path in target.iterdir()} == {"one"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_work_that_is_given_up_opens_its_notes_to_no_other(
    tmp_path, monkeypatch
):
    target, remove = tmp_path / "out", work_folder.remove

    def killed(path):
        remove(path)
        raise KeyboardInterrupt

    with (
        pytest.raises(KeyboardInterrupt),
        work_folder.lasting_directory(target, {"style": 1}) as folder,
    ):
        (folder / work_folder.NOTES).mkdir()
        monkeypatch.setattr(work_folder, "remove", killed)
        work_folder.give_up(folder)
    assert (folder / work_folder.PLAN).exists()
    assert not (folder / work_folder.NOTES).exists()
