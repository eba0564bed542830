"""Ingest of slides: bad input, broken slides, a full disk."""

import resource

import pytest
import slide_folder
import tifffile
from slide_folder import annotate, feature, settings

from histogan_tf.data import parts, slide_cutter, slide_ingest, slide_tiles
from histogan_tf.errors import InputError, UnreadableError


@pytest.fixture
def folder(tmp_path):
    return slide_folder.make(tmp_path)


def refuse(folder, message, **change):
    with pytest.raises(InputError, match=message) as caught:
        slide_ingest.ingest_slides(settings(folder, **change))
    assert "\n" not in str(caught.value)
    assert not (folder / "out").exists()


def test_bad_annotations(folder):
    annotate(folder, "p0_a", feature("Tumor", 0, 0, 9, 9))
    refuse(folder, r"p0_a\.geojson: .*'Tumor' \(1\); allowed: stroma, gland")
    annotate(folder, "p0_a", feature("gland", 200, 0, 209, 9))
    refuse(folder, r"p0_a\.geojson: all 1 annotations lie outside the slide")
    annotate(folder, "p0_a")
    refuse(folder, r"p0_a\.geojson: no annotation to use among 0")
    (folder / "a/p0_a.geojson").unlink()
    refuse(folder, r"p0_a\.tif")


def test_nothing_but_ignored_areas(folder):
    for name in ("p0_a", "p0_b", "p1_c"):
        annotate(folder, name, feature("Ignore*", 0, 0, 9, 9))
    refuse(folder, "no tile of train has an annotated pixel")


def test_bad_slides(folder, real_data):
    data = (real_data / "slides/broken.svs").read_bytes()
    (folder / "u/broken.svs").write_bytes(data)
    (folder / "u/p1_d.tif").write_bytes(b"II*\0")
    change = {"group_by": None}
    refuse(
        folder,
        r"cannot read 2 files \(--skip_bad goes on\): .*broken.*p1_d",
        **change,
    )
    made = slide_ingest.ingest_slides(
        settings(folder, skip_bad=True, **change)
    ).manifest
    assert len(made.skipped) == 2
    names = {i.name[:4] for i in made.split("train").unlabelled.images}
    assert "p2_e" in names and "p1_d" not in names


def test_a_tile_that_is_damaged(folder):
    path = folder / "u/p1_d.tif"
    with tifffile.TiffFile(path) as tif:
        start = tif.pages[0].dataoffsets[-1]
    data = bytearray(path.read_bytes())
    data[start : start + 60] = bytes(60)
    path.write_bytes(data)
    refuse(folder, r"cannot read 1 files .*p1_d\.tif: ", tissue=0.0)


def test_the_way_on_that_an_error_offers_keeps_the_parts(folder, monkeypatch):
    def unreadable(self, box):
        if self.slide.name == "p1_d":
            raise UnreadableError(self.slide.path, "a damaged tile")
        return whole(self, box)

    whole = slide_tiles.SlideTiles.read
    monkeypatch.setattr(slide_tiles.SlideTiles, "read", unreadable)
    with pytest.raises(InputError, match=r"p1_d\.tif: a damaged tile"):
        slide_ingest.ingest_slides(settings(folder))
    kept = sorted((folder / ".out.partial").glob("*/*.part"))
    assert kept
    times = [path.stat().st_mtime_ns for path in kept]
    monkeypatch.setattr(
        parts, "write", lambda *_: pytest.fail("a part is stored again")
    )
    seen, assemble = [], slide_ingest._assemble

    def looking(*given):
        seen.extend(path.stat().st_mtime_ns for path in kept)
        return assemble(*given)

    monkeypatch.setattr(slide_ingest, "_assemble", looking)
    slide_ingest.ingest_slides(settings(folder, skip_bad=True))
    assert seen == times


def test_a_full_disk_keeps_the_parts(folder, monkeypatch):
    monkeypatch.setattr(slide_cutter, "PART_PIXELS", 6 * 32 * 32)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Enough for the parts of six tiles, too little for shards.
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            slide_ingest.ingest_slides(settings(folder, shard_mb=1.0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (folder / "out").exists() and not list(folder.glob(".out.*.tmp"))
    assert len(list((folder / ".out.partial").glob("*/*.part"))) == 15
    monkeypatch.setattr(parts, "write", None)  # none is written again
    slide_ingest.ingest_slides(settings(folder, shard_mb=1.0))
    assert (folder / "out").exists()


def test_a_class_without_a_training_pixel_is_noted(folder):
    for name in ("p0_a", "p0_b", "p1_c"):
        annotate(folder, name, feature("gland", 4, 4, 20, 12))
    result = slide_ingest.ingest_slides(settings(folder))
    (note,) = result.notes
    assert note.startswith("class stroma has no training pixel: it cannot be")
    assert "draw a large annotation of it round the others" in note
    only = settings(folder, split="test", unlabelled=None, output=f"{folder}/t")
    assert slide_ingest.ingest_slides(only).notes == ()


def test_output_that_exists(folder):
    (folder / "out").mkdir()
    (folder / "out/mine.txt").write_text("kept")
    with pytest.raises(InputError, match=r"out: exists already"):
        slide_ingest.ingest_slides(settings(folder))
    assert not (folder / ".out.partial").exists()


def test_a_file_given_twice(folder):
    refuse(folder, "given twice", unlabelled=str(folder / "i"))
