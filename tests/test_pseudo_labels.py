"""Pseudo-labels: the judge's opinion in several stains, whole tiles."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf import run_dir, window_read
from histogan_tf.canvas import Reader
from histogan_tf.data import colour, manifest
from histogan_tf.data.dataset import Tiles
from trainer import pseudo_labels, training_data

STYLE = np.zeros(6, np.float32)


def image(seed, height=24, width=20):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def source(random_run):
    run = run_dir.open_run(random_run)
    nothing = manifest.Manifest("", 0, None, {})
    return training_data.TrainingData(run.config(), nothing, run)


@pytest.fixture(scope="module")
def teacher(source):
    return pseudo_labels.teacher(source)


@pytest.fixture(scope="module")
def one_stain(teacher):
    return replace(teacher, stains=0)


def test_an_opinion_in_one_stain_is_what_the_judge_says(one_stain, source):
    found = one_stain.opinion(image(0), STYLE, 0)
    assert found.shape == (24, 20, 3) and found.dtype == np.float32
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)
    judge = Reader(run_dir.load_segmenter(source.run, "judge"))
    np.testing.assert_allclose(found, judge(image(0)), atol=1e-6)


def test_an_opinion_is_the_mean_over_stains_of_training_tiles(
    teacher, one_stain
):
    known = [one_stain.opinion(image(4), STYLE, 0)]
    # Reinhard's formula with each training tile's style in turn.
    old = colour.moments(STYLE).numpy()
    lab = colour.to_lab(image(4) / np.float32(127.5) - 1).numpy()
    for style in teacher.styles.numpy():
        new = colour.moments(style).numpy()
        moved = (lab - old[:3]) / old[3:] * new[3:] + new[:3]
        pixels = np.rint((colour.from_lab(moved).numpy() + 1) * 127.5)
        known.append(one_stain.opinion(pixels.astype(np.uint8), STYLE, 0))
    # The opinion is (known[0] + sum of count * known[1:]) / (1 + stains).
    upright = replace(teacher, turns=False)
    found = upright.opinion(image(4), STYLE, 7)
    rest = (found * (1 + teacher.stains) - known[0]).reshape(-1)
    columns = np.stack([one.reshape(-1) for one in known[1:]], axis=1)
    counts = np.linalg.lstsq(columns, rest, rcond=None)[0]
    np.testing.assert_allclose(counts, np.rint(counts), atol=0.05)
    assert np.rint(counts).sum() == teacher.stains == 5
    other = upright.opinion(image(4), STYLE, 8)
    assert np.abs(found - other).max() > 1e-4


def first_corner(view):
    """A judge that says 1 of the first pixel of what it is shown."""
    found = np.zeros((*view.shape[:2], 1), np.float32)
    found[0, 0] = 1
    return found


def test_each_view_lies_another_way_round(teacher):
    judge = replace(teacher, judge=first_corner)
    found = 6 * judge.opinion(image(5), STYLE, 0)[..., 0]
    # As it is; a quarter turn left shows the right upper corner first, a half
    # the right lower, three quarters the left lower; mirrored, the left lower;
    # a quarter turn and mirrored: transposed, the left upper.
    np.testing.assert_allclose(
        found[[0, 0, -1, -1], [0, -1, -1, 0]], [2, 1, 1, 2]
    )
    assert found.sum() == pytest.approx(6)


def test_symmetries_are_eight_and_come_back():
    tile = image(6)
    seen = []

    def watched(view):
        seen.append(view)
        return view

    for number in range(8):
        np.testing.assert_array_equal(
            pseudo_labels.read_turned(watched, tile, number), tile
        )
    assert len({(view.shape, view.tobytes()) for view in seen}) == 8


def test_large_tiles_are_read_by_windows(source):
    judge = run_dir.load_segmenter(source.run, "judge")
    whole = Reader(judge)
    windows = window_read.of_segmenter(judge, source.config.judge)
    large = image(3, 90, 70)
    asked = []

    def watched(tile):
        asked.append(tile.shape)
        return whole(tile)

    read = pseudo_labels.bounded(watched, windows, 50 * 50, 32)
    np.testing.assert_allclose(read(large), whole(large), atol=1e-4)
    assert not asked
    read(image(3, 50, 50))
    assert asked == [(50, 50, 3)]


def test_a_network_is_asked_in_what_it_knows(source, teacher):
    assert teacher.stains and teacher.turns
    upright = replace(source.config.judge.augment, flips=False)
    judge = replace(source.config.judge, restain=0.0, augment=upright)
    config = replace(source.config, judge=judge)
    found = pseudo_labels.teacher(replace(source, config=config))
    assert found.stains == 0 and not found.turns


def test_tiles_get_labels_and_keep_the_rest(teacher):
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
    told = []
    found = pseudo_labels.labelled(teacher, unlabelled, told.append)
    assert found.count == 2
    assert told[0] == "the judge labels tiles: 0/2"
    assert told[1].startswith("the judge labels tiles: 1/2, about ")
    assert len(told) == 2
    read = list(found.dataset.as_numpy_iterator())
    for place, (tile, one) in enumerate(zip(read, images, strict=True)):
        np.testing.assert_array_equal(tile["image"], one)
        assert (tile["style"] == place).all()
        wanted = 255 * teacher.opinion(one, tile["style"], place)
        assert np.abs(tile["labels"] - wanted).max() <= 0.51
    again = found.draw.fetch(tf.constant(1, tf.int64))["labels"]
    np.testing.assert_array_equal(again, read[1]["labels"])
