"""Layers: norms and averages by hand, no statistics, spectral norm."""

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf.models import batch_norm, layers, modulation, spectral

RNG = np.random.default_rng(0)
SIZE, CHANNELS = 24, 4


def features(*shape):
    return tf.constant(RNG.normal(size=shape), tf.float32)


# Batch norm: the kernel of one replica, and Keras' own for several


def normed(layer, x, steps=3):
    """Output and gradients of the last step, and the moving averages."""
    for step in range(steps):
        with tf.GradientTape() as tape:
            image = x * (1.0 + step)
            tape.watch(image)
            y = layer(image, training=True)
            loss = tf.reduce_sum(tf.sin(y))
        sources = [image, layer.gamma, layer.beta]
        found = [y, *tape.gradient(loss, sources)]
    return [*found, layer.moving_mean, layer.moving_variance]


def test_batch_norm_of_one_replica_is_that_of_several():
    x = 3.0 + 2.0 * features(2, 5, 6, CHANNELS)
    keras = tf.keras.layers.BatchNormalization(momentum=0.97, synchronized=True)
    for one, several in zip(
        normed(batch_norm.BatchNorm(), x), normed(keras, x), strict=True
    ):
        np.testing.assert_allclose(one, several, rtol=1e-4, atol=1e-5)


def test_batch_norm_of_several_sends_one_message(monkeypatch):
    x = 3.0 + 2.0 * features(2, 5, 6, CHANNELS)
    context = tf.distribute.get_replica_context()
    sent, original = [], context.all_reduce

    def watched(kind, value):
        sent.append(value.shape.as_list())
        return original(kind, value)

    monkeypatch.setattr(type(context), "all_reduce", lambda _, *v: watched(*v))
    layer = batch_norm.BatchNorm()
    layer.build(x.shape)
    found = layer._sync_calculate_mean_and_var(x, [0, 1, 2], False)
    for one, wanted in zip(found, tf.nn.moments(x, [0, 1, 2]), strict=True):
        np.testing.assert_allclose(one, wanted, rtol=1e-4)
    assert sent == [[2 * CHANNELS + 1]]


def test_batch_norm_of_several_keeps_its_digits():
    layer = batch_norm.BatchNorm()
    layer.build([2, 32, 32, CHANNELS])
    layer.moving_mean.assign([9.9] * CHANNELS)
    x = 10.0 + 0.1 * features(2, 32, 32, CHANNELS)
    _, found = layer._sync_calculate_mean_and_var(x, [0, 1, 2], False)
    # Squares of 10 have seven digits, of which 0.01 would be left with four.
    wanted = x.numpy().astype(float).var((0, 1, 2))
    np.testing.assert_allclose(found, wanted, rtol=1e-4)
    one = tf.fill([2, 32, 32, CHANNELS], 9.7)
    _, found = layer._sync_calculate_mean_and_var(one, [0, 1, 2], False)
    assert (found.numpy() >= 0).all() and (found.numpy() < 1e-4).all()


def test_batch_norm_by_hand():
    layer = batch_norm.BatchNorm()
    x = tf.constant([1.0, 2.0, 3.0, 6.0], shape=[1, 2, 2, 1])
    y = layer(x, training=True)
    # Mean 3, mean square deviation (4 + 1 + 0 + 9) / 4 = 3.5.
    wanted = np.array([-2, -1, 0, 3]) / (3.5 + 1e-3) ** 0.5
    np.testing.assert_allclose(np.ravel(y), wanted, rtol=1e-5)
    # From 0 and 1 by 3 per cent.
    assert float(layer.moving_mean) == pytest.approx(0.09, rel=1e-5)
    moved = 0.97 + 0.03 * 3.5
    assert float(layer.moving_variance) == pytest.approx(moved, rel=1e-5)


# By hand


