"""What the semi-supervised benchmark prints: tables, differences, verdicts."""

import numpy as np
import pytest
from semi_results import cells, paired_tiles

from benchmarks import semi_chart, semi_data, semi_table
from histogan_tf.errors import InputError


def test_the_best_other_is_judged_by_our_seeds():
    base = np.full((3, 4), 0.5)
    results = cells("cps", 8, base[:2]) + cells("histogan", 8, base[:2])
    # Better on an average, by a seed that histogan lacks.
    results += cells("supervised", 8, np.add(base, [[0], [-0.1], [0.4]]))
    assert semi_table.best_other(results, 8) == "cps"
    results += cells("histogan", 8, base)[2:]
    assert semi_table.best_other(results, 8) == "supervised"


@pytest.mark.parametrize(
    ("gain", "wanted"),
    [(0.05, ["PASS", "PASS"]), (0.03, ["MISS", "PASS"]), (0.0, ["MISS"] * 2)],
)
def test_verdicts(gain, wanted, tmp_path):
    base = np.random.default_rng(2).uniform(0.5, 0.8, (3, 60))
    results = cells("supervised", 8, base) + cells("cps", 8, base + 0.001)
    results += cells("histogan", 8, base + gain)
    results += cells("histogan_labelled_only", 8, base + 0.04)
    # Our own ablation is no rival.
    assert semi_table.best_other(results, 8) == "cps"
    found = [line[:4] for line in semi_table.verdicts(results)]
    assert found == [*wanted, "PASS", "PASS"]  # and both budgets
    text = "\n".join(semi_table.lines(results, str))
    assert f"histogan - supervised: {100 * gain:+.1f}, seeds x images" in text
    semi_chart.chart(
        tmp_path / "chart.png", results, ["cps", "histogan"], {"native": "dice"}
    )
    assert (tmp_path / "chart.png").stat().st_size > 5000


def test_patients_are_known_of_glas_alone(real_data):
    patient = semi_data.patients(real_data / "glas")
    assert patient("testA_1") == "4" and patient("testA_10") == "10"
    assert semi_data.patients(real_data / "gleason") is None
    base = np.full((2, 4), 0.5)
    results = cells("cps", 8, base) + cells("histogan", 8, base)
    text = "\n".join(semi_table.lines(results, None))
    assert "histogan - cps: +0.0" in text and "seeds x patients -," in text
    with pytest.raises(InputError, match=r"no Grade\.csv; the GlaS data set"):
        semi_data.glas_fold(real_data / "gleason", 8, 0)


def test_xnet128_stands_beside_the_published_tables():
    found = cells("histogan", 17, np.full((3, 4), 0.9))
    pooled = {"dice": 0.9, "jaccard": 0.8}
    results = [r | {"protocol": "xnet128", "pooled": pooled} for r in found]
    text = "\n".join(semi_table.lines(results, None))
    assert "90.0 +- 0.0 (3)" in text and "89.2 80.5" in text
    assert "PASS  xnet128: pooled Dice 0.900 >= 0.895" in text


def test_two_seeds_decide_nothing():
    base = np.random.default_rng(2).uniform(0.5, 0.8, (2, 60))
    results = cells("supervised", 8, base) + cells("histogan", 8, base + 0.1)
    found = list(semi_table.verdicts(results))
    assert found and all(line.startswith("OPEN") for line in found)
    assert all("(2 of 3 seeds)" in line for line in found)


def test_objects_distance_is_in_pixels():
    rows = [[0.5, 0.5]] * 2
    results = cells("cps", 8, rows) + cells("histogan", 8, rows)
    for seed, one in enumerate(results[2:]):
        for image, value in (("i0", 30.0), ("i1", 50.0 + 4 * seed)):
            one["images"][image]["object_hausdorff"] = value
    text = "\n".join(semi_table.lines(results, None))
    # Seeds' means are 40 and 42; the shares of cps stay as they are.
    assert "object_hausdorff in px, lower is better, on the test" in text
    assert f"{'histogan':24}{'41.0 +- 1.4 (2)':>20}" in text
    assert f"{'cps':24}{'0.5 +- 0.0 (2)':>20}" in text


def test_budgets_are_of_the_longest_cells():
    rows = np.full((3, 2), 0.5)
    results = [
        result
        for method in ("cps", "histogan", "mean_teacher+restain", "supervised")
        for result in cells(method, None, rows)
    ]
    results[2]["seconds"], results[4]["seconds"] = 300.5, 1200.0
    results[6]["seconds"] = 5000.0  # a control, which has no budget
    ours, rivals = list(semi_table.verdicts(results))[-2:]
    assert ours == (
        "PASS  a cell of histogan: 1200.0 s at most (native, histogan, all"
        " labels, seed 1), 1200 allowed"
    )
    assert rivals.startswith(
        "MISS  a cell of a rival: 300.5 s at most (native,"
    )
    assert "cps, all labels, seed 2" in rivals


def test_tiles_are_judged_when_all_are_in():
    line, _, _ = semi_table.verdicts(paired_tiles([0.02] * 7))
    assert line.startswith("OPEN  prostate tiles: +2.0 points of mean IoU")
    assert line.endswith("95 % over tiles +2.0 to +2.0 (7 of 8 tiles)")
    line, _, _ = semi_table.verdicts(paired_tiles([0.02] * 8))
    assert line.startswith("PASS  prostate tiles: +2.0")
    line, _, _ = semi_table.verdicts(paired_tiles([-0.02] * 8))
    assert line.startswith("MISS  prostate tiles: -2.0")


def test_interval_over_tiles_by_hand():
    results = paired_tiles([0.08] + [0.0] * 7)
    text = "\n".join(semi_table.lines(results, None))
    # Drawn k times of 8, with chance 1/8 each, the first tile gives k points:
    # P(k >= 4) = 1.1 %, P(k >= 3) = 6.7 %. t: 1 +- 2.365 sqrt(8) / sqrt(8).
    assert (
        "histogan - supervised: +1.0, tiles drawn again +0.0 to +3.0, t -1.4 to"
        " +3.4 (8 tiles)" in text
    )
    # [[36, 8], [0, 16]] in all: IoU 36 / 44 and 16 / 24.
    assert "pixels of all tiles together: 74.2, 74.2" in text
