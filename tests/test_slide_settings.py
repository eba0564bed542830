"""Settings that contradict themselves are refused in one line."""

import dataclasses

import pytest

from histogan_tf import presets
from histogan_tf.data import slide_settings
from histogan_tf.data.slide_settings import SlideSettings
from histogan_tf.errors import InputError

GOOD = SlideSettings(images="i", annotations="a", classes="c", output="o")


def test_defaults_pass():
    slide_settings.check(GOOD)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mpp": 0.0}, r"--mpp 0: 0\.01\.\.100 is allowed"),
        ({"tile_mpp": float("nan")}, "--tile_mpp nan"),
        ({"tile_px": 16}, r"--tile_px 16: 32\.\.16384"),
        ({"tissue": 1.5}, "--tissue 1.5"),
        ({"validation": 1.0}, "--validation 1"),
        ({"workers": 0}, "--workers 0"),
        ({"split": "x"}, "--split 'x'; allowed: train"),
        ({"groups": "t.csv"}, "--groups and --group_column"),
        (
            {"groups": "t", "group_column": "p", "group_by": "(.)"},
            "--group_by and --groups: state one",
        ),
    ],
)
def test_bad_settings(change, message):
    with pytest.raises(InputError, match=message):
        slide_settings.check(dataclasses.replace(GOOD, **change))


@pytest.mark.parametrize("preset", [presets.demo, presets.base, presets.large])
def test_default_tiles_hold_every_crop_of_the_presets(preset):
    config = preset()
    um = GOOD.tile_px * config.finest_mpp
    for place, stage in enumerate(config.stages):
        assert stage.crop * config.stage_mpp(place) <= um
    assert config.segmenter.crop <= GOOD.tile_px
