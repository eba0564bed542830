"""Work folders: they stay, and know what they are for."""

import pytest

from histogan_tf import work_folder
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
