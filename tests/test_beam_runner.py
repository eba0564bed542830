"""Apache Beam (its local runners) against this process: the same bytes."""

import os
import pathlib
import sys
import time

import numpy as np
import pytest
import slide_folder
import tifffile
from programs import run_program

from histogan_tf import running
from histogan_tf.data import classes, images, ingest, slide_ingest
from histogan_tf.errors import BusyError, InputError, UnreadableError
from trainer import beam_runner, runners
from trainer.beam_runner import BeamRunner

LOCAL = "--runner=FnApiRunner"


@pytest.fixture
def beam(tmp_path):
    return BeamRunner((LOCAL,), tmp_path / "shared")


def contents(folder):
    """All files below a folder, by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(pathlib.Path(folder).rglob("*"))
        if path.is_file()
    }


def square(item, inside):
    inside(1)
    return item, item**2


def picky(item, inside):
    if item == 2:
        raise UnreadableError("two.png", "no image")
    return item


def slow(item, inside):
    time.sleep(0.4)
    return item


@pytest.mark.parametrize("option", [LOCAL, "--runner=DirectRunner"])
def test_results_come_in_order_and_leave_nothing(option, tmp_path):
    beam = BeamRunner((option,), tmp_path / "shared")
    found = list(beam(square, [5, 3, 8, 1], running.silent))
    assert found == list(running.here(square, [5, 3, 8, 1], running.silent))
    assert found == [(5, 25), (3, 9), (8, 64), (1, 1)]
    assert list(beam.folder.iterdir()) == []
    assert list(beam(square, [], running.silent)) == []


def test_bad_input_is_the_same_error(beam):
    with pytest.raises(UnreadableError, match=r"^two\.png: no image$"):
        list(beam(picky, [1, 2, 3], running.silent))
    assert list(beam.folder.iterdir()) == []


def test_a_worker_works_where_the_program_was_started(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "results").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE", raising=False)

    def work(item, inside):
        pathlib.Path("relative").write_text(os.environ["NVIDIA_TF32_OVERRIDE"])

    beam_runner._do(
        work, tmp_path / "results", str(tmp_path / "here"), (0, None)
    )
    assert (tmp_path / "here" / "relative").read_text() == "0"


def test_an_attempt_waits_until_the_one_before_it_is_over(monkeypatch):
    pauses = []
    monkeypatch.setattr(beam_runner.time, "sleep", pauses.append)

    def work():
        if len(pauses) < 3:
            raise BusyError("a: another process is writing there")
        return "done"

    assert beam_runner._patiently(work) == "done" and len(pauses) == 3
    monkeypatch.setattr(beam_runner, "_PAUSES", 2)
    pauses.clear()
    with pytest.raises(BusyError, match="another process"):
        beam_runner._patiently(work)
    assert len(pauses) == 2


def test_workers_of_other_users_may_write_results(tmp_path):
    def work(item, inside):
        (folder,) = (tmp_path / "shared").iterdir()
        return folder.stat().st_mode & 0o777

    os.umask(old := os.umask(0o022))
    beam = BeamRunner((LOCAL,), tmp_path / "shared")
    assert list(beam(work, [1], running.silent)) == [0o777 & ~old]


def test_progress_is_told_while_beam_is_busy(beam):
    told = []
    list(beam(slow, list(range(8)), told.append))
    assert told == sorted(told) and 0 < told[-1] <= 8


def test_without_beam_the_error_says_so(beam, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(InputError, match="Apache Beam is not installed"):
        list(beam(square, [1], running.silent))


def test_an_unknown_runner_is_named_in_one_line(tmp_path):
    beam = BeamRunner(("--runner=Nonsense",), tmp_path)
    with pytest.raises(
        InputError, match=r"--beam_options: .*Nonsense"
    ) as found:
        list(beam(square, [1], running.silent))
    assert "\n" not in str(found.value)


def test_commands_beside_results_do_not_say_where_it_ran():
    words = ["--mpp=1", "--runner", "beam", "--output", "x y"]
    more = ["--beam_options=--runner=FlinkRunner --a", "--runner=local"]
    assert runners.without(words + more) == ["--mpp=1", "--output", "x y"]


def test_ingest_of_images(beam, tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a", "b", "c", "d"):
        for kind in "im":
            (tmp_path / kind).mkdir(exist_ok=True)
        shape = (8, 10, 3)
        images.write_png(
            tmp_path / "i" / f"{name}.png", rng.integers(0, 256, shape, "uint8")
        )
        images.write_png(
            tmp_path / "m" / f"{name}.png",
            rng.integers(0, 2, shape[:2], "uint8"),
        )
    (tmp_path / "i" / "c.png").write_bytes(b"cut short")

    def made(output, run):
        settings = ingest.IngestSettings(
            images=str(tmp_path / "i"),
            masks=str(tmp_path / "m"),
            classes=classes.__file__.replace(
                "classes.py", "class_tables/glas.json"
            ),
            output=str(tmp_path / output),
            mpp=0.5,
            validation=0.0,
            skip_bad=True,
        )
        ingest.ingest(settings, run=run)
        return contents(tmp_path / output)

    local = made("local", None)
    assert made("beam", beam) == local
    assert b"c.png" in local["manifest.json"]  # as skipped


def test_ingest_of_slides(beam, tmp_path):
    folder = slide_folder.make(tmp_path)
    calls = []
    local, spread = (
        slide_ingest.ingest_slides(
            slide_folder.settings(folder, output=str(folder / name)),
            lambda *call: calls.append(call),
            run,
        )
        for name, run in (("local", running.here), ("beam", beam))
    )
    assert spread.notes == local.notes
    assert contents(folder / "beam") == contents(folder / "local")
    done, total, _ = calls[-1]
    assert done == total > 0


@pytest.fixture
def both(random_run, tmp_path, capsys, monkeypatch):
    """Runs a program here and on Beam; returns the files of both."""

    def run(program, **given):
        found = []
        for runner in ("local", "beam"):
            out = tmp_path / runner / "out"
            out.parent.mkdir()
            code, _, err = run_program(
                program,
                capsys,
                monkeypatch,
                run_dir=random_run,
                output=out,
                runner=runner,
                **given,
            )
            assert code == 0, err
            found.append(contents(out))
            assert [path.name for path in out.parent.iterdir()] == ["out"]
        return found

    return run


def without_output(files, record):
    """Files, but for the record's own output folder in its command."""
    return {name: data for name, data in files.items() if name != record}


