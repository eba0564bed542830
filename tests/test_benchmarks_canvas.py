"""The canvas benchmark: small canvases, and its arithmetic by hand."""

import dataclasses

import pytest
import tifffile

from benchmarks import canvas, canvas_jobs
from benchmarks.canvas_jobs import Job
from histogan_tf.data import images
from histogan_tf.errors import InputError
from histogan_tf.regions import Layout, Need


def row(kind, side, seconds, memory):
    return {
        "kind": kind,
        "side": side,
        "seconds_per_megapixel": seconds,
        "megapixels_per_second": 1 / seconds,
        "peak_memory_gib": memory,
        "halo_share": 0.21,
        "waiting_share": 0.16,
        "reading_share": 0.02,
        "encoding_writing_share": 0.03,
    }


ROWS = [
    row("paint", 4096, 2.0, 1.0),
    row("read", 4096, 0.5, 1.0),
    row("paint", 16384, 2.1, 1.2),
    row("read", 16384, 0.6, 1.1),
]


def test_canvases_are_painted_and_read(tmp_path):
    job = Job("mask", "tiny", str(tmp_path), 600, 512)
    found = {
        kind: canvas_jobs.run(dataclasses.replace(job, kind=kind))
        for kind in ("mask", "paint", "read")
    }
    # 600 px of 0.5 um/px are 484 of 0.62.
    for kind, shape in (("paint", (600, 600, 3)), ("read", (484, 484))):
        path = tmp_path / f"{kind}_600.ome.tif"
        assert tifffile.imread(path).shape == shape
        made = canvas.row_of(found[kind])
        assert made["kind"] == kind and 0 < made["waiting_share"] < 1
        assert made["peak_memory_gib"] > 0.1
        assert made["side"] == shape[0]
        assert made["seconds_per_megapixel"] * shape[0] ** 2 == pytest.approx(
            made["seconds"] * 1e6, abs=0.02e6
        )
        assert 0 < made["halo_share"] < 1


def test_a_job_in_a_process_of_its_own(tmp_path):
    job = Job("mask", "tiny", str(tmp_path), 100, 512)
    found = canvas.in_process(job)
    assert found["side"] == 100 and found["megapixels"] == 0.01
    with pytest.raises(RuntimeError, match="exists already"):
        canvas.in_process(job)


def test_halo_share_by_hand(tmp_path):
    layout = Layout((Need(2, 4, 4), Need(2, 2, 2)), 2, 16)
    job = Job("paint", "tiny", str(tmp_path), 512, 512)
    found = canvas_jobs.halo_share(layout, [8.0, 1.0], job)
    # Fine: 516 px. Coarse: half of it and 1 a side, to 2's grid: 260, and
    # 4 more a side are 268.
    useful = 512**2 + 8 * 256**2
    assert found == pytest.approx((516**2 + 8 * 268**2) / useful - 1, abs=1e-4)


def test_ratios_and_verdicts():
    assert canvas.ratios(ROWS) == {
        "synthesis": {"peak_memory_gib": 1.2, "seconds_per_megapixel": 1.05},
        "segmentation": {"peak_memory_gib": 1.1, "seconds_per_megapixel": 1.2},
    }
    lines = canvas.table(ROWS).splitlines()[len(ROWS) + 1 :]
    assert [line.split()[-1] for line in lines] == [
        "MISS",
        "PASS",
        "PASS",
        "MISS",
        *["PASS", "MISS"] * 2,
        # 0.48 Mpx/s where 0.5 is wanted, 1.67 where 2.
        "MISS",
        "MISS",
    ]
    assert "synthesis: memory" in lines[0]
    assert "1.200 (target <= 1.15)" in lines[0]
    fast = [one | {"megapixels_per_second": 2.0} for one in ROWS]
    assert [line.split()[-1] for line in canvas.verdicts(fast)[-2:]] == [
        "PASS",
        "PASS",
    ]


def test_chart(tmp_path):
    canvas.chart(tmp_path / "canvas.png", ROWS)
    assert images.read_image(tmp_path / "canvas.png").shape == (400, 900, 3)


@pytest.mark.parametrize(
    "words", [["4096"], ["64", "64"], ["64", "x"], ["9", "99"]]
)
def test_sides(words):
    assert canvas.parse_sides(["128", "64"]) == [64, 128]
    with pytest.raises(InputError, match="two different whole numbers, 64"):
        canvas.parse_sides(words)
