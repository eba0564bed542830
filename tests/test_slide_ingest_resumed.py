"""Ingest of slides, interrupted: what is kept, the same bytes at the end."""

import collections

import pytest
import slide_files
import slide_folder
from slide_folder import annotate, feature, settings

from histogan_tf.data import parts, slide_cutter, slide_ingest, slide_tiles


@pytest.fixture
def folder(tmp_path):
    return slide_folder.make(tmp_path)


def contents(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


@pytest.mark.parametrize("failing", [0, 1, 3])
def test_an_interrupted_run_goes_on(folder, monkeypatch, failing):
    monkeypatch.setattr(slide_cutter, "PART_PIXELS", 6 * 32 * 32)
    slide_ingest.ingest_slides(settings(folder, output=str(folder / "whole")))
    write, count = parts.write, 0

    def fails(path, tiles):
        nonlocal count
        count += 1
        if count == failing + 1:
            raise KeyboardInterrupt
        write(path, tiles)

    monkeypatch.setattr(parts, "write", fails)
    with pytest.raises(KeyboardInterrupt):
        slide_ingest.ingest_slides(settings(folder))
    assert not (folder / "out").exists()
    kept = sorted((folder / ".out.partial").glob("*/*.part"))
    times = [path.stat().st_mtime_ns for path in kept]
    assert len(kept) == failing
    count = -100
    again = []
    slide_ingest.ingest_slides(
        settings(folder, workers=3), lambda *call: again.append(call)
    )
    # Five slides of three parts; those kept were not written again.
    assert count + 100 == 15 - failing and len(times) == failing
    assert again[-1][0] == 75
    assert contents(folder / "out") == contents(folder / "whole")
    assert not (folder / ".out.partial").exists()


@pytest.fixture
def cut(monkeypatch):
    """Notes which slides are searched and whose tiles are read."""
    searched, read = [], []
    search, load = slide_tiles.SlideTiles.boxes, slide_tiles.SlideTiles.read

    def boxes(self):
        searched.append(self.slide.name)
        return search(self)

    def tile(self, box):
        read.append(self.slide.name)
        return load(self, box)

    monkeypatch.setattr(slide_tiles.SlideTiles, "boxes", boxes)
    monkeypatch.setattr(slide_tiles.SlideTiles, "read", tile)
    return searched, read


def interrupt_at_the_end(folder, monkeypatch, **change):
    """All parts are stored, but no shard."""
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(slide_ingest, "_assemble", stopped)
        slide_ingest.ingest_slides(settings(folder, **change))


def stopped(*_):
    raise KeyboardInterrupt


def whole(folder):
    """What an uninterrupted run makes of the slides as they are now."""
    made = settings(folder, output=str(folder / "whole"))
    slide_ingest.ingest_slides(made)
    return contents(folder / "whole")


def test_only_slides_that_changed_are_cut_again(folder, cut, monkeypatch):
    interrupt_at_the_end(folder, monkeypatch)
    for seen in cut:
        assert {*seen} == {"p0_a", "p0_b", "p1_c", "p1_d", "p2_e"}
        seen.clear()
    # One is re-saved, one annotated anew, one new, one gone.
    image = slide_files.painted(96, 160, 8)
    for name in ("p1_d", "p3_f"):
        slide_files.write_pages(folder / "u" / f"{name}.tif", [image], 4.0)
    annotate(folder, "p0_b", feature("gland", 0, 0, 50, 50))
    (folder / "u" / "p2_e.tif").unlink()
    slide_ingest.ingest_slides(settings(folder))
    searched, read = cut
    assert sorted(searched) == ["p0_b", "p1_d", "p3_f"]
    assert collections.Counter(read) == {n: 15 for n in searched}
    assert contents(folder / "out") == whole(folder)


def test_a_slide_of_another_patient_is_cut_again(folder, cut, monkeypatch):
    names = ("p0_a", "p0_b", "p1_c", "p1_d", "p2_e")
    rows = [f"{name},{name[:2]}" for name in names]
    table = folder / "groups.csv"
    change = {
        "group_by": None, "groups": str(table), "group_column": "patient",
    }  # fmt: skip
    table.write_text("\n".join(["name,patient", *rows]))
    interrupt_at_the_end(folder, monkeypatch, **change)
    cut[0].clear()
    table.write_text("\n".join(["name,patient", *rows[:-1], "p2_e,p7"]))
    made = slide_ingest.ingest_slides(settings(folder, **change)).manifest
    assert cut[0] == ["p2_e"]
    assert "p7" in made.groups("train") and "p2" not in made.groups("train")


def test_another_draw_goes_on_with_the_same_tiles(folder, cut, monkeypatch):
    interrupt_at_the_end(folder, monkeypatch, seed=7, validation=0.0)
    for seen in cut:
        seen.clear()
    slide_ingest.ingest_slides(settings(folder))
    assert cut == ([], [])
    assert contents(folder / "out") == whole(folder)
