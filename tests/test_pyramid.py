"""The pyramid: restored from a run, exact in windows, one scale a stage."""

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf import run_dir


@pytest.fixture(scope="module")
def pyramid(random_run):
    return run_dir.load_pyramid(run_dir.open_run(random_run))


def soft_mask(height, width, seed=0):
    ids = np.random.default_rng(seed).integers(0, 3, (height // 8, width // 8))
    whole = np.kron(ids, np.ones((8, 8), int))
    return tf.constant(np.eye(3, dtype=np.float32)[whole][None])


def paint(pyramid, mask, seed=7, row=0, column=0):
    style = tf.zeros([1, 6])
    seeds = tf.constant([seed], tf.int64)
    return [x.numpy() for x in pyramid.paint(mask, style, seeds, row, column)]


def test_multiple_covers_every_stage(pyramid):
    # Two levels at the coarse stage, whose pixels are 2 fine ones.
    assert pyramid.multiple == 4


def test_a_stage_doubles_the_one_before(pyramid):
    coarse, fine = paint(pyramid, soft_mask(16, 24))
    assert coarse.shape == (1, 8, 12, 3)
    assert fine.shape == (1, 16, 24, 3)
    assert fine.min() >= -1 and fine.max() <= 1
    assert fine.std() > 0.05


def test_probabilities_of_every_stage(pyramid):
    image = tf.random.stateless_uniform([1, 16, 24, 3], [1, 2], -1, 1)
    coarse, fine = pyramid.segment(image)
    assert coarse.shape == (1, 8, 12, 3)
    assert fine.shape == (1, 16, 24, 3)
    np.testing.assert_allclose(np.sum(fine, axis=-1), 1, atol=1e-5)


def test_the_weights_are_the_averages_that_training_saved(pyramid, random_run):
    folder = random_run / "stages" / "1" / "checkpoints"
    reader = tf.train.load_checkpoint(str(folder))
    paint(pyramid, soft_mask(16, 16))
    key = "model/average_generator/last/conv/kernel/.ATTRIBUTES/VARIABLE_VALUE"
    np.testing.assert_array_equal(
        pyramid.stages[1].generator.last.conv.kernel, reader.get_tensor(key)
    )


def test_a_window_with_its_halo_is_a_crop_of_the_whole(pyramid):
    mask, halo = soft_mask(192, 192), 56
    whole = paint(pyramid, mask)
    window = np.s_[:, 64 - halo : 128 + halo, 64 - halo : 128 + halo]
    part = paint(pyramid, mask[window], row=64 - halo, column=64 - halo)
    for stage, shrink in ((0, 2), (1, 1)):
        want = np.s_[:, 64 // shrink : 128 // shrink]
        inner = slice(halo // shrink, (halo + 64) // shrink)
        found = part[stage][:, inner, inner]
        expected = whole[stage][want][:, :, want[1]]
        assert np.abs(found - expected).max() <= 1e-4


def test_noise_goes_on_at_negative_rows_and_columns(pyramid):
    mask, halo = soft_mask(160, 160), 56
    whole = paint(pyramid, mask, row=-96, column=-128)
    part = paint(pyramid, mask[:, 16:, 16:], row=-80, column=-112)
    inner = np.s_[:, 16 + halo : 160 - halo, 16 + halo : 160 - halo]
    shifted = np.s_[:, halo : 144 - halo, halo : 144 - halo]
    assert np.abs(whole[1][inner] - part[1][shifted]).max() <= 1e-4
    other = paint(pyramid, mask, row=96, column=128)
    assert np.abs(whole[1] - other[1]).max() > 0.01


def test_the_seed_decides(pyramid):
    mask = soft_mask(16, 16)
    first, again, other = (paint(pyramid, mask, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first[1], again[1])
    assert np.abs(first[1] - other[1]).max() > 0.01


def test_a_phase_without_checkpoint_is_named(random_run, tmp_path):
    from histogan_tf.errors import InputError

    run = run_dir.RunDir(tmp_path)
    old = run_dir.open_run(random_run)
    run_dir.create_run(tmp_path, old.config(), old.classes(), {"hash": ""})
    with pytest.raises(InputError, match=r"stages/0/checkpoints: no checkp"):
        run_dir.load_pyramid(run)
