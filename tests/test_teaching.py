"""What a segmenter is taught, and the pyramid as its painter."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from small_training import ingest_small, small_config

from histogan_tf.models import other_stain
from histogan_tf.run_dir import RunDir
from trainer import teaching, training_data


@pytest.fixture(scope="module")
def source(phantom_files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("phases")
    manifest = ingest_small(phantom_files, folder / "records")
    return training_data.TrainingData(
        small_config(2), manifest, RunDir(folder / "run")
    )


@pytest.fixture(scope="module")
def random_source(random_run):
    from histogan_tf import run_dir
    from histogan_tf.data import manifest

    run = run_dir.open_run(random_run)
    nothing = manifest.Manifest("", 0, None, {})
    return training_data.TrainingData(run.config(), nothing, run)


def test_lessons_that_the_settings_ask_for(source, monkeypatch):
    monkeypatch.setattr(teaching, "painter", lambda source: None)
    helped = replace(
        source.config.judge, pseudo_labels=True, synthetic=0.5, restain=0.0
    )
    found = {x.name: x.weight for x in teaching.lessons_of(source, helped)}
    # With pseudo-labels every image of the batch teaches something.
    assert found == {"labelled": 1.0, "painted": 0.5}
    (only,) = teaching.lessons_of(source, helped.alone())
    # Half of the batch is labelled, so each labelled image counts twice.
    assert (only.name, only.weight) == ("labelled", 2.0)


def test_a_share_of_none_leaves_images_as_they_are(random_source):
    view = teaching.view(random_source, 0.0)
    assert view is other_stain.as_it_is
    batch = {
        "image": tf.fill([3, 8, 8, 3], 0.2),
        "style": tf.zeros([3, 6]),
        "seed": tf.range(3, dtype=tf.int64),
    }
    moved = teaching.view(random_source, 1.0)(batch) - batch["image"]
    assert float(tf.reduce_max(tf.abs(moved))) > 0.1


def test_the_painter_paints_the_finest_stage(random_source):
    paint = teaching.painter(random_source)
    mask = np.eye(3, dtype=np.float32)[np.zeros((2, 16, 16), int)]
    other = np.zeros((2, 6), np.float32)
    seeds = np.array([1, 2], np.int64)
    images = paint(mask, other, seeds).numpy()
    assert images.shape == (2, 16, 16, 3)
    assert np.abs(images).max() <= 1 and np.ptp(images) > 0
    # The batch's own style is not used; each image's seed decides.
    np.testing.assert_array_equal(images, paint(mask, other + 5, seeds))
    alone = paint(mask[1:], other[1:], seeds[1:])
    np.testing.assert_allclose(images[1:], alone, atol=1e-5)
