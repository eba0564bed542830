"""Settings as JSON: round trips, overrides, errors that name the key."""

import json
from dataclasses import replace

import pytest

from histogan_tf import config_json, presets
from histogan_tf.config import Config, NetworkConfig
from histogan_tf.errors import InputError


@pytest.mark.parametrize("name", sorted(presets.PRESETS))
def test_every_preset_survives_json(name):
    config = presets.PRESETS[name]()
    text = json.dumps(config_json.to_dict(config))
    again = config_json.from_dict(json.loads(text), "f.json")
    assert again == config
    assert hash(again) == hash(config)
    assert config_json.first_difference(config, again) is None


def test_fields_left_out_take_their_defaults():
    assert config_json.from_dict({}, "f.json") == Config()
    found = config_json.from_dict({"seed": 4, "augment": {"warp": 0}}, "f.json")
    assert (found.seed, found.augment.warp) == (4, 0.0)
    assert found.augment.scale == Config().augment.scale


def test_a_part_left_out_is_the_configs_not_the_parts_class():
    # SegmenterConfig() takes painted images; the judge never may.
    found = config_json.from_dict({"judge": {"steps": 7}}, "f.json")
    assert (found.judge.steps, found.judge.synthetic) == (7, 0.0)


def test_fields_left_out_come_from_the_base():
    base = presets.tiny()
    values = {"segmenter": {"network": {"blocks": 2}}}
    found = config_json.from_dict(values, "f.json", base)
    assert found.segmenter.network == NetworkConfig((6, 8), 2)
    assert found.segmenter.crop == base.segmenter.crop == 16
    assert found.stages == base.stages


def test_stages_of_the_bases_number_change_one_by_one():
    base = presets.tiny()
    values = {"stages": [{"steps": 70}, {"critic": {"blocks": 2}}]}
    found = config_json.from_dict(values, "f.json", base)
    first, second = base.stages
    critic = replace(second.critic, blocks=2)
    wanted = (replace(first, steps=70), replace(second, critic=critic))
    assert found.stages == wanted


def test_other_stages_must_be_whole():
    base = presets.tiny()
    stages = config_json.to_dict(base)["stages"]
    found = config_json.from_dict({"stages": stages[1:]}, "f.json", base)
    assert found.stages == base.stages[1:]
    del stages[0]["reconstruction"]
    with pytest.raises(InputError) as error:
        config_json.from_dict({"stages": stages[:1]}, "f.json", base)
    message = "f.json: stages.0.reconstruction: left out; 1 stages in place of"
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    "values, parts",
    [
        ({"sede": 1}, ["unknown key 'sede'", "seed", "stages"]),
        (
            {"optimizer": {"rate": 1}},
            ["unknown key 'optimizer.rate'", "critic_rate"],
        ),
        (
            {"stages": [{"generator": {"width": 8}}]},
            ["unknown key 'stages.0.generator.width'", "widths, blocks"],
        ),
        ({"seed": "1"}, ["seed: '1' is not", "int"]),
        ({"seed": 1.5}, ["seed: 1.5 is not", "int"]),
        ({"seed": True}, ["seed: True is not", "int"]),
        ({"finest_mpp": True}, ["finest_mpp: True is not", "float"]),
        ({"finest_mpp": None}, ["finest_mpp: None is not", "float"]),
        ({"augment": {"flips": 1}}, ["augment.flips: 1 is not", "bool"]),
        ({"augment": 3}, ["augment: 3 is not an object"]),
        ({"stages": {}}, ["stages: {} is not a list"]),
        ({"stages": [5]}, ["stages.0: 5 is not an object"]),
        (
            {"stages": [{}, {"critic": {"widths": [8, "x"]}}]},
            ["stages.1.critic.widths.1: 'x' is not", "int"],
        ),
        ({"seed": -1}, ["Config.seed: -1 is not allowed", "use 0 to"]),
        (
            {"losses": {"confidence": 0.2}},
            ["losses", "LossConfig.confidence: 0.2", "use 0.5 to 1"],
        ),
        ([], ["config: [] is not an object"]),
    ],
)
def test_errors_name_file_key_and_what_is_allowed(values, parts):
    with pytest.raises(InputError) as error:
        config_json.from_dict(values, "f.json")
    message = str(error.value)
    assert message.startswith("f.json: ")
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_whole_numbers_serve_as_floats():
    found = config_json.from_dict({"finest_mpp": 2}, "f.json")
    assert found.finest_mpp == 2.0 and type(found.finest_mpp) is float


def test_overrides_reach_every_depth():
    found = config_json.override(
        presets.tiny(),
        [
            "seed=3",
            "precision=bfloat16",
            "augment.flips=false",
            "stages.1.steps=100",
            "stages.0.generator.widths=[4,4,4]",
            # Both positions are "0": the first must not take the value.
            "stages.0.generator.widths.0=5",
            "stages.0.critic.widths.1=12",
        ],
    )
    assert (found.seed, found.precision) == (3, "bfloat16")
    assert found.augment.flips is False
    assert [s.steps for s in found.stages] == [6, 100]
    assert found.stages[0].generator.widths == (5, 4, 4)
    assert found.stages[0].critic.widths == (6, 12)


def test_overriding_nothing_changes_nothing():
    assert config_json.override(presets.demo(), []) == presets.demo()


@pytest.mark.parametrize(
    "assignment, parts",
    [
        ("seed", ["write a.b=value"]),
        ("sede=1", ["no field 'sede'", "seed"]),
        ("stages.7.steps=1", ["no field '7'", "0, 1"]),
        ("stages.first.steps=1", ["no field 'first'", "0, 1"]),
        ("stages.-1.steps=1", ["no field '-1'", "0, 1"]),
        ("stages.\u00b2.steps=1", ["no field '\u00b2'", "0, 1"]),
        ("seed.x=1", ["no field 'x'", "(none: a plain value)"]),
        ("optimizer.=1", ["no field ''", "ema"]),
        ("optimizer.ema=fast", ["optimizer.ema: 'fast' is not", "float"]),
        ("optimizer.ema=2", ["OptimizerConfig.ema: 2.0", "use 0 to"]),
    ],
)
def test_bad_overrides(assignment, parts):
    with pytest.raises(InputError) as error:
        config_json.override(presets.tiny(), [assignment])
    assert str(error.value).startswith("--set")
    for part in parts:
        assert part in str(error.value)


@pytest.mark.parametrize(
    "assignment, wanted",
    [
        ("seed=9", "seed: 0 -> 9"),
        ("stages.1.steps=99", "stages.1.steps: 4 -> 99"),
        ("stages.0.critic.widths=[6]", "stages.0.critic.widths.1: 8 -> None"),
        ("precision=bfloat16", "precision: float32 -> bfloat16"),
    ],
)
def test_first_difference_names_the_field(assignment, wanted):
    old = presets.tiny()
    new = config_json.override(old, [assignment])
    assert config_json.first_difference(old, new) == wanted