def test_pixel_norm_by_hand():
    # Mean square of (3, 4) is 12.5; of (0.6, 0.8) it is 0.5: same direction.
    x = tf.constant([[[[3.0, 4.0], [0.6, 0.8], [0.0, 0.0]]]])
    unit = np.array([3.0, 4.0]) / 12.5**0.5
    found = layers.pixel_norm(x).numpy()[0, 0]
    np.testing.assert_allclose(found[:2], [unit, unit], rtol=1e-5)
    assert found[2].tolist() == [0, 0]


def test_pixel_norm_squares_in_float32():
    # 256 + 1 is 256 in bfloat16: summed there, ones would be lost.
    x = tf.constant([16.0] + [1.0] * 255, tf.bfloat16)[None, None, None]
    found = layers.pixel_norm(x)
    assert found.dtype == tf.bfloat16
    # Mean square (256 + 255) / 256.
    wanted = 16 / (511 / 256) ** 0.5
    assert float(found[0, 0, 0, 0]) == pytest.approx(wanted, rel=0.005)


def test_pixel_norm_has_a_finite_gradient_at_zero():
    x = tf.zeros([1, 1, 1, 4])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(layers.pixel_norm(x))
    assert np.isfinite(tape.gradient(y, x)).all()


def test_halve_by_hand():
    x = tf.reshape(tf.range(8.0), [1, 2, 4, 1])
    # (0 + 1 + 4 + 5) / 4 and (2 + 3 + 6 + 7) / 4
    assert layers.halve(x).numpy().ravel().tolist() == [2.5, 4.5]


def test_soften_by_hand():
    x = np.zeros((1, 4, 5, 1), np.float32)
    x[0, 0, 2] = 9
    found = layers.soften(tf.constant(x)).numpy()[0, ..., 0]
    # A ninth each; the border row is mirrored, so it counts twice there.
    assert found.round(5).tolist() == [
        [0, 2, 2, 2, 0],
        [0, 1, 1, 1, 0],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
    ]


def test_double_by_hand():
    x = tf.constant([0.0, 4.0])[None, None, :, None]
    # Half-pixel centres: samples at -1/4, 1/4, 3/4 and 5/4 of a pixel.
    found = layers.double(x).numpy()[0, :, :, 0]
    assert found.tolist() == [[0, 1, 3, 4]] * 2


def test_double_keeps_the_dtype_and_halving_undoes_constants():
    x = tf.fill([2, 3, 5, 2], 0.5)
    assert layers.double(tf.cast(x, tf.bfloat16)).dtype == tf.bfloat16
    np.testing.assert_array_equal(layers.halve(layers.double(x)), x)


def test_a_1x1_convolution_is_the_same_before_and_after_doubling():
    # Networks take it before; weights of runs that took it after still serve.
    conv, x = layers.Conv(3, 1), features(2, 5, 6, CHANNELS)
    conv(x)
    conv.set_weights([RNG.normal(size=w.shape) for w in conv.get_weights()])
    first, last = layers.double(conv(x)), conv(layers.double(x))
    np.testing.assert_allclose(first, last, atol=1e-5)


def test_levels_are_repeated_averages():
    x = features(1, 8, 12, 3)
    found = layers.levels_of(x, 3)
    assert [tuple(f.shape) for f in found] == [
        (1, 8, 12, 3),
        (1, 4, 6, 3),
        (1, 2, 3, 3),
    ]
    blocks = x.numpy().reshape(1, 2, 4, 3, 4, 3).mean((2, 4))
    np.testing.assert_allclose(found[2], blocks, atol=1e-6)


def test_neighbourhood_averages_by_hand():
    mask = np.zeros((1, 31, 31, 1), np.float32)
    mask[0, 15, 15] = 1
    found = layers.neighbourhood(tf.constant(mask)).numpy()[0]
    assert found.shape == (31, 31, 3)
    np.testing.assert_array_equal(found[..., 0], mask[0, ..., 0])
    for channel, reach in ((1, 2), (2, 6)):
        inside = np.zeros((31, 31), np.float32)
        inside[15 - reach : 16 + reach, 15 - reach : 16 + reach] = 1
        wanted = inside / (2 * reach + 1) ** 2
        np.testing.assert_allclose(found[..., channel], wanted, atol=1e-7)


