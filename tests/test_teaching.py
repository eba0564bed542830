"""What a segmenter is taught, and the pyramid as its painter."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from small_training import ingest_small, small_config

from histogan_tf.run_dir import RunDir
from trainer import sources, teaching


@pytest.fixture(scope="module")
def source(phantom_files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("phases")
    manifest = ingest_small(phantom_files, folder / "records")
    return sources.Source(small_config(2), manifest, RunDir(folder / "run"))


def test_lessons_that_the_settings_ask_for(source, monkeypatch):
    monkeypatch.setattr(teaching, "painter", lambda source: None)
    helped = replace(source.config.judge, pseudo_labels=True, synthetic=0.5)
    found = {x.name: x.weight for x in teaching.lessons_of(source, helped)}
    # With pseudo-labels every image of the batch teaches something.
    assert found == {"labelled": 1.0, "painted": 0.5}
    (only,) = teaching.lessons_of(source, helped.plain())
    # Half of the batch is labelled, so each labelled image counts twice.
    assert (only.name, only.weight) == ("labelled", 2.0)


def test_drawn_styles_belong_to_their_seeds():
    styles = tf.constant(np.arange(18.0).reshape(3, 6), tf.float32)
    seeds = tf.range(200, dtype=tf.int64)
    drawn = teaching.drawn_styles(styles, seeds, 0.0).numpy()
    assert {tuple(row) for row in drawn} == {
        tuple(row) for row in styles.numpy()
    }
    some = teaching.drawn_styles(styles, seeds[50:60], 0.0).numpy()
    np.testing.assert_array_equal(some, drawn[50:60])
    moved = teaching.drawn_styles(styles, seeds, 0.2).numpy() - drawn
    assert np.abs(moved[:, :3]).max() <= 0.2 * 3**0.5 + 1e-5
    assert moved[:, :3].std() == pytest.approx(0.2, rel=0.15)
    assert (moved[:, 3:] == 0).all()


def test_the_painter_paints_the_finest_stage(random_run):
    from histogan_tf import run_dir
    from histogan_tf.data import manifest

    run = run_dir.open_run(random_run)
    paint = teaching.painter(
        sources.Source(run.config(), manifest.Manifest("", 0, None, {}), run)
    )
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
