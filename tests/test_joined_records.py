"""Sets of records that were ingested apart become one, by trainer.join."""

import dataclasses
import errno
import hashlib
import json
import os
import shutil

import pytest
import tensorflow as tf
from programs import run_program
from small_training import ingest_small, small_config, write_config
from tensorflow.python.framework import config as framework

from histogan_tf import run_dir
from histogan_tf.data import joined_records, manifest, records, remote
from histogan_tf.errors import InputError


@pytest.fixture(scope="module")
def sets(phantom_files, tmp_path_factory):
    """Two sets: of two shards at 2.5 um/px, and all labelled at 5."""
    folder = tmp_path_factory.mktemp("sets")
    by_number = {"group_by": r"tile_(\d)"}
    ingest_small(phantom_files, folder / "a", shard_mb=0.01, **by_number)
    more = tmp_path_factory.mktemp("more")
    for kind in ("images", "masks"):
        (more / kind).mkdir()
        for seed in (3, 4):
            name = f"tile_{seed}.png"
            shutil.copyfile(
                phantom_files / kind / name, more / kind / f"b{name}"
            )
    given = {"mpp": 5.0, "validation": 0.0, "max_labelled": None}
    ingest_small(more, folder / "b", group_by="(b.*)", **given)
    return folder / "a", folder / "b"


@pytest.fixture
def loaded(sets):
    return [manifest.load(folder) for folder in sets]


def tiles(found, split, kind):
    """Name and um/px of each tile as it is stored."""
    paths = [str(path) for path in found.shard_paths(split, kind)]
    parsed = map(records.parse, tf.data.TFRecordDataset(paths))
    return [
        (t["name"].numpy().decode(), float(t["mpp"]), t["image"].numpy())
        for t in parsed
    ]


@pytest.mark.parametrize("linked", [True, False])
def test_the_tiles_of_all_in_their_order(loaded, tmp_path, monkeypatch, linked):
    if not linked:

        def refuse(*_):
            raise OSError(errno.EXDEV, "Invalid cross-device link")

        monkeypatch.setattr(os, "link", refuse)
    told = []
    out = tmp_path / "out"
    made = joined_records.join(
        loaded, out, "a command", lambda *a: told.append(a)
    )
    again = manifest.load(out)
    manifest.verify(again)
    assert dataclasses.replace(again, folder=made.folder) == made
    one, two = loaded
    for split in manifest.SPLITS:
        for kind in manifest.KINDS:
            wanted = tiles(one, split, kind) + tiles(two, split, kind)
            assert tiles(again, split, kind) == wanted
            infos = getattr(again.split(split), kind).images
            assert [(i.name, i.mpp) for i in infos] == [w[:2] for w in wanted]
    assert {mpp for _, mpp, _ in tiles(again, "train", "labelled")} == {2.5, 5}
    assert again.class_pixels("train") == tuple(
        map(sum, zip(*(s.class_pixels("train") for s in loaded), strict=True))
    )
    files = sorted(out.glob("*.tfrecord"))
    assert len(files) == len([*one.shards(), *two.shards()]) >= 5
    # The hash that `manifest.py` describes, by hand.
    lines = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    text = "".join(f"{line}\n" for line in lines)
    assert again.hash == hashlib.sha256(text.encode()).hexdigest()
    links = {os.stat(file).st_nlink for file in files}
    assert links == ({2} if linked else {1})
    assert [row[0] for row in told] == [*range(1, len(files) + 1)]
    assert {row[1] for row in told} == {len(files)}


def test_the_program(sets, phantom_files, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    data = ",".join(map(str, sets))
    code, text, err = run_program(
        "trainer.join", capsys, monkeypatch, data=data, output=out
    )
    assert code == 0, err
    assert "train: 4 labelled, 2 unlabelled images\n" in text
    assert "validation: 1 labelled, 0 unlabelled images\n" in text
    found = json.loads((out / "manifest.json").read_text())
    assert found["command"].startswith("python -m trainer.join --data=")
    assert {p.name for p in tmp_path.iterdir()} == {"out"}
    assert "no group" not in text
    for output, message in (
        (out, "out: exists already"),
        ("gs://b/x", "gs://b/x: a URL; state a folder"),
    ):
        code, _, err = run_program(
            "trainer.join", capsys, monkeypatch, data=data, output=output
        )
        assert code == 2 and message in err


def test_patients_that_nothing_names_are_told_of(loaded):
    one, two = loaded
    train = two.splits["train"]
    images = tuple(
        dataclasses.replace(image, group="") for image in train.labelled.images
    )
    kind = dataclasses.replace(train.labelled, images=images)
    bare = dataclasses.replace(
        two, splits={"train": dataclasses.replace(train, labelled=kind)}
    )
    assert joined_records.unknown_patients([one, two]) == []
    (note,) = joined_records.unknown_patients([one, bare])
    assert f"{two.folder}: 2 training images have no group" in note
    assert str(one.folder) in note


def refused(sources, tmp_path, message):
    with pytest.raises(InputError) as caught:
        joined_records.join(sources, tmp_path / "out", "")
    assert message in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_what_does_not_go_together_is_refused(loaded, sets, tmp_path):
    one, two = loaded
    refused([one], tmp_path, "1 folder of records; state two or more")
    again = dataclasses.replace(one, folder=sets[0].parent / "copy")
    refused([one, two, again], tmp_path, "copy: train-labelled-00000-of-0000")
    away = dataclasses.replace(two, folder=remote.Url("gs://b/records"))
    refused([one, away], tmp_path, "gs://b/records: a URL; join folders, then")
    infos = two.classes.classes
    for changes, listed in (
        ({"name": "tumour"}, "stroma, epithelium, tumour; those of"),
        ({"boundary": True}, "stroma, epithelium, lumen (boundary); those of"),
    ):
        last = dataclasses.replace(infos[2], **changes)
        table = dataclasses.replace(two.classes, classes=(*infos[:2], last))
        other = dataclasses.replace(two, classes=table)
        refused([one, other], tmp_path, f"b: its classes are {listed}")


def test_a_patient_does_not_train_and_validate(loaded, tmp_path):
    one, two = loaded
    (held,) = one.groups("validation")
    train = two.splits["train"]
    images = tuple(
        dataclasses.replace(image, group=held)
        for image in train.labelled.images
    )
    kind = dataclasses.replace(train.labelled, images=images)
    splits = {"train": dataclasses.replace(train, labelled=kind)}
    other = dataclasses.replace(two, splits=splits)
    refused(
        [one, other],
        tmp_path,
        f"a: group {held!r} (patient) is in its validation and in {two.folder}",
    )


@pytest.fixture
def trained():
    """What a training leaves on breaks tests after it."""
    yield
    framework.disable_op_determinism()


@pytest.mark.usefixtures("trained")
def test_a_run_trains_on_a_joined_set(loaded, tmp_path, capsys, monkeypatch):
    joined_records.join(loaded, tmp_path / "all", "")
    config = write_config(tmp_path / "config.json", small_config())
    code, _, err = run_program(
        "trainer.train",
        capsys,
        monkeypatch,
        data=tmp_path / "all",
        run_dir=tmp_path / "run",
        config=config,
        stages="0",
        precision="float32",
    )
    assert code == 0, err
    run = run_dir.open_run(tmp_path / "run")
    assert (
        run.read_json(run.data_path)["hash"]
        == manifest.load(tmp_path / "all").hash
    )
    assert run_dir.latest_checkpoint(run, "stages/0")
