"""Settings: every field keeps to its range, and says what is allowed."""

import dataclasses
import math

import pytest

from histogan_tf import config
from histogan_tf.config import (
    AugmentConfig,
    Config,
    LossConfig,
    NetworkConfig,
    OptimizerConfig,
    SegmenterConfig,
    StageConfig,
)
from histogan_tf.errors import InputError

KINDS = (
    NetworkConfig,
    StageConfig,
    AugmentConfig,
    SegmenterConfig,
    LossConfig,
    OptimizerConfig,
    Config,
)
RANGED = [
    (kind, item)
    for kind in KINDS
    for item in dataclasses.fields(kind)
    if "low" in item.metadata
]


def test_every_number_has_a_range():
    for kind in KINDS:
        for item in dataclasses.fields(kind):
            if item.type in (int, float, tuple[int, ...]):
                assert "low" in item.metadata, f"{kind.__name__}.{item.name}"


@pytest.mark.parametrize(
    "kind, item", RANGED, ids=lambda x: getattr(x, "name", None)
)
def test_values_outside_the_range_are_refused(kind, item):
    low, high = item.metadata["low"], item.metadata["high"]
    assert low < high
    for bad in (low - 1, high + 1, math.nan):
        value = (bad,) if isinstance(item.default, tuple) else bad
        with pytest.raises(InputError) as error:
            kind(**{item.name: value})
        message = str(error.value)
        assert message.startswith(f"{kind.__name__}.{item.name}: ")
        assert message.endswith(f"use {low} to {high}")
        assert "\n" not in message


@pytest.mark.parametrize("kind", [LossConfig, OptimizerConfig, AugmentConfig])
def test_both_ends_of_a_range_are_allowed(kind):
    for item in dataclasses.fields(kind):
        if "low" in item.metadata:
            kind(**{item.name: item.metadata["low"]})
            kind(**{item.name: item.metadata["high"]})


def test_one_bad_width_is_enough():
    with pytest.raises(InputError, match=r"NetworkConfig\.widths"):
        NetworkConfig((8, 0, 8))
    with pytest.raises(InputError, match=r"NetworkConfig\.widths"):
        NetworkConfig(())


@pytest.mark.parametrize("levels, stride", [(1, 1), (2, 2), (3, 4), (5, 16)])
def test_stride_doubles_per_level(levels, stride):
    assert NetworkConfig((8,) * levels).stride == stride


@pytest.mark.parametrize("part", ["generator", "critic", "segmenter"])
def test_crop_divides_by_every_network_of_a_stage(part):
    flat, deep = NetworkConfig((8,)), NetworkConfig((8, 8, 8, 8))
    parts = {p: flat for p in ("generator", "critic", "segmenter")}
    StageConfig(16, **(parts | {part: deep}))
    with pytest.raises(InputError, match=rf"20.*multiple of 8 for {part}"):
        StageConfig(20, **(parts | {part: deep}))
    # Odd crops cannot be averaged 2x2, whatever the networks.
    with pytest.raises(InputError, match="multiple of 2 "):
        StageConfig(17, **parts)


def test_patches_widen_what_critic_and_segmenter_divide_by():
    flat, two = NetworkConfig((8,)), NetworkConfig((8, 8))
    stage = StageConfig(
        12,
        4,
        generator=two,
        critic=two,
        segmenter=flat,
        critic_patch=3,
        segmenter_patch=6,
    )
    strides = {n: stage.stride(n) for n in ("generator", "critic", "segmenter")}
    assert strides == {"generator": 2, "critic": 6, "segmenter": 6}
    with pytest.raises(InputError, match=r"16.*multiple of 6 for critic"):
        dataclasses.replace(stage, crop=16)
    # Stage 0 of two: twice its strides at the finest scale.
    config = Config(stages=(stage, stage), segmenter=SegmenterConfig(96))
    assert config.multiple("generator") == 4
    assert config.multiple("generator", "segmenter") == 12


def test_crop_divides_by_the_segmenters_levels():
    with pytest.raises(InputError, match=r"44 is not allowed.*multiple of 8"):
        SegmenterConfig(44, network=NetworkConfig((8, 8, 8, 8)))


def test_precision_and_stages():
    for precision in config.PRECISIONS:
        assert Config(precision=precision).precision == precision
    with pytest.raises(InputError, match=r"'half'.*float32 or bfloat16"):
        Config(precision="half")
    with pytest.raises(InputError, match=r"Config\.stages: empty"):
        Config(stages=())


def test_the_last_segmenters_crop_is_what_stages_can_paint():
    # Stage 0 of two, strides of 4: 8 px of the finest scale.
    net = NetworkConfig((4, 4, 4))
    stage = StageConfig(16, 4, generator=net)
    alone = SegmenterConfig(24, 4, network=NetworkConfig((4,)))
    config = Config(stages=(stage, stage), segmenter=alone)
    assert config.multiple("generator") == 8
    odd = dataclasses.replace(alone, crop=28)
    with pytest.raises(InputError, match=r"segmenter\.crop: 28 .* of 8 px"):
        dataclasses.replace(config, segmenter=odd)
    # Nothing is painted for these.
    dataclasses.replace(config, segmenter=odd.alone(), judge=odd.alone())


@pytest.mark.parametrize(
    "lesson", [{"synthetic": 0.1}, {"pseudo_labels": True}]
)
def test_the_judge_learns_real_labels_only(lesson):
    judge = dataclasses.replace(SegmenterConfig().alone(), **lesson)
    with pytest.raises(InputError, match=r"Config\.judge: .* real labels only"):
        Config(judge=judge)


def test_stages_double_in_mpp_from_the_finest():
    pyramid = Config(finest_mpp=0.62, stages=(StageConfig(),) * 4)
    # 0.62 * 8, * 4, * 2, * 1
    found = [pyramid.stage_mpp(k) for k in range(4)]
    assert found == pytest.approx([4.96, 2.48, 1.24, 0.62])


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().seed = 3


def test_a_batch_divides_by_its_thinning():
    StageConfig(16, 12, thin=3)
    assert SegmenterConfig(16, 12, thin=3).alone().thin == 1
    for kind in (StageConfig, SegmenterConfig):
        with pytest.raises(InputError, match=r"thin: 5 is not.*divisor.*12"):
            kind(16, 12, thin=5)
