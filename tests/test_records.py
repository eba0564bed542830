"""The record schema: both directions, shards, full disk."""

import contextlib
import dataclasses
import resource

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf.data import manifest, records

RNG = np.random.default_rng(0)
TILE = records.Tile(
    name="år 1",
    image=RNG.integers(0, 256, (9, 13, 3), np.uint8),
    mask=RNG.integers(0, 3, (9, 13), np.uint8),
    mpp=0.62,
    group="7",
)


@contextlib.contextmanager
def full_disk(size):
    """No file may grow past `size` bytes, as on a disk that fills."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("labelled", [True, False])
def test_decode_inverts_encode_inside_tf_data(labelled):
    tile = TILE if labelled else dataclasses.replace(TILE, mask=None)
    data = tf.data.Dataset.from_tensors(records.encode(tile))
    out = next(iter(data.map(records.decode)))
    assert {key: value.dtype.name for key, value in out.items()} == {
        "image": "uint8",
        "mask": "uint8",
        "mpp": "float32",
        "name": "string",
        "group": "string",
    }
    np.testing.assert_array_equal(out["image"], TILE.image)
    wanted = TILE.mask if labelled else np.full((9, 13), 255)
    np.testing.assert_array_equal(out["mask"], wanted)
    assert float(out["mpp"]) == np.float32(0.62)
    assert out["name"].numpy().decode() == "år 1"
    assert out["group"].numpy() == b"7"


def test_stored_keys():
    example = tf.train.Example.FromString(records.encode(TILE))
    keys = {"image", "mask", "height", "width", "mpp", "name", "group"}
    assert set(example.features.feature) == keys
    assert example.features.feature["height"].int64_list.value == [9]
    assert example.features.feature["width"].int64_list.value == [13]
    bare = records.encode(dataclasses.replace(TILE, mask=None))
    features = tf.train.Example.FromString(bare).features.feature
    assert set(features) == keys - {"mask"}


def test_shapes_are_known_to_the_graph():
    spec = tf.data.Dataset.from_tensors(b"").map(records.decode).element_spec
    assert spec["image"].shape.as_list() == [None, None, 3]
    assert spec["mask"].shape.as_list() == [None, None]


def test_shards_keep_order_and_count(tmp_path):
    data = [bytes([n]) * 100 for n in range(5)]
    shards = records.write_shards(tmp_path, "train", "labelled", data, 150)
    assert [shard.records for shard in shards] == [2, 2, 1]
    names = [f"train-labelled-0000{n}-of-00003.tfrecord" for n in range(3)]
    assert [shard.file for shard in shards] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    paths = [str(tmp_path / name) for name in names]
    assert [b.numpy() for b in tf.data.TFRecordDataset(paths)] == data
    for shard, path in zip(shards, paths, strict=True):
        assert shard.sha256 == manifest.hash_file(path)
        # 16 bytes of TFRecord framing a record.
        assert shard.bytes == shard.records * 116


def test_no_records_no_shards(tmp_path):
    assert records.write_shards(tmp_path, "test", "labelled", [], 1) == ()
    assert not list(tmp_path.iterdir())


def test_full_disk_is_an_os_error(tmp_path):
    data = [b"x" * 1000] * 100
    with full_disk(20_000), pytest.raises(OSError, match="too large"):
        records.write_shards(tmp_path, "train", "labelled", data, 10**6)
