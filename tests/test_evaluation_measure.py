"""What is painted and read to be measured."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from histogan_tf import run_dir
from histogan_tf.evaluation import measure, reading
from histogan_tf.evaluation.reading import Objects
from histogan_tf.evaluation.trained import Trained, open_trained


def test_ignored_pixels_are_painted_as_the_judge_reads_them():
    """Else half a sparsely annotated tile would be painted as background."""
    asked = []

    def synthesise(mask, style, seed):
        asked.append((mask, style, seed))
        return [mask]

    def judge(image):
        return np.eye(3)[np.full(image.shape[:2], 2)]

    trained = Trained(SimpleNamespace(synthesise=synthesise), None, judge, None)
    whole = np.array([[0, 1], [1, 1]], np.uint8)
    sparse = np.array([[0, 255], [255, 1]], np.uint8)
    images = [
        SimpleNamespace(
            name=str(i), mask=mask, style=i, image=np.zeros((2, 2, 3), np.uint8)
        )
        for i, mask in enumerate([whole, sparse])
    ]
    steps = SimpleNamespace(step=lambda text: None)
    measure._paint(trained, images, [(0,), (1,)], 5, steps)
    np.testing.assert_array_equal(asked[0][0], whole)
    np.testing.assert_array_equal(asked[1][0], [[0, 2], [2, 1]])
    assert [seed for _, _, seed in asked] == [5, 6]


@pytest.fixture
def trained(random_run):
    return open_trained(run_dir.open_run(random_run), views=3)


@pytest.fixture
def image():
    draws = np.random.default_rng(4)
    return draws.integers(0, 256, (32, 48, 3)).astype(np.uint8)


def test_views_are_what_the_segmenter_says_of_turned_images(trained, image):
    wanted = sum(
        np.rot90(trained.segmenter(np.rot90(image, turns).copy()), -turns)
        for turns in range(3)
    )
    found = trained.turned(image)
    np.testing.assert_allclose(found, wanted / 3, atol=1e-5)
    assert np.abs(found - trained.segmenter(image)).max() > 1e-3


def test_views_are_measured_beside_one(trained, image):
    one = np.zeros(image.shape[:2], int)
    one[:, :24] = 1
    many = one.copy()
    many[:8] = 2
    reads = {
        name: lambda _, ids=ids: np.eye(3)[ids]
        for name, ids in (("segmenter", one), ("turned", many))
    }
    tile = SimpleNamespace(name="one", image=image, mask=one.astype(np.uint8))
    found = reading.read(replace(trained, **reads), [tile], Objects((1,)))
    order = ["segmenter", "segmenter, 3 views", "judge", "stage 0", "stage 1"]
    assert list(found["segmentation"]) == order
    assert list(found["objects"]) == order[:2]
    dice = [found["segmentation"][name]["dice"] for name in order[:2]]
    # 24 x 32 px each of classes 0 and 1, a quarter taken from both.
    assert dice[0][:2] == [1, 1] and dice[1] == pytest.approx([6 / 7, 6 / 7, 0])
    assert found["objects"][order[0]]["object_dice"] == 1
    few = found["objects"][order[1]]["object_dice"]
    assert few == pytest.approx(6 / 7)
