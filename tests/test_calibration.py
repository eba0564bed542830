"""Batch norm's statistics of whole tiles, against numpy and one batch's own."""

import types

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf import preprocess
from histogan_tf.canvas import Reader, padding
from histogan_tf.config import NetworkConfig
from histogan_tf.models import layers
from histogan_tf.models.segmenter import Segmenter, no_opinion
from trainer import calibration
from trainer.training_data import TrainingData

CLASSES = 3


@pytest.fixture
def network():
    tf.keras.utils.set_random_seed(1)
    made = Segmenter(NetworkConfig((4, 6)), CLASSES, patch=2)
    made(tf.zeros([1, 8, 8, 3]), no_opinion(tf.zeros([1, 8, 8, 3]), CLASSES))
    return made


def tiles(*shapes):
    rng = np.random.default_rng(0)
    return [
        (rng.uniform(0, 200, (*shape, 3)) * (k + 1) / len(shapes)).astype(
            np.uint8
        )
        for k, shape in enumerate(shapes)
    ]


def padded(network, image):
    size = tf.constant(image.shape)
    pad = padding(size, network.stride, 4 * network.stride)
    return preprocess.to_unit(pad.pad(tf.constant(image)))[None]


def test_one_tile_is_read_as_in_a_batch_of_its_own(network):
    (image,) = tiles((20, 28))
    before = Reader(network)(image)
    calibration.calibrate(network, [image])
    found = Reader(network)(image)
    full = padded(network, image)
    logits = network(full, no_opinion(full, CLASSES), training=True)
    wanted = tf.nn.softmax(logits)[0, 16:36, 16:44]
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert np.abs(found - before).max() > 0.01


def test_a_stage_that_refines_reads_its_tiles_with_an_opinion(network):
    (image,) = tiles((20, 28))
    full = padded(network, image)
    first = network(full, no_opinion(full, CLASSES), training=True)
    shares = tf.nn.softmax(first).numpy()
    halved = shares.reshape(1, 26, 2, 30, 2, CLASSES).mean((2, 4))
    opinion = layers.double(tf.constant(halved))
    wanted = network(full, opinion, training=True)
    calibration.calibrate(network, [image], refines=True)
    np.testing.assert_allclose(network(full, opinion), wanted, atol=1e-3)
    # And it is not what they would be without one.
    norms = calibration._norms(network)
    means = [norm.moving_mean.numpy() for norm in norms]
    calibration.calibrate(network, [image])
    assert max(
        np.abs(norm.moving_mean - mean).max()
        for norm, mean in zip(norms, means, strict=True)
    ) > 0.01  # fmt: skip


def test_statistics_of_several_tiles_by_hand(network):
    images = tiles((20, 28), (24, 24), (40, 17))
    calibration.calibrate(network, images)
    # The first norm reads the halved, widened output of the first layer.
    values = []
    for image in images:
        full = padded(network, image)
        none = tf.zeros([*full.shape[:3], CLASSES])
        both = tf.concat([full, none], -1)
        h = network.first(layers.fold(both, 2))
        h = network.down[0](layers.halve(h)).numpy()
        values.append(h.reshape(-1, 6).astype(np.float64))
    mean = np.mean([v.mean(0) for v in values], axis=0)
    square = np.mean([(v**2).mean(0) for v in values], axis=0)
    norm = network.encoders[0][0].convs[0].norm
    np.testing.assert_allclose(norm.moving_mean, mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        norm.moving_variance, square - mean**2, rtol=1e-3, atol=1e-6
    )


def test_weights_stay_and_statistics_may_be_taken_again(network):
    trained = [v.numpy() for v in network.trainable_variables]
    images = tiles((16, 16), (24, 20))
    calibration.calibrate(network, images)
    first = [v.numpy() for v in network.variables]
    calibration.calibrate(network, images)
    for old, new in zip(first, network.variables, strict=True):
        np.testing.assert_array_equal(old, new)
    for old, new in zip(trained, network.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, new)
    assert len(network.variables) > len(trained)


def source_of(share, counts):
    """The judge's tiles by kind, in a run of such a share of labelled ones."""
    names = [f"t{n}" for n in range(sum(counts))]
    parts = {"labelled": names[: counts[0]], "unlabelled": names[counts[0] :]}
    made = {
        kind: types.SimpleNamespace(
            images=[types.SimpleNamespace(name=name) for name in part]
        )
        for kind, part in parts.items()
    }
    config, alone = (
        types.SimpleNamespace(labelled_share=one) for one in (share, 1.0)
    )
    run = types.SimpleNamespace(config=lambda: config)
    manifest = types.SimpleNamespace(
        split={"train": types.SimpleNamespace(**made)}.get,
        shard_paths=lambda split, kind: [(split, *parts[kind])],
    )
    source = TrainingData(alone, manifest, run)
    object.__setattr__(source, "scale", lambda mpp: mpp)
    return source


@pytest.fixture
def numbers_of(monkeypatch):
    """Numbers of the tiles that are read; tile n is grey of n."""

    def every_nth(shards, mpp, step, first):
        ((split, *names),) = shards
        assert (split, mpp) == ("train", 2.5)
        each = np.array([int(name[1:]) for name in names], np.uint8)
        image = np.tile(each[:, None, None, None], (1, 2, 1030, 3))
        data = tf.data.Dataset.from_tensor_slices({"image": image})
        return data.skip(first).shard(step, 0)

    def numbers(source):
        found = list(calibration.images(source, 2.5))
        assert all(image.shape == (2, 1024, 3) for image in found)
        return [int(image[0, 0, 0]) for image in found]

    monkeypatch.setattr(calibration.dataset, "every_nth", every_nth)
    return numbers


def test_tiles_are_all_that_the_run_knows(numbers_of):
    assert numbers_of(source_of(0.5, (2, 3))) == [0, 1, 2, 3, 4]
    # A run of labelled images alone looks at no other.
    assert numbers_of(source_of(1.0, (2, 3))) == [0, 1]


def test_of_many_tiles_64_at_most_are_read_spread_evenly(numbers_of):
    assert numbers_of(source_of(0.5, (30, 120))) == list(range(0, 150, 3))
    assert len(numbers_of(source_of(1.0, (128, 1)))) <= 64
