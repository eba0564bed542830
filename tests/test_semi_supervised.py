"""The semi-supervised benchmark: its splits, scores, statistics."""

from dataclasses import replace

import numpy as np
import pytest
from semi_results import cells

from benchmarks import (
    semi_data,
    semi_scores,
    semi_statistics,
)
from histogan_tf.errors import InputError


def test_glas_folds(real_data):
    data = real_data / "glas"
    folds = [semi_data.glas_fold(data, 8, seed) for seed in (0, 1)]
    for fold in folds:
        uses = [fold.labelled, fold.unlabelled, fold.validation, fold.test]
        assert [len(use) for use in uses] == [8, 65, 12, 60]
        names = [s.name for use in uses for s in use]
        assert len(set(names)) == 145
        patients = {s.group for s in fold.validation}
        trained = {s.group for s in fold.labelled + fold.unlabelled}
        assert patients == semi_data.HELD_OUT_PATIENTS
        assert not patients & trained
    assert folds[0].validation == folds[1].validation
    assert folds[0].labelled != folds[1].labelled
    whole = semi_data.glas_fold(data, None, 0)
    assert (len(whole.labelled), whole.unlabelled) == (73, ())
    published = semi_data.glas_fold_without_validation(data, 17, 0)
    assert (len(published.labelled), len(published.unlabelled)) == (17, 68)


def test_records_hold_no_label_of_an_unlabelled_image(real_data, tmp_path):
    fold = semi_data.glas_fold(real_data / "glas", 2, 0)
    fold = semi_data.Fold(fold.labelled, fold.unlabelled[:2], (), ())
    more = semi_data.as_it_is, semi_data.TABLES / "glas.json", 0.62, 0
    made = semi_data.records(fold, tmp_path, *more)
    train = made.split("train")
    found = {i.name for i in train.labelled.images}
    assert found == {s.name for s in fold.labelled}
    assert all(not i.class_pixels for i in train.unlabelled.images)
    assert "validation" not in made.splits and "test" not in made.splits
    # Those of another fold are not taken for this one's.
    assert semi_data.records(fold, tmp_path, *more).hash == made.hash
    other = replace(fold, unlabelled=fold.unlabelled[:1])
    with pytest.raises(InputError, match="2 unlabelled images, other ones"):
        semi_data.records(other, tmp_path, *more)


def test_pixel_rows_by_hand():
    found = np.array([[1, 1, 0, 0]], bool)
    truth = np.array([[1, 0, 1, 1]], bool)
    row = semi_scores.pixel_row(found, truth)
    assert row == {"dice": 2 / 5, "jaccard": 1 / 4, "counts": [1, 1, 2]}
    nothing = semi_scores.pixel_row(found & ~found, truth & ~truth)
    assert (nothing["dice"], nothing["jaccard"]) == (1, 1)
    both = semi_scores.pooled({"a": row, "b": {**row, "counts": [9, 0, 0]}})
    assert both == {"dice": 20 / 23, "jaccard": 10 / 13}


def test_gland_rows_of_a_perfect_and_a_blind_reader(real_data):
    source = semi_data.glas_fold(real_data / "glas", 8, 0).test[0]
    truth = semi_scores.images.read_mask_raw(source.mask, False) > 0

    def perfect(image):
        import cv2

        size = image.shape[1::-1]
        p = cv2.resize(
            truth.astype(np.float32), size, interpolation=cv2.INTER_AREA
        )
        return np.stack([1 - p, p], -1)

    def blind(image):
        return np.broadcast_to([1.0, 0.0], (*image.shape[:2], 2)).copy()

    good, bad = (
        semi_scores.gland_rows(read, [source], 0.62, 1.24)[source.name]
        for read in (perfect, blind)
    )
    assert good["dice"] > 0.98 and good["object_f1"] > 0.9
    assert bad["dice"] == 0 and bad["object_dice"] == 0


def test_bootstrap_of_one_row_is_that_of_its_mean():
    rng = np.random.default_rng(0)
    gaps = rng.normal(1, 2, (1, 400))
    means = semi_statistics.bootstrap(gaps, np.arange(400), rng, 4000)
    assert means.mean() == pytest.approx(gaps.mean(), abs=0.01)
    assert means.std() == pytest.approx(gaps.std() / 20, rel=0.05)


def test_bootstrap_draws_seeds_too():
    rng = np.random.default_rng(0)
    # All the scatter is between the seeds.
    gaps = np.repeat([[0.0], [1.0], [2.0]], 50, 1)
    means = semi_statistics.bootstrap(gaps, np.arange(50), rng, 4000)
    assert means.std() == pytest.approx(np.sqrt(2 / 3 / 3), rel=0.05)


def test_bootstrap_draws_whole_groups():
    rng = np.random.default_rng(0)
    # Two patients of 1 and 3 images, gaps 0 and 1: both drawn, 3 / 4.
    gaps = np.array([[0.0, 1.0, 1.0, 1.0]])
    means = semi_statistics.bootstrap(gaps, np.array([0, 1, 1, 1]), rng, 4000)
    values, counts = np.unique(means, return_counts=True)
    np.testing.assert_allclose(values, [0, 0.75, 1])
    np.testing.assert_allclose(counts / 4000, [0.25, 0.5, 0.25], atol=0.03)


