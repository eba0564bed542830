"""Generator: sizes, ranges, the residual, and windows equal to the whole."""

import functools
import itertools

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf.config import NetworkConfig
from histogan_tf.models import layers
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


@functools.cache
def new_case(levels, classes, stage, size=16, count=2):
    """A generator as it starts, and its inputs by name."""
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


@functools.cache
def case(levels, classes, stage, size=16, count=2):
    """A generator with every weight in play, and its inputs by name."""
    generator, inputs = new_case.__wrapped__(
        levels, classes, stage, size, count
    )
    rng = np.random.default_rng(0)
    for variable in generator.trainable_variables:
        fan = max(1, np.prod(variable.shape[:-1]))
        variable.assign(rng.normal(0, fan**-0.5, variable.shape))
    return generator, inputs


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("classes", CLASSES)
@pytest.mark.parametrize("levels", LEVELS)
def test_image_of_the_masks_size(levels, classes, stage):
    generator, inputs = case(levels, classes, stage)
    assert generator.stride == 2 ** (levels - 1)
    image = generator(**inputs)
    assert image.shape == (2, 16, 16, 3) and image.dtype == tf.float32
    assert np.isfinite(image).all()
    assert np.std(image) > 0.01
    if stage == 0:
        assert np.abs(image).max() <= 1


def test_stages_above_add_detail_only():
    generator, inputs = new_case(2, 2, 1)
    rng = np.random.default_rng(5)
    for variable in generator.last.trainable_variables:
        variable.assign(rng.normal(0, 0.05, variable.shape))
    out = generator(**inputs).numpy()
    added = out - inputs["coarse"].numpy()
    generator.residual = False
    raw = np.arctanh(generator(**inputs).numpy())
    generator.residual = True
    wanted = raw - layers.double(layers.halve(tf.constant(raw))).numpy()
    np.testing.assert_allclose(added, wanted, atol=1e-4)
    assert np.abs(added).max() > 0.01
    # Seen and coarse differ: detail comes from one, the base is the other.
    other = inputs | {"seen": inputs["coarse"] + 0.3}
    moved = generator(**other).numpy() - inputs["coarse"].numpy()
    assert np.abs(moved - added).max() > 1e-3
    same = inputs | {"coarse": inputs["coarse"] + 0.3, "seen": inputs["coarse"]}
    shifted = generator(**same).numpy()
    np.testing.assert_allclose(shifted, out + 0.3, atol=1e-4)


@pytest.mark.parametrize("levels", (1, 3))
def test_stages_above_start_as_the_coarser_image(levels):
    generator, inputs = new_case(levels, 2, 1)
    np.testing.assert_array_equal(generator(**inputs), inputs["coarse"])
    # And yet they can learn: the last layer has a gradient.
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(generator(**inputs)))
    gradients = tape.gradient(loss, generator.trainable_variables)
    assert any(np.abs(g).max() > 0 for g in gradients if g is not None)


@pytest.mark.parametrize("stage", STAGES)
def test_every_weight_gets_a_gradient(stage):
    generator, inputs = case(3, 5, stage)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(generator(**inputs)))
    variables = generator.trainable_variables
    for gradient, variable in zip(
        tape.gradient(loss, variables), variables, strict=True
    ):
        assert gradient is not None, variable.name
        assert np.abs(gradient).max() > 0, variable.name


@pytest.mark.parametrize("name", ["mask", "noises", "style", "coarse"])
def test_every_input_has_a_say(name):
    generator, inputs = case(2, 2, 1)
    before = generator(**inputs).numpy()
    if name == "noises":
        other = [z[::-1] for z in inputs[name]]
    else:
        other = inputs[name][::-1]
    after = generator(**(inputs | {name: other}))
    assert np.abs(after - before).max() > 1e-3


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("levels", LEVELS)
def test_a_window_inside_is_a_crop_of_the_whole(levels, stage):
    halo = {1: 12, 2: 32, 3: 60}[levels]
    a, b = 8, 2 * halo + 16
    generator, inputs = case(levels, 2, stage, size=b + 8, count=1)
    whole = generator(**inputs).numpy()
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
    inside = slice(halo, b - a - halo)
    np.testing.assert_allclose(
        part[:, inside, inside],
        whole[:, a:b, a:b][:, inside, inside],
        atol=1e-4,
    )


def test_maps_that_hang_on_the_mask_alone_wait_for_their_turn():
    """Convolutions come one after the other, but for a level's two entries.

    Else a graph begins with all of them and keeps them in memory.
    """
    generator, inputs = case(3, 2, 1)
    traced = tf.function(lambda: generator(**inputs)).get_concrete_function()

    @functools.cache
    def before(op):
        parents = {x.op for x in op.inputs} | set(op.control_inputs)
        return parents.union(*map(before, parents))

    every = traced.graph.get_operations()
    convolutions = [op for op in every if op.type == "Conv2D"]
    free = [
        pair
        for pair in itertools.combinations(convolutions, 2)
        if pair[0] not in before(pair[1])
    ]
    # Of a block 4 of modulation and 2 more, 3 entries, 2 from below, 3 last.
    assert len(convolutions) == 3 * 6 + 3 + 2 + 3
    assert len(free) == 2, free


def test_images_of_a_batch_do_not_mix():
    generator, inputs = case(2, 2, 1)
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
