"""The work folder of an ingest: kept, found again, refused, removed."""

import dataclasses
import os
import pathlib

import pytest
import slide_folder

from histogan_tf import running
from histogan_tf.data import classes, slide_cutter
from histogan_tf.data.manifest import Skipped
from histogan_tf.data.pairs import ImageFiles
from histogan_tf.data.slide_cutter import Job
from histogan_tf.data.slide_grid import TilePlace
from histogan_tf.data.slide_settings import SlideSettings
from histogan_tf.data.slide_work import Keeper, keeping
from histogan_tf.errors import InputError

TABLE = classes.from_json(slide_folder.CLASSES, "c")


@pytest.fixture
def job(tmp_path):
    """Slides a, annotated, and b."""
    for name in ("a.svs", "a.geojson", "b.svs"):
        (tmp_path / name).write_bytes(name.encode())
    settings = SlideSettings(
        images="i", annotations="a", classes="c", output=str(tmp_path / "out")
    )
    a = ImageFiles(tmp_path / "a.svs", "p1", tmp_path / "a.geojson")
    b = ImageFiles(tmp_path / "b.svs", "")
    return settings, TABLE, [Job(a, "train"), Job(b, "train")]


def interrupt(settings, table, jobs):
    """Begins the work, keeps a part of each slide and is interrupted."""
    with (
        pytest.raises(KeyboardInterrupt),
        keeping(settings, table, jobs) as slides,
    ):
        for slide in slides:
            slide.folder.mkdir()
            (slide.folder / "x.part").write_bytes(
                slide.job.source.name.encode()
            )
        raise KeyboardInterrupt


def kept(settings, table, jobs):
    """The slides of which something is there."""
    with keeping(settings, table, jobs) as slides:
        there = [s for s in slides if s.folder.exists()]
        assert len(list(slides[0].folder.parent.iterdir())) == 1 + len(there)
        for slide in there:
            data = (slide.folder / "x.part").read_bytes()
            assert data == slide.job.source.name.encode()
        return [slide.job.source.name for slide in there]


def replaced(jobs, **change):
    """The first slide with other values."""
    source = dataclasses.replace(jobs[0].source, **change)
    return [Job(source, "train"), jobs[1]]


def test_it_goes_when_the_work_is_done(job, tmp_path):
    with keeping(*job) as slides:
        folder = tmp_path / ".out.partial"
        assert {slide.folder.parent for slide in slides} == {folder}
        assert folder.is_dir()
    assert not list(tmp_path.glob(".*"))


def test_an_empty_one_goes_in_any_case(job, tmp_path):
    with pytest.raises(ValueError), keeping(*job):
        raise ValueError
    assert not list(tmp_path.glob(".*"))


def test_the_same_work_finds_its_parts(job):
    settings, table, jobs = job
    interrupt(*job)
    again = dataclasses.replace(
        settings, workers=7, command="another", seed=3, skip_bad=True
    )
    order = [Job(jobs[1].source, "validation"), jobs[0]]
    assert kept(again, table, order) == ["b", "a"]


@pytest.mark.parametrize("name", ["a.svs", "a.geojson"])
def test_a_slide_that_changed_loses_its_own_parts(job, tmp_path, name):
    interrupt(*job)
    os.utime(tmp_path / name, ns=(1, 1))
    assert kept(*job) == ["b"]


def test_other_annotations_or_patients_lose_the_slides_parts(job, tmp_path):
    settings, table, jobs = job
    for change in ({"mask": None}, {"group": "p2"}):
        interrupt(*job)
        assert kept(settings, table, replaced(jobs, **change)) == ["b"]
        assert not (tmp_path / ".out.partial").exists()


def test_slides_come_and_go(job, tmp_path):
    settings, table, (a, b) = job
    interrupt(settings, table, [a, b])
    (tmp_path / "c.svs").write_bytes(b"c")
    c = Job(ImageFiles(tmp_path / "c.svs", ""), "train")
    assert kept(settings, table, [c, b]) == ["b"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tile_px": 64}, "another tile_px: 1024 there, 64 now; remove the"),
        ({"tissue": 0.5}, r"another tissue: 0\.1 there, 0\.5 now"),
        ({"images": "j"}, "another images: 'i' there, 'j' now"),
    ],
)
def test_other_settings_are_refused(job, tmp_path, change, message):
    settings, table, jobs = job
    interrupt(*job)
    other = dataclasses.replace(settings, **change)
    with pytest.raises(InputError, match=message) as error:
        kept(other, table, jobs)
    assert str(tmp_path / ".out.partial") in str(error.value)
    assert kept(*job) == ["a", "b"]


def test_other_classes_are_refused(job):
    settings, table, jobs = job
    interrupt(*job)
    other = dataclasses.replace(table, classes=table.classes[:1])
    with pytest.raises(InputError, match="unfinished work of another classes"):
        kept(settings, other, jobs)
    assert kept(*job) == ["a", "b"]


def test_a_second_process_is_refused(job, tmp_path):
    settings, table, jobs = job
    other = dataclasses.replace(settings, tile_px=64)
    with keeping(*job) as slides:
        slides[0].folder.mkdir()
        with (
            pytest.raises(InputError, match=r"out is being made by process \d"),
            keeping(other, table, jobs),
        ):
            pass
        assert slides[0].folder.exists()
    assert not list(tmp_path.glob(".*"))


def test_an_output_that_exists_is_refused(job, tmp_path):
    interrupt(*job)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("")
    with pytest.raises(InputError, match="exists already"):
        kept(*job)
    (tmp_path / "out" / "mine").unlink()
    assert kept(*job) == ["a", "b"]


def test_a_search_is_kept(job, monkeypatch):
    answers = [
        ([TilePlace(1, 2, 3, 4)], ["a note"]),
        Skipped("b.svs", "cut short"),
    ]
    asked = []

    def search(self, job, inside):
        asked.append(job.source.name)
        return answers[job.source.name == "b"]

    monkeypatch.setattr(slide_cutter.Cutter, "search", search)
    keeper = Keeper(job[1], job[0])
    with keeping(*job) as slides:
        for _ in range(2):
            found = [keeper.search(slide, running.silent) for slide in slides]
            assert found == answers
        # What could not be read is tried again.
        assert asked == ["a", "b", "b"]
        pathlib.Path(slides[0].folder, "search.json").write_text("{")
        assert keeper.search(slides[0], running.silent) == answers[0]