def test_stricter_intervals_by_hand():
    # Seeds' means 1, 2, 6: deviation sqrt(7), t of two degrees 4.303.
    plain = np.zeros((3, 4))
    rows, columns = [[1.0], [2.0], [6.0]], [[-0.5, 0.5, -1.0, 1.0]]
    gains = np.add(rows, columns)
    found = semi_statistics.difference(
        *(
            semi_statistics.of(cells("a", 8, rows), "native", "a", 8)
            for rows in (gains, plain)
        ),
        "dice",
    )
    assert found.by_seed() == pytest.approx(
        (3 - 4.303 * (7 / 3) ** 0.5, 3 + 4.303 * (7 / 3) ** 0.5)
    )
    # One patient: only the seeds are drawn, of which all may be the least.
    low, high = found.by_patient(lambda name: "one")
    assert 1 <= low < 2 and 4 < high <= 6
    assert found.by_patient(lambda name: name) == (found.low, found.high)


def test_crossed_interval_by_hand():
    gaps = np.array([[1.0, 2.0], [3.0, 6.0]])
    # Mean squares: seeds 9, images 4, rest 1; (9 + 3) / 4 is the variance.
    # 12^2 / (9^2 + 4^2 + 1) = 1.5 degrees, taken for one: 12.706.
    wanted = 3 - 12.706 * 3**0.5, 3 + 12.706 * 3**0.5
    found = semi_statistics.crossed(gaps, np.arange(2))
    assert found == pytest.approx(wanted)
    # Twice the same image is one patient's two: nothing is known better.
    twins = np.array([0, 0, 1, 1])
    found = semi_statistics.crossed(gaps[:, twins], twins)
    assert found == pytest.approx(wanted)
    assert semi_statistics.crossed(gaps[:1], np.arange(2)) is None
    assert semi_statistics.crossed(gaps, np.array([0, 0])) is None
    # Images alike: Student's t over the seeds' means, 1 and 4.
    alike = semi_statistics.crossed(
        np.array([[1.0] * 2, [4.0] * 2]), twins[1:3]
    )
    assert alike == pytest.approx((2.5 - 12.706 * 1.5, 2.5 + 12.706 * 1.5))


def test_crossed_interval_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(4)
    groups = np.repeat(np.arange(15), rng.integers(1, 8, 15))
    held, draws = 0, 1000
    for draw in range(draws):
        # Of every other kind, patients are all alike.
        patients = rng.normal(0, draw % 2 + 1e-9, 15)[groups]
        noise = rng.normal(0, 1, (3, len(groups)))
        gaps = rng.normal(0, 0.5, (3, 1)) + patients + noise
        low, high = semi_statistics.crossed(gaps, groups)
        held += low <= 0 <= high
    assert 0.92 < held / draws < 0.985


def test_differences_are_paired():
    rng = np.random.default_rng(1)
    plain = rng.uniform(0.4, 0.9, (3, 60))
    results = cells("supervised", 8, plain) + cells("histogan", 8, plain + 0.05)
    ours, other = (
        semi_statistics.of(results, "native", m, 8)
        for m in ("histogan", "supervised")
    )
    found = semi_statistics.difference(ours, other, "dice")
    # Images scatter, but the difference is the same in all.
    assert found.low == pytest.approx(0.05) == found.high
    summary = semi_statistics.summary(other, "dice")
    wanted = plain.mean(1)
    assert summary.mean == pytest.approx(wanted.mean())
    assert summary.deviation == pytest.approx(wanted.std(ddof=1))
    assert semi_statistics.difference(ours, {}, "dice") is None


def test_cells_of_other_images_are_not_compared():
    one = cells("a", 8, np.ones((1, 3)))[0]
    other = cells("b", 8, np.ones((1, 4)))[0]
    with pytest.raises(ValueError, match="different images"):
        semi_statistics.difference({0: one}, {0: other}, "dice")


def test_gleason_folds_leave_each_tile_out_once(real_data):
    folds = [
        semi_data.gleason_fold(real_data / "gleason", 2, seed)
        for seed in range(8)
    ]
    assert len({fold.test[0].name for fold in folds}) == 8
    for fold in folds:
        assert (len(fold.labelled), len(fold.unlabelled)) == (2, 5)
        trained = {s.name for s in fold.labelled + fold.unlabelled}
        assert fold.test[0].name not in trained


def test_class_rows_by_hand(real_data):
    source = semi_data.gleason_fold(real_data / "gleason", 2, 0).test[0]
    truth = semi_scores.images.read_mask_raw(source.mask, False)

    def stroma_everywhere(image):
        out = np.zeros((*image.shape[:2], 5), np.float32)
        out[..., 4] = 1
        return out

    rows = semi_scores.class_rows(stroma_everywhere, [source], 0.5, 1.24)
    shares = np.bincount(truth.ravel(), minlength=5) / truth.size
    row = rows[source.name]
    assert row["iou"][4] == pytest.approx(shares[4])
    present = int((shares[:4] > 0).sum()) + 1
    assert row["mean_iou"] == pytest.approx(shares[4] / present)
    assert semi_scores.pooled_classes(rows) == {
        "mean_iou": pytest.approx(row["mean_iou"])
    }


def test_a_class_that_only_the_network_sees_costs_no_more_than_its_pixels():
    """Else a pixel of it would lower the mean of two classes by a third."""
    rows = {
        "a": {"confusion": [[0, 0, 0], [1, 79, 0], [0, 0, 20]]},
        "b": {"confusion": [[0, 0, 0], [0, 80, 0], [0, 0, 20]]},
    }
    found = semi_scores.pooled_classes({"a": rows["a"]})["mean_iou"]
    assert found == pytest.approx((79 / 80 + 1) / 2)
    found = semi_scores.pooled_classes(rows)["mean_iou"]
    assert found == pytest.approx((159 / 160 + 1) / 2)
