"""trainer.segment on plain images, interrupted: the same command goes on."""

import functools
import os
import shutil

import pytest
from programs import run_program, segmented

from histogan_tf import rescale, run_dir
from trainer import segment_files, segment_image, segment_networks


@pytest.fixture
def folder(tmp_path, phantom_files):
    """Three images, a, b and c."""
    made = tmp_path / "in"
    made.mkdir()
    for number, name in enumerate("abc"):
        source = phantom_files / "images" / f"tile_{number}.png"
        shutil.copyfile(source, made / f"{name}.png")
    return made


@pytest.fixture
def segment(random_run, folder, capsys, monkeypatch, tmp_path):
    """Segments the folder; answers as `run_program`."""
    return functools.partial(
        run_program,
        "trainer.segment",
        capsys,
        monkeypatch,
        run_dir=random_run,
        images=folder,
        output=tmp_path / "out",
        mpp=2.5,
        geojson=True,
        probabilities=True,
    )


@pytest.fixture
def reads(monkeypatch):
    """Counts the images that the network reads."""
    counted, whole = [], rescale.read_at

    def count(*values):
        counted.append(values)
        return whole(*values)

    monkeypatch.setattr(rescale, "read_at", count)
    return counted


@pytest.fixture
def interrupt(segment, monkeypatch):
    """Runs until a function of `segment_files` is called for the nth time."""

    def run(name, number):
        calls, whole = [], getattr(segment_files, name)

        def failing(*values):
            calls.append(values)
            if len(calls) == number:
                raise KeyboardInterrupt
            return whole(*values)

        with monkeypatch.context() as patch:
            patch.setattr(segment_files, name, failing)
            assert segment()[0] == 130

    return run


def whole(segment, tmp_path):
    """What an uninterrupted run makes."""
    assert segment(output=tmp_path / "whole")[0] == 0
    return segmented(tmp_path / "whole")


def names(letters):
    """The files of these images."""
    kinds = {
        "masks": "png",
        "overlays": "png",
        "outlines": "geojson",
        "probabilities": "tif",
    }
    every = {f"{k}/{n}.{e}" for k, e in kinds.items() for n in letters}
    return every | {"areas.csv", "images"}


# In b, whose mask stands there by then; in c; and when all are finished.
@pytest.mark.parametrize(
    ("name", "number", "left"),
    [
        ("write_objects", 2, 2),
        ("write_probabilities", 3, 1),
        ("write_areas", 1, 0),
    ],
)
def test_what_is_finished_is_not_read_again(
    segment, reads, interrupt, tmp_path, name, number, left
):
    interrupt(name, number)
    assert not (tmp_path / "out").exists()
    assert (tmp_path / ".out.work" / "masks" / "b.png").exists()
    del reads[:]
    code, text, err = segment()
    assert code == 0, err
    assert "out: 3 images" in text and len(reads) == left
    made = segmented(tmp_path / "out")
    assert set(made) == names("abc")
    assert made == whole(segment, tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.name[0] == "."]


def test_images_that_change_go_or_come(
    segment, folder, reads, interrupt, tmp_path
):
    interrupt("write_areas", 1)
    (folder / "b.png").rename(folder / "d.png")
    # As tar restores it: of the old time, whatever is in it.
    then = (folder / "a.png").stat().st_mtime_ns
    shutil.copyfile(folder / "c.png", folder / "a.png")
    os.utime(folder / "a.png", ns=(then, then))
    del reads[:]
    assert segment()[0] == 0
    assert len(reads) == 2
    made = segmented(tmp_path / "out")
    assert set(made) == names("acd")
    assert made["masks/a.png"] == made["masks/c.png"]
    assert made == whole(segment, tmp_path)


def test_other_settings_are_refused(segment, interrupt, tmp_path):
    interrupt("write_areas", 1)
    code, _, err = segment(mpp=5)
    assert code == 2 and "work of another mpp: 2.5 there, 5.0 now" in err
    code, _, err = segment(canvas=True)
    assert code == 2 and "work of another canvas: False there, True now" in err
    assert segment()[0] == 0


def test_an_output_that_is_taken_costs_no_look_at_images(
    segment, tmp_path, monkeypatch
):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("")
    monkeypatch.setattr(segment_image.ImageItem, "look", None)
    code, _, err = segment()
    assert code == 2 and "out: exists already" in err


def test_a_network_is_loaded_once_and_only_to_read(
    segment, interrupt, monkeypatch, tmp_path
):
    interrupt("write_areas", 1)
    segment_networks._image_reader.cache_clear()
    loads, load = [], run_dir.load_segmenter
    monkeypatch.setattr(
        run_dir,
        "load_segmenter",
        lambda *values: loads.append(values) or load(*values),
    )
    assert segment()[0] == 0
    assert not loads
    assert segment(output=tmp_path / "fresh")[0] == 0
    assert len(loads) == 1
