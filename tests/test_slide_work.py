"""The work folder: kept, found again, emptied, removed."""

import dataclasses
import os

import pytest

from histogan_tf.data.slide_settings import SlideSettings
from histogan_tf.data.slide_work import work_folder


@pytest.fixture
def job(tmp_path):
    (tmp_path / "a.svs").write_bytes(b"slide")
    settings = SlideSettings("i", "a", "c", str(tmp_path / "out"))
    return settings, [tmp_path / "a.svs"]


def interrupt(settings, files):
    """Begins the work, writes a part and is interrupted."""
    with (
        pytest.raises(KeyboardInterrupt),
        work_folder(settings, files) as folder,
    ):
        (folder / "x.part").write_bytes(b"part")
        raise KeyboardInterrupt


def test_it_goes_when_the_work_is_done(job, tmp_path):
    with work_folder(*job) as folder:
        assert folder == tmp_path / ".out.partial" and folder.is_dir()
    assert not folder.exists()


def test_an_empty_one_goes_in_any_case(job):
    with pytest.raises(ValueError), work_folder(*job) as folder:
        raise ValueError
    assert not folder.exists()


def test_the_same_work_finds_its_parts(job):
    settings, files = job
    interrupt(settings, files)
    again = dataclasses.replace(settings, workers=7, command="another")
    with work_folder(again, files) as folder:
        assert (folder / "x.part").read_bytes() == b"part"


@pytest.mark.parametrize("change", [{"tile_px": 64}, {"seed": 1}])
def test_other_settings_begin_anew(job, change):
    settings, files = job
    interrupt(settings, files)
    other = dataclasses.replace(settings, **change)
    with work_folder(other, files) as folder:
        assert not (folder / "x.part").exists()


def test_changed_files_begin_anew(job):
    settings, files = job
    interrupt(settings, files)
    os.utime(files[0], ns=(1, 1))
    with work_folder(settings, files) as folder:
        assert not (folder / "x.part").exists()