def test_neighbourhood_of_a_full_mask_is_full_up_to_the_edge():
    found = layers.neighbourhood(tf.ones([1, 16, 16, 2]))
    np.testing.assert_allclose(found, np.ones((1, 16, 16, 6)), rtol=1e-6)


def test_neighbourhood_averages_what_lies_inside():
    mask = np.random.default_rng(0).uniform(size=(1, 15, 20, 1))
    found = layers.neighbourhood(tf.constant(mask, tf.float32)).numpy()
    for channel, reach in ((1, 2), (2, 6)):
        for row, column in ((0, 0), (3, 19), (14, 8), (7, 7)):
            rows = slice(max(row - reach, 0), row + reach + 1)
            columns = slice(max(column - reach, 0), column + reach + 1)
            wanted = mask[0, rows, columns].mean()
            assert found[0, row, column, channel] == pytest.approx(wanted)


# No statistics over batch or space

MASKED = {
    "Modulation": modulation.Modulation,
    "ModulatedBlock": modulation.ModulatedBlock,
}
PLAIN = {
    "Conv": layers.Conv,
    "SpectralConv": spectral.SpectralConv,
    "NormedBlock": batch_norm.NormedBlock,
    "SpectralBlock": spectral.SpectralBlock,
}


def applied(name):
    """A function of x alone, and its layer, with every weight in play."""
    if name == "pixel_norm":
        return layers.pixel_norm
    if name == "neighbourhood":
        return layers.neighbourhood
    if name in PLAIN:
        layer = PLAIN[name](CHANNELS)
        call = layer
    else:
        layer = MASKED[name](CHANNELS)
        mask, style = features(3, SIZE, SIZE, 2), features(3, 6)

        def call(x):
            return layer(x, mask, style)

    call(features(3, SIZE, SIZE, CHANNELS))
    for variable in layer.trainable_variables:
        variable.assign(features(*variable.shape) * 0.5)
    return call


@pytest.mark.parametrize(
    "name", ["pixel_norm", "neighbourhood", *PLAIN, *MASKED]
)
def test_neither_other_images_nor_far_pixels_matter(name):
    call = applied(name)
    x = features(3, SIZE, SIZE, CHANNELS).numpy()
    before = call(tf.constant(x)).numpy()
    x[1] = 7 * x[1] + 3
    x[0, 2, 2] += 100
    after = call(tf.constant(x)).numpy()
    np.testing.assert_allclose(after[2], before[2], atol=1e-5)
    assert np.abs(after[1] - before[1]).max() > 0.01
    # A layer sees at most 6 pixels to each side.
    far = np.ones((SIZE, SIZE), bool)
    far[:9, :9] = False
    np.testing.assert_allclose(after[0][far], before[0][far], atol=1e-5)
    assert np.abs(after[0, 2, 2] - before[0, 2, 2]).max() > 0.01


def test_modulation_by_hand():
    layer = modulation.Modulation(1)
    x = tf.constant([[[[5.0]]]])
    mask, style = tf.constant([[[[1.0, 0.0]]]]), tf.constant([[2.0]])
    layer(x, mask, style)
    # Columns: scale, shift. Class 0: 0.5, 10; class 1: 7, 7.
    layer.from_mask.set_weights(
        [np.array([[[[0.5, 10.0], [7.0, 7.0]]]]), np.zeros(2)]
    )
    layer.from_style.set_weights([np.array([[0.25, 1.0]]), np.zeros(2)])
    # Norm of 5 alone is 1: 1 * (1 + 0.5 + 2 * 0.25) + 10 + 2 * 1 = 14.
    assert float(layer(x, mask, style)) == pytest.approx(14, rel=1e-5)
    # Below zero a fifth: (-1 * 2 - 10) / 5, with a style that shifts by -22.
    layer.from_style.set_weights([np.array([[0.25, -10.0]]), np.zeros(2)])
    assert float(layer(-x, mask, style)) == pytest.approx(-2.4, rel=1e-5)


