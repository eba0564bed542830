"""The rivals and the product in the semi-supervised benchmark, in small."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from small_training import ingest_small, small_config

from benchmarks import semi_parts
from benchmarks.semi_cps import CrossModel
from benchmarks.semi_methods import METHODS, Work
from histogan_tf.canvas import Reader
from histogan_tf.models import lessons, losses
from histogan_tf.models.lessons import Lesson


@pytest.fixture(scope="module")
def records(phantom_files, tmp_path_factory):
    return ingest_small(
        phantom_files, tmp_path_factory.mktemp("methods") / "records"
    )


def make_work(records, folder, name):
    return Work(
        small_config(1), records, folder / name, folder / "x_supervised"
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where all methods' runs lie side by side, as in the benchmark."""
    return tmp_path_factory.mktemp("runs")


@pytest.mark.parametrize("name", METHODS)
def test_a_method_trains_once_and_reads_images(name, records, folder):
    work = make_work(records, folder, f"x_{name}")
    network = METHODS[name](work)
    image = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
    found = Reader(network)(image)
    assert found.shape == (24, 24, 3) and np.isfinite(found).all()
    steps = tf.train.latest_checkpoint(
        str(work.folder / "segmenter" / "checkpoints")
    )
    assert steps.endswith("-4")
    # The second call finds the same weights and trains nothing.
    again = METHODS[name](work)
    for one, two in zip(network.variables, again.variables, strict=True):
        np.testing.assert_array_equal(one, two, err_msg=one.name)
    stages = (work.folder / "stages").exists()
    assert stages == name.startswith("histogan")


def test_unlabelled_styles_are_kept_from_the_labelled_only(
    records, folder, tmp_path
):
    work = make_work(records, tmp_path, "styles")
    both = work.source(work.config, tmp_path / "both").run
    names = [s["name"] for s in both.read_json(both.data_path)["styles"]]
    assert len(names) == 4
    stains = make_work(records, folder, "x_supervised+restain")
    METHODS["supervised+restain"](stains)  # trained above, if that ran
    path = stains.folder / both.data_path.name
    assert len(both.read_json(path)["styles"]) == 4
    alone = replace(work.config, labelled_share=1.0)
    run = work.source(alone, tmp_path / "alone").run
    kept = [s["name"] for s in run.read_json(run.data_path)["styles"]]
    labelled = records.split("train").labelled.images
    assert kept == [i.name for i in labelled] and len(kept) == 2


def test_parts_take_over_the_stages_of_the_whole(records, folder):
    whole = make_work(records, folder, "x_histogan")
    METHODS["histogan"](whole)  # trained by the test above, if that ran
    part = make_work(records, folder, "x_no_painting")
    semi_parts.method(semi_parts.PARTS["no_painting"])(part)
    for work in (whole, part):
        assert (work.folder / "segmenter" / "checkpoints").exists()
    one, other = (
        (w.folder / "stages/0/checkpoints/ckpt-4.index").read_bytes()
        for w in (whole, part)
    )
    assert one == other
    # Taken over, not trained: only the segmenter has seconds.
    times = json.loads((part.folder / "seconds.json").read_text())
    assert list(times) == ["segmenter"]


def test_cps_by_hand():
    settings, rates = small_config().segmenter, small_config().optimizer
    weights = tf.constant([1.0, 2.0, 3.0])
    real = Lesson("labelled", 2.0, lessons.labelled(weights))
    model = CrossModel(settings, rates, real, 1.5, 0.0, weights)
    rng = np.random.default_rng(1)
    labels = np.eye(3, dtype=np.float32)[rng.integers(0, 3, (2, 8, 8))]
    labels[1] = 0
    batch = {
        "image": tf.constant(rng.uniform(-1, 1, (2, 8, 8, 3)), tf.float32),
        "labels": tf.constant(labels),
    }
    one, two = (
        model.read(n, batch["image"]) for n in (model.segmenter, model.partner)
    )
    assert np.abs(one - two).max() > 1e-3  # other first weights
    crossed = 0.0
    for own, other in ((one, two), (two, one)):
        hard = tf.one_hot(tf.argmax(other, -1), 3)
        crossed += losses.cross_entropy(own, hard, weights).numpy().sum()
    terms = model.test_step(batch)
    assert float(terms["segmenter/cross"]) == pytest.approx(
        1.5 * crossed / 2, rel=1e-4
    )
    fit = lessons.fit(two, batch["labels"], weights).numpy()
    assert float(terms["segmenter/second"]) == pytest.approx(
        2 * fit.sum() / 2, rel=1e-4
    )
    before = [v.numpy() for v in model.partner.trainable_variables]
    model.train_step(batch)
    after = model.partner.trainable_variables
    assert any(
        (a.numpy() != b).any() for a, b in zip(after, before, strict=True)
    )
