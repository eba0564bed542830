"""Pseudo-labels: the mean of the pyramid's stages, on whole tiles."""

import numpy as np
import tensorflow as tf

from histogan_tf import run_dir
from histogan_tf.data import manifest
from histogan_tf.data.dataset import Tiles
from trainer import pseudo_labels, sources


def image(seed, height=24, width=20):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), np.uint8)


def test_an_opinion_is_the_mean_of_stages_and_views(random_canvas):
    found = pseudo_labels.opinion(random_canvas, image(0))
    assert found.shape == (24, 20, 3) and found.dtype == np.float32
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)
    views = []
    for turn in (0, 2):
        coarse, fine = random_canvas.segment(
            np.ascontiguousarray(np.rot90(image(0), turn))
        )
        big = tf.image.resize(coarse, (24, 20), "bilinear").numpy()
        views.append(np.rot90((big + fine) / 2, -turn))
    np.testing.assert_allclose(found, np.mean(views, axis=0), atol=1e-5)


def test_tiles_get_labels_and_keep_the_rest(random_run, random_canvas):
    run = run_dir.open_run(random_run)
    nothing = manifest.Manifest("", 0, None, {})
    source = sources.Source(run.config(), nothing, run)
    images = [image(1), image(2, 16, 32)]
    blank = (
        {
            "image": one,
            "labels": np.zeros((*one.shape[:2], 3), np.uint8),
            "style": np.full(6, place, np.float32),
        }
        for place, one in enumerate(images)
    )
    unlabelled = Tiles(
        tf.data.Dataset.from_generator(
            lambda: blank,
            output_signature={
                "image": tf.TensorSpec([None, None, 3], tf.uint8),
                "labels": tf.TensorSpec([None, None, 3], tf.uint8),
                "style": tf.TensorSpec([6]),
            },
        ),
        2,
    )
    found = pseudo_labels.labelled_by_pyramid(source, unlabelled)
    assert found.count == 2
    read = list(found.dataset.as_numpy_iterator())
    for place, (tile, one) in enumerate(zip(read, images, strict=True)):
        np.testing.assert_array_equal(tile["image"], one)
        assert (tile["style"] == place).all()
        wanted = 255 * pseudo_labels.opinion(random_canvas, one)
        assert np.abs(tile["labels"] - wanted).max() <= 0.51
    again = found.fetch(tf.constant(1, tf.int64))["labels"]
    np.testing.assert_array_equal(again, read[1]["labels"])


def test_an_opinion_turns_with_its_image(random_canvas):
    found, turned = (
        pseudo_labels.opinion(random_canvas, view)
        for view in (image(3), image(3)[::-1, ::-1])
    )
    np.testing.assert_allclose(turned[::-1, ::-1], found, atol=1e-5)
