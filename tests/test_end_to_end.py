"""From images to the report, by the programs, as a user runs them."""

import csv
import functools
import json
import re

import numpy as np
import pytest
import workers
from programs import run_program
from small_training import ingest_small, small_config, variables, write_config

from histogan_tf.data import images
from histogan_tf.data.phantom import CLASSES_FILE

TABLES = CLASSES_FILE.parent
QUICK = {
    "swd_splits": 2,
    "swd_patches": 16,
    "swd_repeats": 1,
    "swd_directions": 8,
    "examples": 2,
}


# Processes that train phases: one that trains all; two at once, each with a
# stage of its own; one that wants a phase that another is training; one whose
# stages are complete; one that trains what is left. Prints exit codes and the
# phases that are complete.
PHASES = """
from histogan_tf import locks, program
from trainer import bars, loop, opening, phases, rejoin, train, watching

data, config = sys.argv[3:]


def start(run, words):
    log = os.open(FOLDER / f"{run}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 2)
    sys.argv = ["train", f"--data={data}", f"--run_dir={FOLDER / run}",
                f"--config={config}", "--precision=float32", *words]
    program.run(train.main)


def train_phases(run, *words):
    return fork(None, lambda: start(run, words))


def show(*children):
    codes = ended(*children)
    names = ("stages/0", "stages/1", "judge", "segmenter")
    whole = [n for n in names if tf.train.latest_checkpoint(
        str(FOLDER / "joined" / n / "checkpoints"))]
    print(codes, whole, flush=True)


show(train_phases("whole"))
pair = [train_phases("joined", f"--stages={k}") for k in (1, 0)]
show(*pair)
with locks.held(FOLDER / "joined/judge/.lock", "test"):
    show(train_phases("joined"))
show(train_phases("joined", "--stages=1,0"))
show(train_phases("joined"))
"""


@pytest.fixture
def programs(tmp_path, capsys, monkeypatch):
    """Runs a program that must succeed; returns what it prints."""
    from tensorflow.python.framework import config as framework

    def run(name, **values):
        code, out, err = run_program(
            f"trainer.{name}", capsys, monkeypatch, **values
        )
        assert code == 0, err
        return out

    yield run
    framework.disable_op_determinism()


def train_and_evaluate(programs, tmp_path, **ingest):
    """Records, a trained run and its report; returns metrics and page."""
    config = write_config(tmp_path / "config.json", small_config())
    run, data = tmp_path / "run", tmp_path / "records"
    programs("ingest", output=data, **ingest)
    programs(
        "train", data=data, run_dir=run, config=config, precision="float32"
    )
    return evaluate(programs, data, run, 1)


def evaluate(programs, data, run, stages):
    """Metrics and the page of a run's report."""
    programs("evaluate", data=data, run_dir=run, split="validation", **QUICK)
    metrics = json.loads((run / "metrics.json").read_text())
    page = (run / "report.html").read_text()
    check_report(run, metrics, page, stages)
    return metrics, page


def check_report(run, metrics, page, stages):
    names = [
        c["name"]
        for c in json.loads((run / "classes.json").read_text())["classes"]
    ]
    networks = ["segmenter", "judge", *(f"stage {k}" for k in range(stages))]
    assert list(metrics["segmentation"]) == networks
    for scores in metrics["segmentation"].values():
        assert scores["classes"] == names and len(scores["dice"]) == len(names)
        known = [d for d in scores["dice"] if d is not None]
        assert known and all(0 <= d <= 1 for d in known)
    # A real-against-real floor takes two images.
    rows = metrics.get("sliced_wasserstein", [])
    many = metrics["protocol"]["images"] > 1
    assert {row["stage"] for row in rows} == set(range(stages * many))
    # One page that needs nothing else: pictures within, no links out.
    assert all(name in page for name in names)
    assert page.count("data:image/png;base64,") >= 2 * stages
    assert not re.search(r'(src|href)="(http|/)', page)
    assert "python -m trainer.train" in page and f"--run_dir={run}" in page
    for phase in (*(f"stages/{k}" for k in range(stages)), "segmenter"):
        assert list((run / phase / "events").glob("*tfevents*"))
        assert (run / phase / "checkpoints" / "ckpt-4.index").exists()


@pytest.fixture(scope="module")
def trained(phantom_files, tmp_path_factory):
    """A folder of records and of runs of two stages; lines that were printed.

    `whole` was trained by one process, `joined` by several.
    """
    folder = tmp_path_factory.mktemp("stages")
    ingest_small(phantom_files, folder / "records", validation=0.4)
    config = write_config(folder / "config.json", small_config(2))
    out, _ = workers.run(PHASES, folder, folder / "records", config)
    return folder, out.splitlines()