def test_a_soft_mask_mixes_what_its_classes_do():
    layer = modulation.Modulation(CHANNELS)
    x, style = features(1, 4, 4, CHANNELS), features(1, 6)
    one, two = tf.one_hot([[[0] * 4] * 4], 2), tf.one_hot([[[1] * 4] * 4], 2)

    def before_leaky(mask):
        y = layer(x, mask, style)
        return tf.where(y < 0, 5.0 * y, y)

    mixed = before_leaky(0.25 * one + 0.75 * two)
    wanted = 0.25 * before_leaky(one) + 0.75 * before_leaky(two)
    np.testing.assert_allclose(mixed, wanted, atol=1e-5)


def test_spectral_norm_works_in_float32_and_leaves_maps_alone(bfloat16):
    layer = spectral.SpectralConv(CHANNELS)
    x = tf.cast(features(1, 4, 4, CHANNELS), tf.bfloat16)
    assert layer(x, training=True).dtype == tf.bfloat16
    assert {v.dtype for v in layer.variables} == {tf.float32}
    call = tf.function(lambda: layer(x, training=True))
    casts = [
        op.outputs[0].dtype
        for op in call.get_concrete_function().graph.get_operations()
        if op.type == "Cast"
    ]
    # Of the kernel and the bias.
    assert casts == [tf.bfloat16] * 2


@pytest.mark.parametrize("gain", [2.0, 0.2])
def test_initial_gain_keeps_the_variance(gain):
    layer = layers.Conv(64, gain=gain)
    y = layer(features(2, 16, 16, 32)).numpy()[:, 1:-1, 1:-1]
    assert y.var() == pytest.approx(gain, rel=0.2)


def test_gain_zero_starts_at_zero():
    y = layers.Conv(3, gain=0.0)(features(1, 4, 4, 8))
    assert not np.any(y)


# Spectral norm


def train_spectral(size, calls=200):
    layer = spectral.SpectralConv(6, size)
    x = features(2, 8, 8, 5)
    layer(x)
    kernel_of(layer).assign(features(*kernel_of(layer).shape))
    step = tf.function(lambda: layer(x, training=True))
    for _ in range(calls):
        y = step()
    return layer, x, y


def kernel_of(layer):
    return next(v for v in layer.trainable_variables if len(v.shape) == 4)


@pytest.mark.parametrize("size", [1, 3])
def test_training_brings_the_kernel_to_spectral_norm_one(size):
    layer, x, y = train_spectral(size)
    matrix = kernel_of(layer).numpy().reshape(-1, 6)
    norm = np.linalg.svd(matrix, compute_uv=False)[0]
    assert norm == pytest.approx(1, abs=0.02)
    # What was computed is the convolution with that kernel.
    kernel, bias = layer.trainable_variables
    wanted = tf.nn.conv2d(x, kernel, 1, "SAME") + bias
    np.testing.assert_allclose(y, wanted, atol=1e-4)


def test_inference_leaves_the_kernel_alone():
    layer, x, _ = train_spectral(3, 1)
    before = [v.numpy() for v in layer.variables]
    layer(x)
    layer(x, training=False)
    for old, new in zip(before, layer.variables, strict=True):
        np.testing.assert_array_equal(old, new)


def test_kernels_keep_float32_under_bfloat16(bfloat16):
    layer, _, y = train_spectral(3)
    assert y.dtype == tf.bfloat16
    kernel = kernel_of(layer)
    assert kernel.dtype == tf.float32
    exact = kernel.numpy()
    rounded = tf.cast(tf.cast(exact, tf.bfloat16), tf.float32).numpy()
    assert (exact != rounded).mean() > 0.9
    norm = np.linalg.svd(exact.reshape(-1, 6), compute_uv=False)[0]
    assert norm == pytest.approx(1, abs=0.02)
