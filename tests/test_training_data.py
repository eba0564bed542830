"""Whether records can feed the settings of a run."""

from dataclasses import replace

import numpy as np
import pytest
import small_training

from histogan_tf.data import classes
from histogan_tf.data.manifest import ImageInfo, Kind, Manifest, Split
from histogan_tf.errors import InputError
from trainer import training_data


def of_one_image(mpp, pixels=8100):
    entry = {"id": 0, "name": "gland", "color": [0, 0, 0]}
    table = classes.from_json({"classes": [entry]}, "c.json")
    image = ImageInfo("a", 90, 90, mpp, "", (pixels,), 8100 - pixels)
    split = Split(Kind((), (image,)), Kind())
    return Manifest("", 0, table, {"train": split})


def test_tiles_a_little_coarser_than_wanted_do():
    # As a scanner's 0.2527 for 0.25; the finest stage is at 5 um/px.
    config = small_training.small_config()
    training_data.check_data(config, of_one_image(5.054))
    training_data.check_data(config, of_one_image(5.149))
    with pytest.raises(InputError, match=r"a: 5\.2 um/px is coarser than"):
        training_data.check_data(config, of_one_image(5.2))


@pytest.mark.parametrize(
    "shares, kept",
    [
        ([0.5, 0.001, 0.03, 0.0], ["t0", "t2"]),
        ([0.0, 0.001], ["t1"]),
        ([0.0, 0.0], ["t0", "t1"]),
    ],
)
def test_tiles_of_glass_lend_no_stain(monkeypatch, shares, kept):
    measured = [
        (f"t{n}", np.full(6, n, np.float32), share)
        for n, share in enumerate(shares)
    ]
    monkeypatch.setattr(training_data.dataset, "styles", lambda *_: measured)
    config = replace(small_training.small_config(), labelled_share=1.0)
    found = training_data.styles(config, of_one_image(5.0))
    assert [one["name"] for one in found] == kept
    assert found[0]["style"] == [float(kept[0][1])] * 6


def test_masks_that_are_ignored_all_over_teach_nothing():
    config = small_training.small_config()
    training_data.check_data(config, of_one_image(5.0, 1))
    with pytest.raises(InputError, match="masks are ignored all over"):
        training_data.check_data(config, of_one_image(5.0, 0))
