"""FID and KID against closed forms; networks saved and loaded."""

import dataclasses
import json

import numpy as np
import pytest

from histogan_tf.errors import InputError
from histogan_tf.metrics import features


def whitened(count: int, width: int, seed: int) -> np.ndarray:
    """[n, d] with mean 0 and covariance exactly the identity."""
    x = np.random.default_rng(seed).normal(size=(count, width))
    x -= x.mean(axis=0)
    q = np.linalg.qr(x)[0]
    return q * np.sqrt(count - 1)


def test_fid_of_commuting_gaussians():
    # Diagonal covariances: |m|^2 + sum (s1 - s2)^2.
    one = whitened(60, 4, 0) * [1, 2, 3, 4] + [5, 0, 0, 0]
    two = whitened(50, 4, 1) * [2, 2, 1, 1] + [0, 0, 2, 0]
    expected = 25 + 4 + 1 + 0 + 4 + 9
    assert features.frechet_distance(one, two) == pytest.approx(expected)


def test_fid_by_the_eigenvalues_of_the_product():
    rng = np.random.default_rng(2)
    one = rng.normal(size=(40, 5)) @ rng.normal(size=(5, 5))
    two = rng.normal(size=(30, 5)) @ rng.normal(size=(5, 5)) + 1.0
    a, b = np.cov(one.T), np.cov(two.T)
    roots = np.sqrt(np.linalg.eigvals(a @ b).real).sum()
    step = one.mean(axis=0) - two.mean(axis=0)
    expected = step @ step + np.trace(a) + np.trace(b) - 2 * roots
    assert features.frechet_distance(one, two) == pytest.approx(expected)
    assert features.frechet_distance(two, one) == pytest.approx(expected)


def test_fid_of_fewer_images_than_features():
    rng = np.random.default_rng(3)
    one = rng.normal(size=(6, 50))
    assert features.frechet_distance(one, one) == pytest.approx(0, abs=1e-9)
    assert features.frechet_distance(one, one + 2) == pytest.approx(200)


def test_mmd_by_hand():
    # d = 1: k(x, y) = (x y + 1)^3. Within {0, 1}: k(0, 1) = 1.
    # Within {1, 2}: k(1, 2) = 27. Across: 1, 1, 8, 27, mean 37/4.
    found = features.squared_mmd(np.array([[0.0], [1]]), np.array([[1.0], [2]]))
    assert found == pytest.approx(1 + 27 - 2 * 37 / 4)


def test_kid_divides_by_the_dimensions():
    # d = 2: k((1, 1), (1, 1)) = (2 / 2 + 1)^3 = 8 everywhere.
    one, two = np.ones((3, 2)), np.zeros((3, 2))
    assert features.squared_mmd(one, two) == pytest.approx(8 + 1 - 2)


def test_kid_of_all_rows_is_the_mmd():
    rng = np.random.default_rng(4)
    one, two = rng.normal(size=(9, 3)), rng.normal(size=(9, 3)) + 1
    found = features.kernel_distance(one, two, subset_size=9, subsets=3)
    assert found.mean == pytest.approx(features.squared_mmd(one, two))
    assert found.deviation == pytest.approx(0.0, abs=1e-12)


def test_kid_is_unbiased_and_seeded():
    rng = np.random.default_rng(5)
    one, two = rng.normal(size=(400, 3)), rng.normal(size=(400, 3))
    same = features.kernel_distance(one, two)
    assert (same.subset_size, same.subsets) == (200, 100)
    assert abs(same.mean) < 0.05
    assert features.kernel_distance(one, two + 0.5).mean > 0.2
    assert same == features.kernel_distance(one, two)
    assert same != features.kernel_distance(one, two, seed=1)


@pytest.mark.parametrize(
    ("real", "other", "message"),
    [
        (np.zeros((4, 2)), np.zeros((4, 3)), "shapes"),
        (np.zeros(4), np.zeros(4), "shapes"),
        (np.zeros((1, 2)), np.zeros((4, 2)), "1 and 4 images"),
        (np.full((2, 2), np.nan), np.zeros((4, 2)), "not finite"),
    ],
)
def test_bad_features(real, other, message):
    with pytest.raises(InputError, match=message):
        features.frechet_distance(real, other)


@pytest.mark.parametrize("size", [0, 1, 5])
def test_bad_subset_size(size):
    with pytest.raises(InputError, match=rf"subset_size: {size}.*2\.\.4"):
        features.kernel_distance(np.ones((4, 2)), np.ones((4, 2)), size)


@pytest.mark.parametrize(("height", "width"), [(40, 25), (9, 30), (7, 8)])
def test_resize_is_pillows(height, width):
    image_module = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(6)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    found = features.resize(image, 12)
    for channel in range(3):
        plane = image_module.fromarray(
            image[..., channel].astype(np.float32) / 127.5 - 1.0
        )
        small = plane.resize((12, 12), image_module.Resampling.BICUBIC)
        np.testing.assert_allclose(
            found[..., channel], np.clip(np.asarray(small), -1, 1), atol=2e-5
        )


def save_network(path, output="vector"):
    import tensorflow as tf

    tf.keras.utils.set_random_seed(1)
    layers = [
        tf.keras.layers.Input((8, 8, 3)),
        tf.keras.layers.Conv2D(5, 3, activation="relu"),
    ]
    if output == "vector":
        layers.append(tf.keras.layers.GlobalAveragePooling2D())
    network = tf.keras.Sequential(layers)
    network.save(path)
    return network


@pytest.mark.parametrize("name", ["net.keras", "net.h5", "net"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
def test_network_from_disk_scores_images(tmp_path, name):
    network = save_network(tmp_path / name)
    rng = np.random.default_rng(7)
    real = [rng.integers(0, 256, (9 + i, 12, 3), np.uint8) for i in range(6)]
    other = [x // 2 for x in real]
    loaded = features.load_network(tmp_path / name)
    found = features.compare(loaded, real, other, size=8)
    batch = np.stack([features.resize(x, 8) for x in real])
    direct = np.asarray(network(batch), np.float64)
    rows = features.extract(loaded, real, 8, batch=4)
    np.testing.assert_allclose(rows, direct, atol=1e-5)
    assert rows.dtype == np.float64
    assert found.fid > 0 and rows.shape == (6, 5)
    assert found.images == (6, 6) and found.kid.subset_size == 3
    json.dumps(dataclasses.asdict(found), allow_nan=False)


def test_network_is_missing(tmp_path):
    with pytest.raises(InputError, match=r"none\.keras: feature network: no"):
        features.load_network(tmp_path / "none.keras")


def test_network_is_no_network(tmp_path):
    path = tmp_path / "text.keras"
    path.write_text("not a network")
    with pytest.raises(InputError, match=r"text\.keras.*cannot load") as error:
        features.load_network(path)
    assert "\n" not in str(error.value)


def test_network_that_gives_maps(tmp_path):
    save_network(tmp_path / "maps.keras", output="maps")
    with pytest.raises(InputError, match=r"output \(None, 6, 6, 5\).*\[n, d\]"):
        features.load_network(tmp_path / "maps.keras")


def test_output_is_checked_again_at_use():
    images = [np.zeros((8, 8, 3), np.uint8)]
    with pytest.raises(InputError, match=r"allowed is \[n, d\]"):
        features.extract(lambda batch: batch, images, 8)
