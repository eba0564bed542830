"""The one schema of stored tiles: writer, reader and serving share it.

In: a Tile (name, image, mask or None, um/px, group). Out: a serialised
tf.Example, shards of them, and `decode`, its inverse in stock TensorFlow ops.

Keys: image and mask (PNG bytes; no mask key when unlabelled), height, width
(int64), mpp (float), name and group (UTF-8 bytes). Shards of one kind are
`<split>-<kind>-00000-of-00002.tfrecord`. Same tiles, same order: same bytes.
"""

import dataclasses
import errno
import itertools
import os
import pathlib
from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow as tf

from histogan_tf.data import png
from histogan_tf.data.classes import IGNORE
from histogan_tf.data.manifest import Shard, hash_file

_FEATURES = {
    "image": tf.io.FixedLenFeature([], tf.string),
    "mask": tf.io.FixedLenFeature([], tf.string, default_value=b""),
    "mpp": tf.io.FixedLenFeature([], tf.float32),
    "name": tf.io.FixedLenFeature([], tf.string),
    "group": tf.io.FixedLenFeature([], tf.string, default_value=b""),
}


@dataclasses.dataclass(frozen=True)
class Tile:
    """One image with what is known of it.

    `image` is uint8 RGB [H, W, 3], `mask` uint8 class ids [H, W] with 255 =
    ignore, or None when unlabelled; `mpp` is um/px; `group` is the patient.
    """

    name: str
    image: np.ndarray
    mask: np.ndarray | None
    mpp: float
    group: str = ""


def encode(tile: Tile) -> bytes:
    """Serialises a tile; the same tile gives the same bytes."""
    height, width, _ = tile.image.shape
    feature = {
        "image": _bytes(png.encode(tile.image)),
        "height": _integer(height),
        "width": _integer(width),
        "mpp": tf.train.Feature(
            float_list=tf.train.FloatList(value=[tile.mpp])
        ),
        "name": _bytes(tile.name.encode()),
        "group": _bytes(tile.group.encode()),
    }
    if tile.mask is not None:
        feature["mask"] = _bytes(png.encode(tile.mask))
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    # A map's order is otherwise free to change from process to process.
    return example.SerializeToString(deterministic=True)


def decode(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    """Reads one tile inside a graph, with stock ops only.

    Args:
      serialized: scalar string, as `encode` gives it.

    Returns:
      image uint8 [H, W, 3], mask uint8 [H, W] (255 throughout when
      unlabelled), mpp float32, name and group strings (scalars).
    """
    return decode_pixels(parse(serialized))


def parse(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    """The fields of one tile, its image and mask still PNG bytes (or "")."""
    return tf.io.parse_single_example(serialized, _FEATURES)


def decode_pixels(fields: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """`decode` of what `parse` gave."""
    fields = dict(fields)
    image = tf.io.decode_png(fields["image"], channels=3)
    image.set_shape([None, None, 3])
    fields["mask"] = tf.cond(
        tf.strings.length(fields["mask"]) > 0,
        lambda: tf.io.decode_png(fields["mask"], channels=1)[..., 0],
        lambda: tf.fill(tf.shape(image)[:2], tf.constant(IGNORE, tf.uint8)),
    )
    fields["mask"].set_shape([None, None])
    return fields | {"image": image}


def shard_name(split: str, kind: str, index: int, count: int) -> str:
    """File name of shard `index` of `count`."""
    return f"{split}-{kind}-{index:05d}-of-{count:05d}.tfrecord"


def write_shards(
    folder: str | os.PathLike,
    split: str,
    kind: str,
    serialized: Iterable[bytes],
    shard_bytes: int,
) -> tuple[Shard, ...]:
    """Writes tiles in order into as many shards as they need.

    Args:
      folder: where to; an `atomic_directory`, as this call may fail midway.
      split: train, validation or test.
      kind: labelled or unlabelled.
      serialized: what `encode` gave.
      shard_bytes: a shard that has reached this size is closed.

    Raises:
      OSError: the disk is full.
    """
    folder, stream = pathlib.Path(folder), iter(serialized)
    drafts: list[tuple[pathlib.Path, int]] = []
    try:
        for first in stream:
            draft = folder / f"{split}-{kind}-{len(drafts):05d}"
            rest = itertools.chain([first], stream)
            drafts.append((draft, _fill_shard(draft, rest, shard_bytes)))
    except tf.errors.OpError as error:
        raise OSError(errno.EIO, error.message, str(folder)) from error
    return tuple(
        _finish(draft, records, shard_name(split, kind, index, len(drafts)))
        for index, (draft, records) in enumerate(drafts)
    )


def _fill_shard(
    path: pathlib.Path, serialized: Iterator[bytes], shard_bytes: int
) -> int:
    """Takes tiles from the stream until the shard is full; counts them."""
    size = records = 0
    with tf.io.TFRecordWriter(str(path)) as writer:
        for data in serialized:
            writer.write(data)
            size, records = size + len(data), records + 1
            if size >= shard_bytes:
                break
    return records


def _finish(draft: pathlib.Path, records: int, name: str) -> Shard:
    path = draft.rename(draft.with_name(name))
    return Shard(name, hash_file(path), records, path.stat().st_size)


def _bytes(value: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _integer(value: int) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
