"""Generator: sizes, ranges, the residual, and windows equal to the whole."""

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf.config import NetworkConfig
from histogan_tf.models.generator import (
    STREAMS_PER_STAGE,
    Generator,
    noise_fields,
)

LEVELS, CLASSES, STAGES = (1, 2, 3), (2, 5), (0, 1)
WIDTHS = (4, 6, 8)


def soft_mask(count, height, width, classes, seed=0):
    draws = np.random.default_rng(seed).dirichlet(
        np.full(classes, 0.3), (count, height, width)
    )
    return draws.astype(np.float32)


def case(levels, classes, stage, size=16, count=2):
    """A generator with random weights, and its inputs by name."""
    generator = Generator(NetworkConfig(WIDTHS[:levels]), stage > 0)
    rng = np.random.default_rng(levels + 10 * classes)
    positions = tf.range(size)
    seeds = tf.range(count, dtype=tf.int64)
    inputs = {
        "mask": tf.constant(soft_mask(count, size, size, classes)),
        "noises": noise_fields(seeds, stage, positions, positions, levels, 3),
        "style": tf.constant(rng.normal(size=(count, 6)), tf.float32),
        "coarse": tf.constant(
            rng.uniform(-1, 1, (count, size, size, 3)), tf.float32
        )
        if stage
        else None,
    }
    generator(**inputs)
    return generator, inputs


def shake(network, seed=0):
    rng = np.random.default_rng(seed)
    for variable in network.trainable_variables:
        fan = max(1, np.prod(variable.shape[:-1]))
        variable.assign(rng.normal(0, fan**-0.5, variable.shape))


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("classes", CLASSES)
@pytest.mark.parametrize("levels", LEVELS)
def test_image_of_the_masks_size(levels, classes, stage):
    generator, inputs = case(levels, classes, stage)
    assert generator.stride == 2 ** (levels - 1)
    shake(generator)
    image = generator(**inputs)
    assert image.shape == (2, 16, 16, 3) and image.dtype == tf.float32
    assert np.isfinite(image).all()
    assert np.std(image) > 0.01
    if stage == 0:
        assert np.abs(image).max() <= 1


@pytest.mark.parametrize("levels", LEVELS)
def test_stages_above_start_as_the_coarser_image(levels):
    generator, inputs = case(levels, 2, 1)
    np.testing.assert_array_equal(generator(**inputs), inputs["coarse"])
    # And yet they can learn: the last layer has a gradient.
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(generator(**inputs)))
    gradients = tape.gradient(loss, generator.trainable_variables)
    assert any(np.abs(g).max() > 0 for g in gradients if g is not None)


@pytest.mark.parametrize("stage", STAGES)
def test_every_weight_gets_a_gradient(stage):
    generator, inputs = case(3, 5, stage)
    shake(generator)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(generator(**inputs)))
    variables = generator.trainable_variables
    for gradient, variable in zip(
        tape.gradient(loss, variables), variables, strict=True
    ):
        assert gradient is not None, variable.name
        assert np.abs(gradient).max() > 0, variable.name


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", ["mask", "noises", "style", "coarse"])
def test_every_input_has_a_say(name, stage):
    if name == "coarse" and not stage:
        pytest.skip("stage 0 has no coarser image")
    generator, inputs = case(2, 2, stage)
    shake(generator)
    before = generator(**inputs).numpy()
    others = inputs | {
        name: [z[::-1] for z in inputs[name]]
        if name == "noises"
        else inputs[name][::-1]
    }
    if name == "mask":
        others["mask"] = inputs["mask"][..., ::-1]
    assert np.abs(generator(**others) - before).max() > 1e-3


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("levels", LEVELS)
def test_a_window_inside_is_a_crop_of_the_whole(levels, stage):
    generator, inputs = case(levels, 2, stage, size=144, count=1)
    shake(generator)
    whole = generator(**inputs).numpy()
    a, b = 8, 136
    seen = tf.range(a, b)
    window = {
        "mask": inputs["mask"][:, a:b, a:b],
        "noises": noise_fields(
            tf.zeros([1], tf.int64), stage, seen, seen, levels, 3
        ),
        "style": inputs["style"],
        "coarse": inputs["coarse"][:, a:b, a:b] if stage else None,
    }
    part = generator(**window).numpy()
    halo = {1: 12, 2: 32, 3: 60}[levels]
    inside = slice(halo, b - a - halo)
    np.testing.assert_allclose(
        part[:, inside, inside],
        whole[:, a:b, a:b][:, inside, inside],
        atol=1e-4,
    )


def test_images_of_a_batch_do_not_mix():
    generator, inputs = case(2, 2, 1, count=3)
    shake(generator)
    whole = generator(**inputs).numpy()
    second = {
        k: [z[1:2] for z in v] if k == "noises" else v[1:2]
        for k, v in inputs.items()
    }
    np.testing.assert_allclose(generator(**second), whole[1:2], atol=1e-5)


def test_noise_of_each_level_by_size_and_place():
    seeds = tf.constant([4], tf.int64)
    whole = noise_fields(seeds, 2, tf.range(16), tf.range(32), 3, 5)
    assert [tuple(z.shape) for z in whole] == [
        (1, 16, 32, 5),
        (1, 8, 16, 5),
        (1, 4, 8, 5),
    ]
    part = noise_fields(seeds, 2, tf.range(4, 12), tf.range(8, 16), 3, 5)
    for level, (z, crop) in enumerate(zip(whole, part, strict=True)):
        n = 2**level
        np.testing.assert_array_equal(
            crop, z[:, 4 // n : 12 // n, 8 // n : 16 // n]
        )


def test_stages_and_levels_have_streams_of_their_own():
    seeds, side = tf.constant([4], tf.int64), tf.range(64)
    fields = [
        z.numpy()[0, :8, :8].ravel()
        for stage in (0, 1)
        for z in noise_fields(seeds, stage, side, side, 4, 4)
    ]
    table = np.corrcoef(fields) - np.eye(len(fields))
    assert np.abs(table).max() < 0.3  # 256 draws: five standard errors
    assert STREAMS_PER_STAGE > 4


def test_levels_and_noises_must_agree():
    generator, inputs = case(2, 2, 0)
    with pytest.raises(Exception):  # noqa: B017 - whichever layer says so
        generator(**(inputs | {"noises": inputs["noises"] + [tf.zeros(1)]}))
