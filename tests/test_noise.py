"""Noise: a property of the place, against a reference in plain integers."""

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf.models import noise

WORD = 0xFFFFFFFF


def lowbias32(x):
    """Wellons' published mixer."""
    x ^= x >> 16
    x = x * 0x7FEB352D & WORD
    x ^= x >> 15
    x = x * 0x846CA68B & WORD
    return x ^ x >> 16


def absorb(state, value):
    return lowbias32(state ^ lowbias32(((value & WORD) + 0x9E3779B9) & WORD))


def reference(seed, stream, row, column, channel, channels):
    """One value, in Python's unbounded integers."""
    state = absorb(absorb(stream, seed >> 32), seed)
    state = absorb(absorb(state, row), column)
    words = (channels + 1) // 2
    word = lowbias32(state ^ channel % words)
    half = word & 0xFFFF if channel < words else word >> 16
    return ((half + 0.5) / 32768 - 1) * 3**0.5


def field(seeds, stream, rows, columns, channels=1):
    rows, columns = tf.constant(list(rows)), tf.constant(list(columns))
    seeds = tf.constant(seeds, tf.int64)
    return noise.field(seeds, stream, rows, columns, channels).numpy()


def correlation(a, b):
    return np.corrcoef(np.ravel(a), np.ravel(b))[0, 1]


@pytest.mark.parametrize("seed", [0, 1, -1, 2**31, 2**32 + 5, 2**62 + 12345])
def test_equals_the_reference_in_plain_integers(seed):
    rows, columns = (-3, 0, 70_000), (-(2**20), 5)
    found = field([seed], 7, rows, columns, 5)
    assert found.shape == (1, 3, 2, 5) and found.dtype == np.float32
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            wanted = [reference(seed, 7, row, column, c, 5) for c in range(5)]
            np.testing.assert_allclose(found[0, i, j], wanted, rtol=1e-6)


def test_mixer_stays_right_beyond_63_bits():
    # 0xFFFFFFFF * 0x846CA68B leaves int64.
    values = [0, 1, 0x7FFFFFFF, 0x80000000, WORD, 0xDEADBEEF]
    found = noise.mix(tf.constant(values, tf.int64)).numpy()
    assert found.tolist() == [lowbias32(v) for v in values]


def test_a_window_is_a_crop_of_the_whole():
    whole = field([3, 4], 1, range(-20, 20), range(-9, 31), 3)
    part = field([3, 4], 1, range(-5, 12), range(-9, 2), 3)
    np.testing.assert_array_equal(part, whole[:, 15:32, 0:11])
    one = field([4], 1, [19], [-1], 3)
    np.testing.assert_array_equal(one[0, 0, 0], whole[1, 39, 8])


def test_integers_of_either_width_place_alike():
    seed = tf.constant([5], tf.int64)
    narrow = noise.field(seed, 0, tf.range(-4, 4), tf.range(3), 2)
    rows = tf.range(-4, 4, dtype=tf.int64)
    wide = noise.field(seed, 0, rows, tf.range(3, dtype=tf.int64), 2)
    np.testing.assert_array_equal(narrow, wide)


def test_uniform_with_mean_zero_and_variance_one():
    values = field([11], 0, range(160), range(160), 4)
    assert values.size > 1e5
    # Standard errors of 1e5 draws: 0.003 for the mean, 0.003 for E[x^2].
    assert abs(values.mean()) < 0.012
    assert values.var() == pytest.approx(1, abs=0.012)
    assert np.abs(values).max() <= 3**0.5
    assert np.abs(values).max() > 1.73
    # Kurtosis 9/5 is the uniform distribution's.
    assert (values**4).mean() == pytest.approx(1.8, abs=0.03)


def test_no_correlation_between_channels():
    values = field([1], 0, range(320), range(320), 5).reshape(-1, 5)
    table = np.corrcoef(values.T) - np.eye(5)
    assert np.abs(table).max() < 0.016  # five standard errors


