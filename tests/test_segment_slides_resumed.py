"""trainer.segment on slides, interrupted: what is done is not done again."""

import collections
import functools
import json
import os
import pathlib

import numpy as np
import pytest
import slide_files
from programs import run_program, segmented

from histogan_tf import outlines, pictures, read_canvas, window_read
from histogan_tf.data import images, tissue
from trainer import segment_files, segment_levels, segment_networks


@pytest.fixture
def segment(random_run, capsys, monkeypatch, tmp_path):
    """Segments all slides of the folder; answers as `run_program`."""
    return functools.partial(
        run_program,
        "trainer.segment",
        capsys,
        monkeypatch,
        run_dir=random_run,
        images=tmp_path / "slides",
        output=tmp_path / "out",
        canvas=True,
        geojson=True,
    )


@pytest.fixture
def write(tmp_path, phantom_files):
    """Writes a slide of 120 x 160 px at 2.5 um/px from a phantom."""

    def write(name, seed):
        tile = images.read_image(phantom_files / f"images/tile_{seed}.png")
        image = np.full((120, 160, 3), 245, np.uint8)
        image[20:100, 40:136] = tile
        path = tmp_path / "slides" / f"{name}.tif"
        path.parent.mkdir(exist_ok=True)
        return slide_files.write_tiled(path, image)

    return write


@pytest.fixture
def slides(write):
    return [write("a", 0), write("b", 1)]


@pytest.fixture
def work(monkeypatch):
    """Counts the calls of all that takes time."""
    counts = collections.Counter()

    def count(owner, name):
        whole = getattr(owner, name)

        def counted(*values, **more):
            counts[name] += 1
            return whole(*values, **more)

        monkeypatch.setattr(owner, name, counted)

    count(segment_networks, "_window_reader")
    count(window_read.WindowReader, "labels")
    count(tissue, "find")
    count(pictures, "overlay")
    count(outlines, "feature_collection")
    count(segment_levels, "class_pixels")
    return counts


def each(count):
    """Every kind of work, for so many slides of one window each."""
    names = (
        "_window_reader", "labels", "find", "overlay", "feature_collection",
        "class_pixels",
    )  # fmt: skip
    return dict.fromkeys(names, count)


def stopped(*_):
    raise KeyboardInterrupt


def interrupt(segment, monkeypatch, owner, name):
    """Runs until `name` is called."""
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, stopped)
        assert segment()[0] == 130


def whole(segment, tmp_path):
    """What an uninterrupted run makes."""
    assert segment(output=tmp_path / "whole")[0] == 0
    return segmented(tmp_path / "whole")


def test_finished_slides_cost_nothing(
    segment, slides, work, monkeypatch, tmp_path
):
    interrupt(segment, monkeypatch, segment_files, "write_areas")
    assert work == each(2)
    assert not (tmp_path / "out").exists()
    work.clear()
    code, _, err = segment()
    assert code == 0, err
    assert not work
    made = segmented(tmp_path / "out")
    assert made == whole(segment, tmp_path)
    assert {"masks/a.ome.tif", "overlays/b.png", "outlines/a.geojson"} <= {
        *made
    }
    assert sorted(p.name for p in tmp_path.iterdir() if p.name[0] == ".") == []
    assert not list((tmp_path / "out").glob(".*"))


def test_a_new_slide_and_a_touched_one(
    segment, slides, write, work, monkeypatch, tmp_path
):
    interrupt(segment, monkeypatch, segment_files, "write_areas")
    kept = (tmp_path / ".out.work").glob("[!.]*/b.*")
    before = {path.name: path.stat().st_mtime_ns for path in kept}
    assert {*before} == {"b.ome.tif", "b.png", "b.geojson"}
    write("c", 2)
    write("a", 2)  # another picture
    os.utime(slides[0], ns=(5, 5))
    work.clear()
    code, text, err = segment()
    assert code == 0, err
    assert "out: 3 slides" in text
    assert work == each(2)
    after = (tmp_path / "out").glob("*/b.*")
    assert {path.name: path.stat().st_mtime_ns for path in after} == before
    assert segmented(tmp_path / "out") == whole(segment, tmp_path)


def test_a_slide_that_is_touched_half_way(
    segment, slides, work, monkeypatch, tmp_path
):
    interrupt(segment, monkeypatch, read_canvas.PyramidWriter, "finish")
    assert (tmp_path / ".out.work" / "masks" / ".a.ome.tif.work").is_dir()
    os.utime(slides[0], ns=(5, 5))
    work.clear()
    assert segment()[0] == 0
    assert work == each(2)
    assert segmented(tmp_path / "out") == whole(segment, tmp_path)


@pytest.mark.parametrize("kind", ["overlays", "masks"])
def test_a_file_that_is_missing_is_made_again(
    segment, slides, work, monkeypatch, tmp_path, kind
):
    interrupt(segment, monkeypatch, segment_files, "write_areas")
    (path,) = (tmp_path / ".out.work" / kind).glob("a.*")
    path.unlink()
    work.clear()
    assert segment()[0] == 0
    assert work["labels"] == work["find"] == int(kind == "masks")
    assert work["overlay"] == 1
    assert segmented(tmp_path / "out") == whole(segment, tmp_path)


def test_a_break_after_the_labels(segment, slides, work, monkeypatch, tmp_path):
    interrupt(segment, monkeypatch, pictures, "overlay")
    work.clear()
    assert segment()[0] == 0
    assert work["labels"] == work["find"] == 1  # of b
    assert segmented(tmp_path / "out") == whole(segment, tmp_path)


def test_of_a_slide_that_is_gone_nothing_is_published(
    segment, slides, work, monkeypatch, tmp_path
):
    interrupt(segment, monkeypatch, segment_files, "write_areas")
    slides[0].unlink()
    work.clear()
    assert segment()[0] == 0
    assert not work
    assert segmented(tmp_path / "out") == whole(segment, tmp_path)
    assert not list((tmp_path / "out").rglob("a.*"))


def test_another_slide_of_the_same_name_is_named(
    segment, slides, write, work, monkeypatch, tmp_path
):
    interrupt(segment, monkeypatch, segment_files, "write_areas")
    other = tmp_path / "elsewhere" / "b.tif"
    other.parent.mkdir()
    other.write_bytes(slides[1].read_bytes())
    work.clear()
    code, _, err = segment(images=other.parent)
    assert code == 2 and not work
    note = tmp_path / ".out.work" / ".notes" / "b.json"
    line = err.splitlines()[-1]
    assert line.startswith(f"error: {note}: unfinished work of another image")
    assert f"image b: {slides[1]} there, {other} now" in line
    note.write_text("{")
    code, _, err = segment()
    assert code == 2 and f"{note}: damaged; remove it" in err
    # As the errors say: without its note a slide is made anew.
    note.unlink()
    assert segment(images=other.parent)[0] == 0
    assert work == each(1)
    (entry,) = json.loads(segmented(tmp_path / "out")["images"])
    assert pathlib.Path(entry["file"]) == other


def test_windows_that_are_finished(segment, write, work, monkeypatch, tmp_path):
    write("case", 0)
    interrupt(segment, monkeypatch, read_canvas.PyramidWriter, "finish")
    assert work["labels"] == 1
    assert not (tmp_path / "out").exists()
    code, _, err = segment(network="pyramid")
    assert code == 2 and "unfinished work of another network" in err
    assert segment()[0] == 0
    assert work["labels"] == 1  # the only window was finished already
    assert (tmp_path / "out" / "masks" / "case.ome.tif").exists()
