"""Fused functions: the same numbers, and only where they are wanted."""

import contextlib
import gc
import threading
import weakref

import numpy as np
import pytest
import tensorflow as tf
from fused_steps import batch, compiled

from histogan_tf.models import (
    fused,
    layers,
    losses,
    modulation,
    noise,
    segmenter_loss,
)

RNG = np.random.default_rng(3)
SHAPE = (2, 6, 4, 5)
MAPS = {
    "leaky": (layers.leaky, 1),
    "pixel_norm": (layers.pixel_norm, 1),
    "normed": (layers.normed, 1),
    "modulated": (modulation.modulated, 3),
    "double": (layers.double, 1),
    "halve": (layers.halve, 1),
    "soften": (layers.soften, 1),
    "fold": (lambda x: layers.fold(x, 2), 1),
    "unfold": (lambda x: layers.unfold(x[..., :4], 2), 1),
    "softmax": (layers.softmax, 1),
}
MODULATIONS = [modulation.Modulation, modulation.ModulatedBlock]
# One loop an axis, and rounded between.
BY_AXIS = ("double", "soften")
LOSSES = {
    "cross_entropy": (losses.cross_entropy, "target", "weights"),
    "generated": (losses.generated,),
    "real": (losses.real, "where"),
    "soft_dice": (losses.soft_dice, "same"),
    "consistency": (losses.consistency, "same", "where"),
    "reconstruction": (losses.reconstruction, "same", "share"),
}


def numbers(*shape):
    return tf.constant(RNG.normal(size=shape), tf.float32)


def with_gradients(function, inputs, learnt, upstream):
    """The result and its gradients, as arrays of float32."""
    with tf.GradientTape() as tape:
        tape.watch(inputs[:learnt])
        result = function(*inputs)
    found = tape.gradient(result, inputs[:learnt], upstream)
    return [tf.cast(x, tf.float32).numpy() for x in (result, *found)]


@pytest.mark.parametrize("channels", [5, 48])
@pytest.mark.parametrize("name", MAPS)
def test_a_map_is_float32s_but_for_its_own_rounding(name, channels, bfloat16):
    function, count = MAPS[name]
    shape = (*SHAPE[:-1], channels)
    inputs = [tf.cast(numbers(*shape), tf.bfloat16) for _ in range(count)]
    upstream = tf.cast(numbers(*function(*inputs).shape), tf.bfloat16)
    exact = [tf.cast(x, tf.float32) for x in inputs]
    wanted = with_gradients(
        function, exact, count, tf.cast(upstream, tf.float32)
    )
    with fused.fusing():
        assert function(*inputs).dtype == tf.bfloat16
        found = with_gradients(function, inputs, count, upstream)
    for one, other in zip(found, wanted, strict=True):
        # Half a unit in the last of 8 digits; near zero, what sums lose.
        # Those of two loops round between them, where the most is about 4.
        lost = 4 * 2**-8 if name in BY_AXIS else 1e-5
        np.testing.assert_allclose(one, other, rtol=2**-8, atol=lost)


def apart_and_fused(kind, dtype, pixels):
    """A modulation's result and its gradients, [first apart, then fused]."""
    tf.keras.utils.set_random_seed(1)
    layer, rng = kind(5), np.random.default_rng(1)
    shapes = (SHAPE, (*SHAPE[:-1], 3), (2, 6), SHAPE)
    x, mask, style, upstream = (
        tf.constant(rng.normal(size=shape), dtype) for shape in shapes
    )
    given, found = [x, tf.nn.softmax(mask), style], []
    layer(*given)
    for where in (contextlib.nullcontext(), fused.fusing(pixels)):
        with where, tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(*given)
        sources = [x, *layer.trainable_variables]
        gradients = tape.gradient(y, sources, upstream)
        found.append([tf.cast(v, tf.float32) for v in (y, *gradients)])
    return found


