"""benchmarks.ingest: what threads do is told apart, and shares add up."""

import sys
import threading

import numpy as np
import pytest

from benchmarks import ingest, ingest_job
from histogan_tf.data import images, manifest, png


def test_tiles_are_ingested_and_watched(tmp_path):
    ingest.write_tiles(tmp_path, 12, 64)
    found = ingest.in_process(tmp_path, 2)
    made = manifest.load(tmp_path / "records")
    held = [len(made.split(s).labelled.images) for s in manifest.SPLITS]
    assert sum(held) == 12
    shown = ingest.figures(found, 12)
    assert shown["peak_memory_mb"] > 50
    assert 0 < shown["seconds"] < shown["seconds_with_start"]
    assert 0 <= shown["share_of_codecs"] <= 1


def test_no_two_tiles_are_alike(tmp_path):
    ingest.write_tiles(tmp_path, 40, 64)
    paths = sorted((tmp_path / "images").iterdir())
    assert len({path.read_bytes() for path in paths}) == 40
    mask = images.read_mask_raw(tmp_path / "masks" / paths[0].name)
    assert mask.shape == (64, 64) and mask.max() < 3


def frame_of(function, *values):
    """The innermost frames of a call, taken when they call C."""
    seen = []

    def look(frame, event, _):
        if event == "c_call" and frame.f_code is not frame_of.__code__:
            seen.append(frame)

    sys.setprofile(look)
    try:
        function(*values)
    finally:
        sys.setprofile(None)
    return seen


def test_codecs_are_told_by_their_callers():
    pixels = np.zeros((8, 8, 3), np.uint8)
    kinds = {ingest_job.kind_of(f) for f in frame_of(png.encode, pixels)}
    assert kinds == {"encoding"}
    data = png.encode(pixels)
    kinds = {ingest_job.kind_of(f) for f in frame_of(png.decode, data)}
    assert "decoding" in kinds


def test_who_waits_does_not_work():
    frames = frame_of(threading.Event().wait, 0.01)
    assert "waiting" in {ingest_job.kind_of(frame) for frame in frames}


def test_shares_by_hand():
    found = ingest.figures(
        {
            "seconds": 10.0,
            "seconds_with_start": 13.0,
            "processor_seconds": 17.0,
            "peak_memory_gib": 0.5,
            "samples": {
                "waiting": 1000,
                "decoding": 50,
                "encoding": 20,
                "TFRecord": 5,
                "tiles.py:describe": 25,
            },
        },
        200,
    )
    assert found["tiles_per_second"] == 20 and found["cores_busy"] == 1.7
    assert found["share_of_codecs"] == pytest.approx(0.75)
    assert found["rest"] == {"tiles.py:describe": 0.25}
    assert found["peak_memory_mb"] == pytest.approx(536.9)
    lines = ingest.table(found).splitlines()[-3:]
    assert [line.split()[-1] for line in lines] == ["MISS", "MISS", "MISS"]
    good = found | {
        "share_of_codecs": 0.8,
        "cores_busy": 1.8,
        "peak_memory_mb": 500,
    }
    lines = ingest.table(good).splitlines()[-3:]
    assert [line.split()[-1] for line in lines] == ["PASS"] * 3
