"""Decoded tiles kept in memory, each fetched by its number.

In: tiles, one after another: image uint8 [h, w, 3], labels uint8 [h, w, N],
style float32 [6], of any sizes. Out: `TileMemory.fetch`, a pure function of the
number for tf.data's map. In which order: `epochs.py`.
"""

import collections
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf


@dataclass(frozen=True)
class TileMemory:
    """All pixels in one buffer, as the tiles differ in size.

    `pixels` uint8 [sum of h * w * (3 + N)]: image and labels side by side;
    `starts` int64 [M]; `sizes` int32 [M, 2]; `styles` float32 [M, 6].
    """

    pixels: tf.Tensor
    starts: tf.Tensor
    sizes: tf.Tensor
    styles: tf.Tensor
    classes: int

    def fetch(self, number: tf.Tensor) -> dict[str, tf.Tensor]:
        """The tile `number`, an integer scalar in [0, M)."""
        size, start, style = (
            tf.gather(x, number) for x in (self.sizes, self.starts, self.styles)
        )
        height, width = tf.unstack(size)
        channels = 3 + self.classes
        # In int64: 17,000 x 17,000 px of five classes exceed int32.
        count = tf.reduce_prod(tf.cast(size, tf.int64)) * channels
        pixels = tf.slice(self.pixels, start[None], count[None])
        both = tf.reshape(pixels, [height, width, channels])
        return {
            "image": both[..., :3],
            "labels": both[..., 3:],
            "style": style,
        }


def keep(tiles: Iterable[dict[str, np.ndarray]]) -> TileMemory:
    """Reads a finite number of tiles, one or more, into memory."""
    buffers = collections.deque[np.ndarray]()
    sizes, styles, classes = [], [], 0
    for tile in tiles:
        both = np.concatenate([tile["image"], tile["labels"]], axis=-1)
        classes = both.shape[-1] - 3
        buffers.append(both.ravel())
        sizes.append(both.shape[:2])
        styles.append(tile["style"])
    ends = np.cumsum([len(b) for b in buffers], dtype=np.int64)
    starts = np.array([0, *ends[:-1]], np.int64)
    pixels = np.empty(ends[-1], np.uint8)
    # Let go one by one; TensorFlow's own copy follows.
    for start in starts:
        block = buffers.popleft()
        pixels[start : start + len(block)] = block
    # Pipelines run on the host, also where there is a GPU.
    with tf.device("CPU:0"):
        return TileMemory(
            tf.constant(pixels),
            tf.constant(starts),
            tf.constant(np.array(sizes, np.int32)),
            tf.constant(np.array(styles, np.float32)),
            classes,
        )
