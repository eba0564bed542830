"""The list of phases, and whether the records can feed them."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from small_training import ingest_small, small_config

from histogan_tf.config import NetworkConfig
from histogan_tf.data.manifest import ImageInfo, Kind, Split
from histogan_tf.errors import InputError
from histogan_tf.run_dir import RunDir
from trainer import phases


@pytest.fixture(scope="module")
def source(phantom_files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("phases")
    manifest = ingest_small(phantom_files, folder / "records")
    return phases.Source(small_config(2), manifest, RunDir(folder / "run"))


def test_phases_in_order(source):
    found = phases.phases(source)
    names = ["stages/0", "stages/1", "segmenter", "judge"]
    assert [p.name for p in found] == names
    assert [p.folder for p in found] == [source.run.root / n for n in names]
    assert [(p.steps, p.batch) for p in found] == [(4, 2)] * 4
    # No two phases share first weights or crops, and 0 is no seed.
    assert len({p.seed for p in found}) == 4
    assert all(p.seed > 0 and p.work > 0 for p in found)


def test_seeds_of_any_size_leave_room_for_the_crops(source):
    for seed in (0, 1, 65535, 65536, 2**31 - 1):
        config = replace(source.config, seed=seed)
        for phase in phases.phases(replace(source, config=config)):
            assert 0 < phase.seed <= 2**22
            assert (phase.seed << 40) < 2**63


def test_batches_go_on_where_they_stopped(source):
    phase = phases.stage_phase(source, 1)
    whole = list(phase.batches(0).take(3).as_numpy_iterator())
    (later,) = phase.batches(2).take(1).as_numpy_iterator()
    for name, value in later.items():
        np.testing.assert_array_equal(value, whole[2][name], err_msg=name)
    assert whole[0]["image"].shape == (2, 8, 8, 3)
    # Half of the batch has labels.
    shares = whole[0]["labels"].sum(axis=(1, 2, 3)) / 64
    np.testing.assert_allclose(shares, [1, 0], atol=0.01)


def test_the_judge_sees_labelled_images_only(source):
    judge = phases.phases(source)[-1]
    (batch,) = judge.batches(0).take(1).as_numpy_iterator()
    shares = batch["labels"].sum(axis=(1, 2, 3)) / 64
    np.testing.assert_allclose(shares, 1, atol=0.01)


def test_without_unlabelled_images_all_are_labelled(source):
    manifest = source.manifest
    assert phases.effective(source.config, manifest) == source.config
    train = replace(manifest.split("train"), unlabelled=Kind())
    alone = replace(manifest, splits={"train": train})
    assert phases.effective(source.config, alone).labelled_share == 1


def test_weights_of_classes(source):
    pixels = np.array(source.manifest.class_pixels("train"), float)
    wanted = pixels.sum() / (3 * pixels)
    np.testing.assert_allclose(source.weights(), np.minimum(wanted, 10))


def test_cached_bytes():
    # 40 x 20 px at 2.5 um/px are 10 x 5 at 10; RGB and two classes.
    image = ImageInfo("a", 20, 40, 2.5, "", (1, 2), 0)
    scale = phases.Scale(10.0, 10.0, 2)
    assert phases.cached_bytes(image, 10.0, scale) == 10 * 5 * 5


def test_work():
    # 2 images of 10 x 10 px: 4^2 channels squared, then 8^2 on a quarter.
    net = NetworkConfig((4, 8))
    assert phases.work(10, 2, [net]) == pytest.approx(200 * (16 + 16) / 1e6)


def one_image(source, **changes):
    values = {"name": "a", "height": 80, "width": 96, "mpp": 2.5, "group": ""}
    info = ImageInfo(**(values | changes), class_pixels=(1, 1, 1))
    split = Split(labelled=Kind(images=(info,)))
    return replace(source.manifest, splits={"train": split})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"height": 16}, "gives 4 px at 10.0 um/px, less than a crop of 8"),
        ({"mpp": 6.0}, "a: 6.0 um/px is coarser than the 5.0"),
    ],
)
def test_images_that_cannot_be_used(source, changes, message):
    with pytest.raises(InputError, match=message):
        phases.check_data(source.config, one_image(source, **changes))


def test_the_smallest_image_that_can_be_used(source):
    phases.check_data(source.config, one_image(source, height=30))


def test_no_labelled_image(source):
    empty = replace(source.manifest, splits={"train": Split()})
    with pytest.raises(InputError, match="no labelled training image"):
        phases.check_data(source.config, empty)


def test_batches_that_replicas_cannot_share(source):
    phases.check_replicas(source.config, 2)
    with pytest.raises(InputError, match=r"stages.0.batch: 2 .* multiple of 4"):
        phases.check_replicas(source.config, 4)


def test_drawn_styles_belong_to_their_seeds():
    styles = tf.constant(np.arange(18.0).reshape(3, 6), tf.float32)
    seeds = tf.range(200, dtype=tf.int64)
    drawn = phases.drawn_styles(styles, seeds, 0.0).numpy()
    assert {tuple(row) for row in drawn} == {
        tuple(row) for row in styles.numpy()
    }
    some = phases.drawn_styles(styles, seeds[50:60], 0.0).numpy()
    np.testing.assert_array_equal(some, drawn[50:60])
    moved = phases.drawn_styles(styles, seeds, 0.2).numpy() - drawn
    assert np.abs(moved[:, :3]).max() <= 0.2 * 3**0.5 + 1e-5
    assert moved[:, :3].std() == pytest.approx(0.2, rel=0.15)
    assert (moved[:, 3:] == 0).all()


def test_the_judge_has_no_painter(source):
    with pytest.raises(ValueError, match="no painted images"):
        phases.no_painter(source)(None, None, None)


def test_the_painter_paints_the_finest_stage(random_run):
    from histogan_tf import run_dir
    from histogan_tf.data import manifest

    run = run_dir.open_run(random_run)
    paint = phases.painter(
        phases.Source(run.config(), manifest.Manifest("", 0, None, {}), run)
    )
    mask = np.eye(3, dtype=np.float32)[np.zeros((2, 16, 16), int)]
    other = np.zeros((2, 6), np.float32)
    seeds = np.array([1, 2], np.int64)
    images = paint(mask, other, seeds).numpy()
    assert images.shape == (2, 16, 16, 3)
    assert np.abs(images).max() <= 1 and np.ptp(images) > 0
    # The batch's own style is not used; each image's seed decides.
    np.testing.assert_array_equal(images, paint(mask, other + 5, seeds))
    alone = paint(mask[1:], other[1:], seeds[1:])
    np.testing.assert_allclose(images[1:], alone, atol=1e-5)