def test_segmented_slides(both, tmp_path, phantom_files):
    slides = tmp_path / "slides"
    slides.mkdir()
    for seed in (0, 1):
        tile = images.read_image(phantom_files / "images" / f"tile_{seed}.png")
        tifffile.imwrite(
            slides / f"s{seed}.tif",
            tile,
            photometric="rgb",
            tile=(32, 32),
            resolution=(4000, 4000),
            resolutionunit="CENTIMETER",
        )
    local, beam = both(
        "trainer.segment", images=slides, canvas=True, geojson=True
    )
    assert without_output(beam, "segmentation.json") == without_output(
        local, "segmentation.json"
    )
    assert {"masks/s0.ome.tif", "outlines/s1.geojson"} <= set(local)


def test_painted_canvases(both, tmp_path):
    mask = np.kron(
        np.random.default_rng(0).integers(0, 3, (5, 6), np.uint8),
        np.ones((8, 8), np.uint8),
    )
    images.write_png(tmp_path / "m.png", mask)
    local, beam = both(
        "trainer.synthesize",
        masks=tmp_path / "m.png",
        class_ids=True,
        canvas=True,
        samples=2,
    )
    assert without_output(beam, "synthesis.json") == without_output(
        local, "synthesis.json"
    )
    assert {"m_0.ome.tif", "m_1.ome.tif"} <= set(local)


def test_images(both, phantom_files):
    given = {"mpp": 2.5, "geojson": True, "probabilities": True}
    pictures = phantom_files / "images" / "tile_[234].png"
    local, beam = both("trainer.segment", images=pictures, **given)
    assert without_output(beam, "segmentation.json") == without_output(
        local, "segmentation.json"
    )
    assert {"masks/tile_2.png", "probabilities/tile_3.tif"} <= set(local)


def test_painted_images(both, phantom_files):
    masks = phantom_files / "masks" / "tile_[34].png"
    given = {"mpp": 2.5, "samples": 2, "stages": True}
    local, beam = both("trainer.synthesize", masks=masks, **given)
    assert without_output(beam, "synthesis.json") == without_output(
        local, "synthesis.json"
    )
    assert {"tile_3_1.png", "stages/0/tile_4_0.png"} <= set(local)
