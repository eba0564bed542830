"""Signatures that segment: the library's answers, and refusals."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from histogan_tf.data import dataset, png, records
from histogan_tf.metrics import segmentation
from serving import samples
from serving.segment_signatures import SegmentSignatures

LIMIT = 2**14


@pytest.fixture(scope="module")
def graphs(random_networks):
    made = random_networks
    return SegmentSignatures(made.reader, made.scale, LIMIT).graphs()


@pytest.fixture(scope="module")
def read(random_networks):
    return random_networks.reader


def test_bytes_of_images_of_any_size_and_kind(graphs, read):
    colour = samples.image_of(37, 50, 1)
    grey = samples.image_of(20, 9, 2)[..., 0]
    alpha = np.dstack([samples.image_of(1, 1, 3), [[90]]]).astype(np.uint8)
    jpeg = cv2.imencode(".jpg", colour)[1]
    images = [
        colour,
        np.repeat(grey[..., None], 3, axis=2),
        # cv2 writes blue first; 90 of 255 on white.
        np.rint(alpha[..., 2::-1] * (90 / 255) + 165).astype(np.uint8),
        cv2.imdecode(jpeg, cv2.IMREAD_COLOR)[..., ::-1],
    ]
    data = [
        png.encode(colour),
        png.encode(grey),
        cv2.imencode(".png", alpha)[1].tobytes(),
        jpeg.tobytes(),
    ]
    found = graphs["segment"](data)
    assert found["areas"].shape == (4, 3) and len(found["mask_bytes"]) == 4
    for place, image in enumerate(images):
        wanted = read(np.ascontiguousarray(image)).argmax(-1)
        mask = png.decode(found["mask_bytes"][place].numpy())
        np.testing.assert_array_equal(mask, wanted)
        shares = [(wanted == c).mean() for c in range(3)]
        np.testing.assert_allclose(found["areas"][place], shares, atol=1e-6)


def test_an_empty_batch(graphs):
    found = graphs["segment"](tf.zeros([0], tf.string))
    assert found["mask_bytes"].shape == (0,) and found["areas"].shape == (0, 3)


def test_tensors_of_bytes_and_of_floats(graphs, read):
    images = np.stack([samples.image_of(23, 18, seed) for seed in range(3)])
    wanted = np.stack([read(image) for image in images])
    units = (images / 127.5 - 1).astype(np.float32)
    for name, values in (("segment_tensor", images), ("segment_float", units)):
        found = graphs[name](values)["probabilities"]
        assert found.dtype == tf.float32
        np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "images", "text"),
    [
        ("segment_float", np.full((1, 8, 8, 3), 200.0), r"in \[-1, 1\]"),
        ("segment_float", np.full((1, 8, 8, 3), np.nan), r"in \[-1, 1\]"),
        ("segment_float", np.zeros((1, 129, 128, 3)), "129 x 128 pixels"),
        ("segment_tensor", np.zeros((1, 129, 128, 3)), "129 x 128 pixels"),
        ("segment_tensor", np.zeros((1, 0, 8, 3)), "0 x 8 pixels"),
    ],
)
def test_bad_tensors(graphs, name, images, text):
    kind = np.uint8 if name == "segment_tensor" else np.float32
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        graphs[name](images.astype(kind))


def test_one_bad_image_fails_its_batch(graphs):
    data = [png.encode(samples.image_of(8, 8, 0)), b"no image"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="neither PNG"):
        graphs["segment"](data)


def tile(height=40, width=50, mpp=5.0, **other):
    values = {
        "name": "tile",
        "image": samples.image_of(height, width, 1),
        "mask": samples.mask_of(height, width, 3, 1),
        "mpp": mpp,
    }
    return records.Tile(**(values | other))


def test_examples_score_as_the_library_does(graphs, read):
    tiles = [tile(), tile(mpp=2.5), tile(mask=None)]
    found = graphs["examples"]([records.encode(t) for t in tiles])
    first = segmentation.confusion_matrix(
        tiles[0].mask, read(tiles[0].image).argmax(-1), 3
    )
    np.testing.assert_array_equal(found["confusion"][0], first)
    np.testing.assert_allclose(
        found["dice"][0], segmentation.dice(first), rtol=1e-6
    )
    np.testing.assert_array_equal(found["pixel_counts"][0], first.sum(1))
    # At half the um/px, the network sees a quarter of the pixels, as it does
    # in training.
    scale = dataset.Scale(5.0, 10.0, 3)
    seen = dataset.at_scale(
        {
            "image": tf.constant(tiles[1].image),
            "mask": tf.constant(tiles[1].mask),
            "mpp": tf.constant(2.5),
        },
        scale,
    )
    assert seen["image"].shape == (20, 25, 3)
    labels = seen["labels"].numpy()
    truth = np.where(labels.sum(-1, int) < 127, 255, labels.argmax(-1))
    second = segmentation.confusion_matrix(
        truth, read(seen["image"].numpy()).argmax(-1), 3
    )
    np.testing.assert_array_equal(found["confusion"][1], second)
    # Nothing is known of an unlabelled tile.
    assert not found["confusion"][2].numpy().any()
    assert np.isnan(found["dice"][2]).all()


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (tile(mpp=1000.0), "8000 x 10000 pixels"),
        (tile(mpp=float("nan")), "1 to 16384 pixels"),
        (tile(mpp=0.0), "0 x 0 pixels"),
        (tile(height=129, width=128), "129 x 128 pixels"),
        (tile(image=samples.image_of(8, 8, 0)), "differ in size"),
        (tile(mask=np.full((40, 50), 3, np.uint8)), "mask: 3 is no class id"),
    ],
)
def test_bad_examples(graphs, bad, text):
    serialized = records.encode(bad)
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        graphs["examples"]([serialized])


def test_an_example_that_is_none(graphs):
    with pytest.raises(tf.errors.InvalidArgumentError):
        graphs["examples"]([b"no example"])