def test_phases_that_each_process_trained(trained):
    folder, lines = trained
    stages = "'stages/0', 'stages/1'"
    assert lines == [
        "[0] []",
        f"[0, 0] [{stages}]",
        f"[2] [{stages}]",
        f"[0] [{stages}]",
        f"[0] [{stages}, 'judge', 'segmenter']",
    ], (folder / "joined.log").read_text()
    log = (folder / "joined.log").read_text()
    (refused,) = [x for x in log.splitlines() if x.startswith("error: ")]
    assert "judge/.lock: phase judge is being trained by" in refused
    assert "process " in refused
    # Every command is noted, also of those that began at once.
    assert len((folder / "joined/command.txt").read_text().splitlines()) == 5


def test_runs_that_joined_have_the_weights_of_one_run(trained):
    folder, _ = trained
    for phase in ("stages/0", "stages/1", "judge", "segmenter"):
        one = variables(folder / "whole" / phase)
        two = variables(folder / "joined" / phase)
        assert one.keys() == two.keys()
        for name, value in one.items():
            np.testing.assert_array_equal(value, two[name], err_msg=name)


def test_phantom(trained, programs, phantom_files, tmp_path):
    folder, _ = trained
    data, run = folder / "records", folder / "whole"
    metrics, page = evaluate(programs, data, run, 2)
    assert metrics["protocol"]["images"] == 2
    assert "critic" in page and "epithelium" in page
    use = functools.partial(programs, run_dir=run, mpp=2.5)
    check_synthesis(use, phantom_files, tmp_path)
    check_segmentation(use, phantom_files, tmp_path)
    # All is done: a second start trains nothing and changes nothing.
    checkpoints = run / "stages" / "0" / "checkpoints"
    before = {p: p.stat().st_mtime_ns for p in checkpoints.iterdir()}
    config = folder / "config.json"
    programs(
        "train", data=data, run_dir=run, config=config, precision="float32"
    )
    assert before == {p: p.stat().st_mtime_ns for p in checkpoints.iterdir()}


def check_synthesis(use, files, tmp_path):
    def paint(folder, seed):
        mask = files / "masks" / "tile_0.png"
        use("synthesize", masks=mask, output=folder, seed=seed)
        (path,) = folder.glob("tile_0_*.png")
        return path

    one = paint(tmp_path / "one", 3)
    again, other = paint(tmp_path / "again", 3), paint(tmp_path / "other", 4)
    # 80 x 96 px at 2.5 um/px are 40 x 48 at 5.
    assert images.read_image(one).shape == (40, 48, 3)
    assert one.read_bytes() == again.read_bytes()
    assert one.read_bytes() != other.read_bytes()


def check_segmentation(use, files, tmp_path):
    folder = tmp_path / "segmented"
    source = files / "images" / "tile_4.png"
    use("segment", images=source, output=folder)
    mask = images.read_mask_raw(folder / "masks" / "tile_4.png")
    assert mask.shape == (75, 91) and mask.max() < 3
    assert (folder / "overlays" / "tile_4.png").stat().st_size > 0
    with open(folder / "areas.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    pixels = sorted(int(row["pixels"]) for row in rows)
    assert sum(pixels) == mask.size
    counts = np.bincount(mask.ravel(), minlength=3)
    assert pixels == sorted(counts.tolist())


def test_glas(programs, tmp_path, real_data):
    glas = real_data / "glas"
    metrics, _ = train_and_evaluate(
        programs,
        tmp_path,
        images=glas / "images" / "train_[1-4].png",
        masks=glas / "labels" / "train_[1-4]_anno.png",
        mask_suffix="_anno",
        classes=TABLES / "glas.json",
        groups=glas / "Grade.csv",
        group_column="patient ID",
        mpp=0.62,
        validation=0.25,
        max_labelled=1,
    )
    known = json.loads((tmp_path / "records" / "manifest.json").read_text())
    patients = {
        split: {i["group"] for kind in s.values() for i in kind["images"]}
        for split, s in known["splits"].items()
    }
    assert patients["train"] and patients["validation"]
    assert not patients["train"] & patients["validation"]
    assert len(known["splits"]["train"]["labelled"]["images"]) == 1
    assert metrics["segmentation"]["segmenter"]["classes"] == [
        "background",
        "gland",
    ]


def test_gleason(programs, tmp_path, real_data):
    tiles = real_data / "gleason"
    metrics, page = train_and_evaluate(
        programs,
        tmp_path,
        images=tiles / "images" / "test10[01].jpg",
        masks=tiles / "masks" / "test10[01].png",
        classes=TABLES / "gleason.json",
        mpp=0.5,
        validation=0.5,
    )
    assert "Gleason 3" in page
    # Class 0 is tissue: its pixels are counted like others'.
    known = json.loads((tmp_path / "records" / "manifest.json").read_text())
    (image,) = known["splits"]["validation"]["labelled"]["images"]
    raw = images.read_mask_raw(tiles / "masks" / f"{image['name']}.png")
    counts = np.bincount(raw.ravel(), minlength=5).tolist()
    assert image["class_pixels"] == counts and image["ignored_pixels"] == 0
    dice = metrics["segmentation"]["segmenter"]["dice"]
    assert len(dice) == 5
