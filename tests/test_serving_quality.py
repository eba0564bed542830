"""Scores of exports, against numbers from the manifest alone."""

import json
import math
import shutil

import pytest
import serving_exports
import tensorflow as tf

from histogan_tf.data import manifest
from histogan_tf.errors import InputError
from serving import quality


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """Takes everything for epithelium (class 1)."""
    return serving_exports.constant(tmp_path_factory.mktemp("base") / "7", 1)


def test_scores_of_one_class_everywhere(export, phantom_records):
    found = quality.scores(export, phantom_records, "test")
    pixels = manifest.load(phantom_records).class_pixels("test")
    share = pixels[1] / sum(pixels)
    assert 0.05 < share < 0.95
    assert found["dice.epithelium"] == pytest.approx(2 * share / (1 + share))
    assert found["iou.epithelium"] == pytest.approx(share)
    assert found["dice.stroma"] == found["dice.lumen"] == 0
    assert found["mean_iou"] == pytest.approx(share / 3)
    assert found["accuracy"] == pytest.approx(share)
    assert found["kappa"] == pytest.approx(0)
    # One image at a time: the mean of their own shares.
    images = manifest.load(phantom_records).split("test").labelled.images
    shares = [i.class_pixels[1] / sum(i.class_pixels) for i in images]
    assert found["image_iou.epithelium"] == pytest.approx(sum(shares) / 5)
    assert not any(math.isnan(v) for v in found.values())


def test_a_split_without_labels(export, phantom_records):
    with pytest.raises(InputError, match="split 'train' has no labelled"):
        quality.scores(export, phantom_records, "train")


def test_damaged_records(export, phantom_records, tmp_path):
    copy = tmp_path / "records"
    shutil.copytree(phantom_records, copy)
    records = manifest.load(copy)
    (shard, *_) = records.shard_paths("test", "labelled")
    content = bytearray(shard.read_bytes())
    content[-9] ^= 1
    shard.write_bytes(content)
    with pytest.raises(InputError, match=f"{shard}: SHA-256 is "):
        quality.scores(export, copy, "test")


def test_other_models(phantom_records, tmp_path):
    with pytest.raises(InputError, match="9: does not load"):
        quality.scores(tmp_path / "9", phantom_records, "test")
    model = serving_exports.Constant(0)
    tf.saved_model.save(
        model, str(tmp_path / "8"), {"serving_default": model.double}
    )
    with pytest.raises(InputError, match="it has: serving_default"):
        quality.scores(tmp_path / "8", phantom_records, "test")


def test_other_classes(phantom_records, tmp_path, monkeypatch):
    monkeypatch.setattr(serving_exports, "CLASSES", 4)
    export = serving_exports.constant(tmp_path / "6", 0)
    with pytest.raises(InputError, match=r"4 classes; .* have 3: stroma, epi"):
        quality.scores(export, phantom_records, "test")
    monkeypatch.undo()
    export = serving_exports.constant(tmp_path / "5", 0)
    names = [{"name": name} for name in ("stroma", "lumen", "epithelium")]
    card = export / "assets.extra" / "model_card.json"
    card.write_text(json.dumps({"classes": names}))
    with pytest.raises(InputError, match="3 classes: stroma, lumen, epithel"):
        quality.scores(export, phantom_records, "test")