@pytest.mark.parametrize("kind", MODULATIONS)
def test_a_modulation_is_the_same_fused(kind):
    for one, other in zip(
        *apart_and_fused(kind, tf.float32, fused.LARGE), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", MODULATIONS)
def test_a_modulation_is_nearly_the_same_in_bfloat16(kind, bfloat16):
    (one, *ones), (other, *others) = apart_and_fused(kind, tf.bfloat16, 0)
    # Apart, every op rounds to 8 digits, of numbers up to 8 or so.
    np.testing.assert_allclose(one, other, rtol=2**-5, atol=2**-5)
    # Where that takes a leaky ReLU's input through zero, in another place on
    # another processor, a pixel's gradient is another: 0.1 by one of 48.
    for one, other in zip(ones, others, strict=True):
        assert np.linalg.norm(one - other) < 0.2 * np.linalg.norm(other) + 1e-6


def test_the_gradients_of_both_meet(bfloat16):
    """Of x and of normed(x), as if they were taken one by one."""
    x, one, two = (tf.cast(numbers(*SHAPE), tf.bfloat16) for _ in range(3))
    with fused.fusing(), tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        same, y = layers.normed_beside(x)
        np.testing.assert_array_equal(y, layers.normed(x))
    np.testing.assert_array_equal(same, x)
    found = tape.gradient([same, y], x, [one, two])
    through = tape.gradient(y, x, two)
    exact = [tf.cast(v, tf.float32) for v in (found, one, through)]
    # Both sides are rounded once: half a unit in the last of 8 digits each.
    wanted = exact[1] + exact[2]
    np.testing.assert_allclose(exact[0], wanted, rtol=2**-7, atol=2**-7)
    np.testing.assert_array_equal(tape.gradient(same, x, one), one)


def test_noise_is_the_same_fused(bfloat16):
    seed = tf.constant([1, 2**40 + 3], tf.int64)
    for channels in (1, 3, 8):
        apart = noise.pixels(seed, 5, numbers(*SHAPE), channels)
        with fused.fusing():
            found = noise.pixels(seed, 5, numbers(*SHAPE), channels)
        np.testing.assert_array_equal(found, apart)


def test_winners_and_gaps_are_the_same_fused(bfloat16):
    p = tf.constant([[[[0.4, 0.4, 0.2], [0.1, 0.1, 0.8], [0.0, 0.0, 0.0]]]])
    with fused.fusing():
        assert losses.confident(p, 0.0).numpy().tolist() == [
            [[[1, 0, 0], [0, 0, 1], [1, 0, 0]]]
        ]
        assert losses.confident(p, 0.5).numpy()[0, 0, :, 2].tolist() == [
            0,
            1,
            0,
        ]
        np.testing.assert_allclose(losses.gaps(p), [[[0, 0, 1]]], atol=1e-6)


def test_a_simulated_opinion_is_the_same_fused(bfloat16):
    example = batch()
    apart = segmenter_loss.simulated_opinion(example)
    with fused.fusing():
        found = segmenter_loss.simulated_opinion(example)
    np.testing.assert_allclose(found, apart, atol=1e-5)
    assert np.abs(apart - 1 / 3).max() > 0.1


def loss_inputs(kinds, classes):
    soft = tf.nn.softmax(3.0 * numbers(2, 6, 4, classes - 1))
    made = {
        "target": soft * tf.constant([1.0, 0.0])[:, None, None, None],
        "same": tf.nn.softmax(3.0 * numbers(2, 6, 4, classes)),
        "weights": tf.constant([0.5, 2.0, 1.0]),
        "where": tf.constant(RNG.uniform(size=(2, 6, 4)), tf.float32),
        "share": tf.constant(0.3),
    }
    return [2.0 * numbers(2, 6, 4, classes), *(made[kind] for kind in kinds)]


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_what_it_is(name, bfloat16):
    function, *kinds = LOSSES[name]
    inputs, upstream = loss_inputs(kinds, 4), tf.constant([0.7, -1.3])
    wanted = with_gradients(function, inputs, 1, upstream)
    with fused.fusing():
        found = with_gradients(function, inputs, 1, upstream)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_a_loss_has_a_gradient_to_its_logits_alone(bfloat16):
    logits, target = loss_inputs(["same"], 4)
    with fused.fusing(), tf.GradientTape() as tape:
        tape.watch([logits, target])
        loss = losses.soft_dice(logits, target)
    to_logits, to_target = tape.gradient(loss, [logits, target])
    assert np.abs(to_logits).max() > 0
    assert to_target is None


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("name", [*MAPS, *LOSSES])
def test_one_loop_each_way(name, persistent, bfloat16):
    """With nothing of its inside kept, also for a tape that is used twice."""
    if name in MAPS:
        function, learnt = MAPS[name]
        inputs = [tf.cast(numbers(*SHAPE), tf.bfloat16)] * learnt
    else:
        function, *kinds = LOSSES[name]
        learnt, inputs = 1, loss_inputs(kinds, 4)

    def step(*given):
        with fused.fusing(), tf.GradientTape(persistent) as tape:
            watched = list(given[:learnt])
            tape.watch(watched)
            result = function(*given)
        return result, tape.gradient(result, watched)

    graph = tf.function(step).get_concrete_function(*inputs).graph
    calls = [op for op in graph.get_operations() if "Call" in op.type]
    loops = 2 if name in BY_AXIS else 1
    assert [len(op.outputs) for op in calls] == [1] * loops + [learnt] * loops
    assert compiled(graph) >= 2 * loops


def test_a_traced_step_is_not_kept(bfloat16):
    def step(x):
        with fused.fusing(), tf.GradientTape() as tape:
            tape.watch(x)
            y = layers.normed(modulation.modulated(x, x, x))
        return tape.gradient(y, x)

    graph = (
        tf.function(step)
        .get_concrete_function(tf.TensorSpec(SHAPE, tf.bfloat16))
        .graph
    )
    assert compiled(graph) > 0
    kept = weakref.ref(graph)
    del graph
    gc.collect()
    assert kept() is None


def test_arguments_by_name_are_no_loop(bfloat16):
    logits, where = loss_inputs(["where"], 4)
    with fused.fusing():
        found = losses.real(logits, where=where)
        np.testing.assert_allclose(found, losses.real(logits, where), rtol=1e-5)


def test_a_loss_is_float32(bfloat16):
    logits = tf.cast(numbers(2, 6, 4, 4), tf.bfloat16)
    with fused.fusing():
        assert losses.generated(logits).dtype == tf.float32


# Where


@pytest.mark.parametrize("pixels", [0, fused.LARGE - 1])
def test_float32_of_few_pixels_is_left_as_it_is(pixels):
    with fused.fusing(pixels):
        assert not fused.is_fusing()


def test_float32_of_many_pixels_is_fused():
    with fused.fusing(fused.LARGE):
        assert fused.is_fusing()


def test_a_gpu_is_left_as_it_is(bfloat16, monkeypatch):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [kind])
    with fused.fusing():
        assert not fused.is_fusing()


def test_inside_and_in_this_thread_only(bfloat16):
    seen = []
    with fused.fusing():
        thread = threading.Thread(target=lambda: seen.append(fused.is_fusing()))
        thread.start()
        thread.join()
        assert fused.is_fusing()
    assert seen == [False] and not fused.is_fusing()
    with pytest.raises(ValueError, match="out"), fused.fusing():
        raise ValueError("out")
    assert not fused.is_fusing()


def test_unknown_sizes_are_not_compiled(bfloat16):
    def call(x):
        with fused.fusing():
            return layers.double(layers.normed(x))

    for shape, wanted in ((SHAPE, True), ((None, None, None, 5), False)):
        spec = tf.TensorSpec(shape, tf.bfloat16)
        graph = tf.function(call).get_concrete_function(spec).graph
        assert (compiled(graph) > 0) == wanted
