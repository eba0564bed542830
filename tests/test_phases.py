"""The list of phases, and whether the records can feed them."""

from dataclasses import replace

import numpy as np
import pytest
from small_training import ingest_small, small_config

from histogan_tf.config import NetworkConfig
from histogan_tf.errors import InputError
from histogan_tf.run_dir import RunDir
from trainer import phases, training_data


@pytest.fixture(scope="module")
def source(phantom_files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("phases")
    manifest = ingest_small(phantom_files, folder / "records")
    return training_data.TrainingData(
        small_config(2), manifest, RunDir(folder / "run")
    )


def test_phases_in_order(source):
    found = phases.phases(source)
    names = ["stages/0", "stages/1", "judge", "segmenter"]
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
    whole = list(phase.batches(0, range(2)).take(3).as_numpy_iterator())
    (later,) = phase.batches(2, range(2)).take(1).as_numpy_iterator()
    for name, value in later.items():
        np.testing.assert_array_equal(value, whole[2][name], err_msg=name)
    assert whole[0]["image"].shape == (2, 8, 8, 3)
    # Half of the batch has labels.
    shares = whole[0]["labels"].sum(axis=(1, 2, 3)) / 64
    np.testing.assert_allclose(shares, [1, 0], atol=0.01)


def test_the_judge_sees_labelled_images_only(source):
    *_, judge, _ = phases.phases(source)
    (batch,) = judge.batches(0, range(2)).take(1).as_numpy_iterator()
    shares = batch["labels"].sum(axis=(1, 2, 3)) / 64
    np.testing.assert_allclose(shares, 1, atol=0.01)


def test_stain_is_jittered_only_where_it_shows(source, monkeypatch):
    monkeypatch.setattr(phases, "_batches", lambda a, b, crops, *c: crops)

    def jitter(restain, teach=None):
        settings = replace(source.config.judge, restain=restain)
        phase = phases.segmenter_phase(source, "judge", settings, 63, teach)
        return phase.batches.augment.stain

    wanted = source.config.judge.augment.stain
    assert wanted > 0
    assert jitter(1.0) == 0.0  # all images take another stain
    assert jitter(0.5) == wanted
    # Lessons of others may look at the crops themselves.
    assert jitter(1.0, lambda source, settings: []) == wanted


def test_work():
    # 2 images of 10 x 10 px: 4^2 channels squared, then 8^2 on a quarter.
    net = NetworkConfig((4, 8))
    assert phases.work(10, 2, [net]) == pytest.approx(200 * (16 + 16) / 1e6)


def test_patches_make_steps_cheaper(source):
    whole, judge = phases.phases(source)[-1], source.config.judge
    one, two = (
        phases.segmenter_phase(source, "judge", replace(judge, patch=p), 63)
        for p in (1, 2)
    )
    assert one.work == 4 * two.work > 0
    # The last segmenter reads painted crops too, which the pyramid paints.
    assert whole.work > one.work


def test_patches_make_a_stage_cheaper_but_for_its_generator(source):
    stage = source.config.stages[0]
    works = []
    for patch in (1, 2):
        less = replace(stage, critic_patch=patch, segmenter_patch=patch)
        stages = (less, *source.config.stages[1:])
        config = replace(source.config, stages=stages)
        works.append(phases.stage_phase(replace(source, config=config), 0).work)
    few = stage.batch // stage.thin
    painting = phases.work(stage.crop, few, [stage.generator])
    assert works[0] - painting == pytest.approx(4 * (works[1] - painting))


def test_the_judge_labels_as_many_tiles_as_memory_holds(source, monkeypatch):
    seen, told = [], []
    monkeypatch.setattr(phases.pseudo_labels, "teacher", lambda source: None)
    monkeypatch.setattr(
        phases.pseudo_labels,
        "labelled",
        lambda teacher, tiles, tell: seen.append(tiles),
    )
    phases._labelled_by_judge(source, told.append)
    config = replace(source.config, cache_mb=0)
    phases._labelled_by_judge(replace(source, config=config), told.append)
    assert [tiles.count for tiles in seen] == [2, 1]
    assert [len(list(tiles.dataset)) for tiles in seen] == [2, 1]
    (text,) = told
    assert text.startswith("cache_mb 0 holds 1 of 2 unlabelled tiles")


def test_numbers():
    assert phases.numbers([], 3) == []
    assert phases.numbers(["2", "0", "2"], 3) == [0, 2]


@pytest.mark.parametrize("text", ["3", "-1", "x", "", "1.0"])
def test_numbers_of_no_stage(text):
    with pytest.raises(InputError, match=rf"no stage '{text}'.* 0 .* to 2"):
        phases.numbers(["0", text], 3)