@pytest.mark.parametrize(
    "seed, stream, down, right",
    [
        (1, 0, 0, 0),
        (2**32, 0, 0, 0),
        (0, 1, 0, 0),
        (0, 16, 0, 0),
        (0, 0, 1, 0),
        (0, 0, 0, 1),
        (0, 0, 1, 1),
        (0, 0, 1, -1),
    ],
)
def test_neighbours_streams_and_seeds_are_independent(
    seed, stream, down, right
):
    side = range(320)
    here = field([40], 3, side, side)
    there = field(
        [40 + seed],
        3 + stream,
        range(down, 320 + down),
        range(right, 320 + right),
    )
    assert abs(correlation(here, there)) < 0.016


def test_rows_and_columns_do_not_swap():
    square = field([9], 0, range(320), range(320))[0, ..., 0]
    off = ~np.eye(320, dtype=bool)
    assert abs(correlation(square[off], square.T[off])) < 0.016


def test_uniform_per_image():
    seeds = tf.range(50_000, dtype=tf.int64)
    draws = noise.uniform(seeds, 5, 2).numpy()
    assert draws.shape == (50_000, 2) and draws.dtype == np.float32
    assert 0 < draws.min() < 1e-4 and 1 - 1e-4 < draws.max() < 1
    np.testing.assert_allclose(draws.mean(0), 0.5, atol=0.007)
    np.testing.assert_allclose(draws.var(0), 1 / 12, atol=0.003)
    assert abs(correlation(draws[:, 0], draws[:, 1])) < 0.02
    # Images of neighbouring seeds, as a batch has them.
    assert abs(correlation(draws[1:, 0], draws[:-1, 0])) < 0.02


def test_pixels_start_at_the_origin():
    like = tf.zeros([2, 4, 5, 7])
    seeds = tf.constant([8, 9], tf.int64)
    found = noise.pixels(seeds, 6, like, 3)
    wanted = field([8, 9], 6, range(4), range(5), 3)
    np.testing.assert_array_equal(found, wanted)


def test_works_in_int64_only_as_gpus_multiply_it():
    @tf.function
    def traced(seed):
        return noise.field(seed, 2, tf.range(4), tf.range(4), 3)

    graph = traced.get_concrete_function(
        tf.TensorSpec([None], tf.int64)
    ).graph.as_graph_def()
    kinds = ("Bitwise", "RightShift", "LeftShift", "Mul")
    (function,) = graph.library.function
    used = [n for n in function.node_def if n.op.startswith(kinds)]
    # The last multiplication, of floats, spreads the result.
    single = tf.float32.as_datatype_enum
    floats = [n for n in used if n.attr["T"].type == single]
    assert len(floats) <= 2 and all(n.op == "Mul" for n in floats)
    whole = {n.attr["T"].type for n in used if n not in floats}
    assert whole == {tf.int64.as_datatype_enum}


def test_a_field_is_few_ops_of_known_shape():
    """Every level draws one, and would be traced longer."""

    @tf.function(autograph=False)
    def draw(seed, rows, columns):
        return noise.field(seed, 5, rows, columns, 3)

    traced = draw.get_concrete_function(
        tf.TensorSpec([4], tf.int64),
        tf.TensorSpec([4, 8], tf.int32),
        tf.TensorSpec([6], tf.int32),
    )
    assert traced.outputs[0].shape == (4, 8, 6, 3)
    assert len(traced.graph.get_operations()) < 16


def test_numbers_are_few_ops_of_known_shape():
    """Pipelines and steps draw them often, and would be traced longer."""

    @tf.function(autograph=False)
    def draw(seed):
        return noise.uniform(seed, 5, 3)

    seeds = tf.constant([1, 2**40, -7, 0], tf.int64)
    traced = draw.get_concrete_function(tf.TensorSpec([4], tf.int64))
    assert traced.outputs[0].shape == (4, 3)
    assert len(traced.graph.get_operations()) < 10
    zero = tf.constant([0])
    places = noise.field(seeds, 5, zero, zero, 3)[:, 0, 0]
    expected = places / (2 * 3**0.5) + 0.5
    for found in (draw(seeds), noise.uniform(seeds, 5, 3)):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)
