"""trainer.evaluate: a run and records in, metrics and a report out."""

import functools
import json
import shutil

import numpy as np
import pytest
from programs import run_program

from histogan_tf.data import phantom
from histogan_tf.data.ingest import ingest
from histogan_tf.data.ingest_settings import IngestSettings

QUICK = {"swd_splits": 2, "swd_patches": 16, "swd_repeats": 1, "examples": 2}


@pytest.fixture(scope="module")
def run(random_run, tmp_path_factory):
    copy = tmp_path_factory.mktemp("evaluated") / "run"
    shutil.copytree(random_run, copy)
    return copy


@pytest.fixture
def evaluate(run, phantom_records, capsys, monkeypatch):
    return functools.partial(
        run_program,
        "trainer.evaluate",
        capsys,
        monkeypatch,
        run_dir=run,
        data=phantom_records,
    )


def not_a_number(token):
    raise ValueError(token)


def test_metrics_and_report(evaluate, run, phantom_records):
    code, text, err = evaluate(**QUICK)
    assert code == 0 and "mask consistency, Dice" in text
    assert "coarser" not in err
    # All but class 0 and, as there is none, the boundary.
    (line,) = [one for one in text.splitlines() if "object Dice" in one]
    assert line.endswith(" (epithelium, lumen merged into one foreground)")
    page = (run / "report.html").read_text()
    assert "epithelium" in page and "stain 3" in page
    written = (run / "metrics.json").read_text()
    metrics = json.loads(written, parse_constant=not_a_number)
    check_layout(metrics)
    truth = json.loads((phantom_records / "manifest.json").read_text())
    assert metrics["protocol"]["data_hash"] == truth["hash"]


def check_layout(metrics):
    assert metrics["protocol"]["images"] == 5
    segmentation = metrics["segmentation"]
    assert list(segmentation) == ["segmenter", "judge", "stage 0", "stage 1"]
    assert segmentation["stage 0"]["mpp"] == 10.0
    # 4 x 40 x 48 px and one of 38 x 46 at 5 um/px; a quarter at stage 0.
    assert segmentation["judge"]["pixels"] == 9428
    assert segmentation["stage 0"]["pixels"] == 2357
    for entry in [*segmentation.values(), metrics["mask_consistency"]]:
        assert entry["classes"] == ["stroma", "epithelium", "lumen"]
        assert len(entry["dice"]) == 3 and entry["images"] == 5
    real = metrics["mask_consistency"]["real"]["dice"]
    assert real == segmentation["judge"]["dice"]
    assert metrics["objects"]["segmenter"]["images"] == 5
    assert metrics["objects"]["segmenter"]["classes"] == ["epithelium", "lumen"]
    rows = metrics["sliced_wasserstein"]
    assert [row["stage"] for row in rows] == [0, 0, 1, 1]
    for row in rows:
        ratio = np.divide(row["distances"], row["floor"])
        np.testing.assert_allclose(row["ratio"], ratio)
    assert "fid" not in metrics


def test_again_with_a_feature_network(evaluate, run, tmp_path):
    """The same numbers, to the last digit; FID, KID and views beside them."""
    import tensorflow as tf

    before = json.loads((run / "metrics.json").read_text())

    network = tf.keras.Sequential(
        [
            tf.keras.layers.InputLayer([16, 16, 3]),
            tf.keras.layers.AveragePooling2D(8),
            tf.keras.layers.Flatten(),
        ]
    )
    network.save(tmp_path / "features.keras")
    code, _, err = evaluate(
        **QUICK, feature_network=tmp_path / "features.keras"
    )
    assert code == 2 and "takes no images of 299 x 299 px" in err
    more = {"feature_size": 16, "views": 2, "min_object_um2": 25}
    code, text, _ = evaluate(
        **QUICK, feature_network=tmp_path / "features.keras", **more
    )
    assert code == 0 and "\nDice of segmenter, 2 views: " in text
    metrics = json.loads((run / "metrics.json").read_text())
    objects = metrics["objects"]
    assert objects.pop("segmenter, 2 views")["images"] == 5
    # One pixel: nothing is less.
    kept = objects["segmenter"]["protocol"]
    assert kept.endswith("at 5 um/px, predicted ones of 25 um2 or more")
    unbounded = before["objects"]["segmenter"]["protocol"]
    assert unbounded.endswith("at 5 um/px, no smallest size")
    objects["segmenter"]["protocol"] = unbounded
    turned = metrics["segmentation"].pop("segmenter, 2 views")
    assert turned["protocol"].endswith("2 views, turned and mirrored")
    for name in set(before) - {"protocol"}:
        assert metrics[name] == before[name]
    assert metrics["fid"]["value"] > 0
    assert metrics["fid"]["images"] == [5, 5] and metrics["fid"]["size"] == 16
    assert metrics["kid"]["subset_size"] == 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"split": "train"}, "split 'train' has no labelled images"),
        ({"split": "all"}, "split"),
        ({"data": "/nowhere"}, "/nowhere/manifest.json"),
        ({"run_dir": "/nowhere"}, "/nowhere/config.json"),
        ({"object_classes": "nerve"}, "'nerve': allowed are stroma"),
        ({"feature_network": "/no.keras"}, "/no.keras: feature network"),
        ({"views": 9}, "views"),
        ({"min_object_um2": "nan"}, "--min_object_um2 nan: 0 um2 or more"),
        ({"swd_levels": 3}, "19 px at stage 0, 5 at level 3"),
    ],
)
def test_bad_flags(evaluate, run, values, message):
    before = sorted(run.iterdir())
    code, _, err = evaluate(**values)
    assert code == 2 and message in err and err.startswith("error: ")
    assert sorted(run.iterdir()) == before


def test_an_untrained_phase_is_named(evaluate, run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "judge")
    code, _, err = evaluate(run_dir=copy)
    assert code == 2 and "judge/checkpoints: no checkpoint" in err


def test_images_coarser_than_the_run_are_measured_with_a_note(
    evaluate, phantom_files, tmp_path
):
    ingest(
        IngestSettings(
            images=str(phantom_files / "images"),
            masks=str(phantom_files / "masks"),
            classes=str(phantom.CLASSES_FILE),
            output=str(tmp_path / "coarse"),
            mpp=6.5,
            split="test",
        )
    )
    code, _, err = evaluate(data=tmp_path / "coarse", **QUICK)
    assert code == 0
    assert ": 6.5 um/px is coarser than the 5 um/px that" in err


def test_the_note_is_of_images_that_are_measured(
    evaluate, phantom_records, tmp_path
):
    """Of five images every third is: the first and the fourth."""
    copy = tmp_path / "records"
    shutil.copytree(phantom_records, copy)
    found = json.loads((copy / "manifest.json").read_text())
    images = found["splits"]["test"]["labelled"]["images"]
    assert len(images) == 5
    images[1]["mpp"], images[3]["mpp"] = 6.5, 6.0
    (copy / "manifest.json").write_text(json.dumps(found))
    code, _, err = evaluate(data=copy, **QUICK, max_images=2)
    assert code == 0
    assert f"{images[3]['name']}: 6 um/px is coarser than the 5 um/px" in err
