"""What is painted to be measured."""

from types import SimpleNamespace

import numpy as np

from histogan_tf.evaluation import measure
from histogan_tf.evaluation.trained import Trained


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
