"""Presets: sizes they promise, crops that fit, settings that agree."""

import pytest

from histogan_tf import presets

ALL = [pytest.param(make(), id=name) for name, make in presets.PRESETS.items()]


def reach(config):
    """Sides of a canvas must be multiples of this, see `Pyramid`."""
    last = len(config.stages) - 1
    return max(
        2 ** (last - k) * max(s.generator.stride, s.segmenter.stride)
        for k, s in enumerate(config.stages)
    )


def test_the_four_sizes():
    assert list(presets.PRESETS) == ["tiny", "demo", "base", "large"]
    counts = [len(make().stages) for make in presets.PRESETS.values()]
    assert counts == [2, 3, 4, 5]


def test_base_reaches_512_pixels_at_glas_resolution():
    base = presets.base()
    assert base.finest_mpp == 0.62
    assert base.stage_mpp(0) == pytest.approx(4.96)
    assert 512 % reach(base) == 0
    # No crop asks for more of a tile than it has at that stage.
    for k, stage in enumerate(base.stages):
        assert stage.crop <= 512 // 2 ** (3 - k)


def test_large_reaches_1024_pixels():
    large = presets.large()
    assert 1024 % reach(large) == 0
    for k, stage in enumerate(large.stages):
        assert stage.crop <= 1024 // 2 ** (4 - k)


@pytest.mark.parametrize("config", ALL)
def test_crops_divide_by_every_level(config):
    for stage in config.stages:
        for part in (stage.generator, stage.critic, stage.segmenter):
            assert stage.crop % part.stride == 0
    for alone in (config.segmenter, config.judge):
        assert alone.crop % alone.network.stride == 0


@pytest.mark.parametrize("config", ALL)
def test_a_step_holds_about_as_many_pixels_at_every_stage(config):
    # Crop and batch, not the image, decide the memory of a step.
    pixels = [s.batch * s.crop**2 for s in config.stages]
    assert max(pixels) <= 8 * min(pixels)


@pytest.mark.parametrize("config", ALL)
def test_the_judge_never_sees_painted_or_unlabelled_images(config):
    assert config.judge == config.judge.alone()
    assert config.segmenter.synthetic > 0 and config.segmenter.pseudo_labels


@pytest.mark.parametrize("config", ALL)
def test_reconstruction_is_weak_where_the_layout_is_made(config):
    first, *others = [s.reconstruction for s in config.stages]
    assert all(first < other for other in others)


def test_every_preset_states_its_command():
    for name, make in presets.PRESETS.items():
        assert f"--preset {name}" in make.__doc__
