"""The manifest: JSON both ways, and damage that is noticed."""

import dataclasses
import hashlib
import json

import pytest
import tensorflow as tf

from histogan_tf.data import classes, manifest
from histogan_tf.errors import InputError

NAMES = ("a.tfrecord", "b.tfrecord")


@pytest.fixture
def folder(tmp_path):
    """A folder with two shards of plain bytes and their manifest."""
    shards = {}
    for name in NAMES:
        (tmp_path / name).write_bytes(name.encode() * 3)
        digest = manifest.hash_file(tmp_path / name)
        shards[name] = manifest.Shard(name, digest, 2, 3 * len(name))
    info = manifest.ImageInfo
    labelled = (
        info("x", 2, 5, 0.5, "p1", (3, 5), 2),
        info("y", 1, 4, 0.5, "p2", (4, 0), 0),
    )
    train = manifest.Split(
        manifest.Kind((shards[NAMES[1]],), labelled),
        manifest.Kind((shards[NAMES[0]],), (info("z", 9, 9, 1.0, "p0"),)),
    )
    table = classes.from_json(
        {
            "classes": [
                {"id": n, "name": str(n), "color": [n, n, n]} for n in range(2)
            ],
            "ignore": [9],
        },
        "c",
    )
    made = manifest.Manifest(
        command="python -m x",
        seed=4,
        classes=table,
        splits={"train": train},
        skipped=(manifest.Skipped("q.png", "cut short"),),
        folder=tmp_path,
    )
    text = json.dumps(made.to_json())
    (tmp_path / manifest.FILE).write_text(text)
    return tmp_path, made


def edit(path, change):
    data = json.loads((path / manifest.FILE).read_text())
    change(data)
    (path / manifest.FILE).write_text(json.dumps(data))


def test_load_gives_back_what_was_written(folder):
    path, made = folder
    assert manifest.load(path) == made
    manifest.verify(manifest.load(path))


def test_queries(folder):
    path, made = folder
    assert made.class_pixels("train") == (7, 5)
    assert made.class_pixels("test") == (0, 0)
    assert made.groups("train") == ("p0", "p1", "p2")
    assert made.shard_paths("train", "labelled") == (path / NAMES[1],)
    assert made.shard_paths("test", "labelled") == ()
    with pytest.raises(InputError, match="'tset'; allowed: train, valid"):
        made.split("tset")


def test_json_form(folder):
    data = folder[1].to_json()
    assert data["format"] == 1 and data["ignore"] == [9]
    unlabelled = data["splits"]["train"]["unlabelled"]["images"][0]
    assert "class_pixels" not in unlabelled
    hashes = [hashlib.sha256(n.encode() * 3).hexdigest() for n in NAMES]
    text = "".join(f"{digest}\n" for digest in hashes)
    assert data["hash"] == hashlib.sha256(text.encode()).hexdigest()


def test_missing_folder(tmp_path):
    with pytest.raises(
        InputError, match=r"manifest\.json: No such file.*inges"
    ):
        manifest.load(tmp_path)


def test_missing_and_short_shards(folder):
    path, _ = folder
    (path / NAMES[0]).write_bytes(b"short")
    with pytest.raises(InputError, match=r"a\.tfrecord: 5 bytes.*says 30"):
        manifest.load(path)
    (path / NAMES[0]).unlink()
    with pytest.raises(InputError, match=r"a\.tfrecord: No such file"):
        manifest.load(path)


def test_verify_finds_changed_bytes(folder):
    path, made = folder
    (path / NAMES[1]).write_bytes(b"y" * 30)
    manifest.load(path)
    with pytest.raises(InputError, match=r"b\.tfrecord: SHA-256 is"):
        manifest.verify(made)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format=2), "format 2; 1 is allowed"),
        (lambda d: d.update(hash="0"), "hash does not fit"),
        (lambda d: d.pop("seed"), "damaged: KeyError"),
        (lambda d: d.update(splits=3), "damaged: AttributeError"),
    ],
)
def test_damaged_manifest(folder, change, message):
    edit(folder[0], change)
    with pytest.raises(InputError, match=message):
        manifest.load(folder[0])


def test_a_folder_that_only_tensorflow_reaches(folder):
    path, made = folder
    url = f"ram://{path.name}"
    for name in (*NAMES, manifest.FILE):
        tf.io.gfile.copy(str(path / name), f"{url}/{name}")
    found = manifest.load(url)
    assert dataclasses.replace(found, folder=path) == made
    manifest.verify(found)
    (shard,) = found.shard_paths("train", "labelled")
    assert str(shard) == f"{url}/{NAMES[1]}"
    tf.io.gfile.remove(f"{url}/{NAMES[0]}")
    with tf.io.gfile.GFile(f"{url}/{NAMES[0]}", "wb") as file:
        file.write(b"short")
    with pytest.raises(InputError, match=r"^ram://.*/a\.tfrecord: 5 bytes"):
        manifest.load(url)
    tf.io.gfile.remove(f"{url}/{NAMES[0]}")
    with pytest.raises(InputError, match=r"^ram://.*/a\.tfrecord: NotFound"):
        manifest.load(url)


@pytest.mark.parametrize("url", ["ram://none", "nothing://bucket/x"])
def test_a_url_that_leads_nowhere(url):
    with pytest.raises(
        InputError, match=f"^{url}/manifest\\.json: .*(NotFound|not impl)"
    ):
        manifest.load(url)
