"""Fixed images and masks to try a model with; the same seed, the same pixels.

In: a size and a seed. Out: uint8 images in the colours of stained tissue and
masks of class ids, neither of them worth a look.
"""

import numpy as np

from histogan_tf.data.classes import IGNORE


def image_of(height: int, width: int, seed: int) -> np.ndarray:
    """uint8 [H, W, 3] in the colours of stained tissue, in blocks of 4 px."""
    rng = np.random.default_rng(seed)
    shape = (-(-height // 4), -(-width // 4), 3)
    blocks = rng.normal([190, 120, 170], [35, 45, 30], shape)
    whole = np.kron(np.clip(blocks, 0, 255), np.ones((4, 4, 1)))
    return whole[:height, :width].astype(np.uint8)


def mask_of(height: int, width: int, classes: int, seed: int) -> np.ndarray:
    """uint8 [H, W] class ids in blocks of 8 px, a few of them ignored."""
    rng = np.random.default_rng(seed)
    shape = (-(-height // 8), -(-width // 8))
    blocks = rng.integers(0, classes, shape).astype(np.uint8)
    blocks[rng.random(shape) < 0.05] = IGNORE
    return np.kron(blocks, np.ones((8, 8), np.uint8))[:height, :width]
