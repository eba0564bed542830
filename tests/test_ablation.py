"""The ablation: its table by hand, and what it refuses."""

import json

import pytest

from benchmarks import ablation, ablation_table, semi_statistics
from benchmarks.semi_cells import Places
from histogan_tf.errors import InputError
from trainer import strategies


def save(folder, method, seed, dice, labels=8):
    result = {
        "protocol": "native",
        "method": method,
        "labels": labels,
        "seed": seed,
        "validation": {f"i{n}": {"dice": d} for n, d in enumerate(dice)},
    }
    path = folder / f"native_{labels}_{seed}_{method}.json"
    path.write_text(json.dumps(result))


@pytest.fixture
def found(tmp_path):
    for seed in (0, 2):
        save(tmp_path, "histogan", seed, [0.61, 0.73])
    save(tmp_path, "no_painting", 0, [0.6, 0.7])
    save(tmp_path, "no_painting", 2, [0.7, 0.8])
    files = sorted(tmp_path.glob("*.json"))
    return [json.loads(path.read_text()) for path in files]


def test_table_by_hand(found, tmp_path):
    head, whole, part = ablation_table.lines(found, ablation.WHOLE, str)
    assert "validation patients" in head
    assert whole == f"8 labels  {'histogan':24}  67.0"
    # Gaps -1, -3 and +9, +7: three points on an average.
    assert part.startswith(f"8 labels  {'no_painting':24}  70.0   +3.0  (")
    # Rows have the mean square 100, columns 4, the rest 0: an error of the root
    # of 104 / 4, and 104^2 / (100^2 + 4^2) = 1.08 degrees of freedom.
    reach = 26**0.5 * semi_statistics._quantile(104**2 / (100**2 + 4**2))
    assert part.endswith(f"; {3 - reach:+.1f} to {3 + reach:+.1f}), 2 seeds")
    # Two tiles of one patient are no two patients: nothing careful is said.
    one = ablation_table.lines(found, ablation.WHOLE, lambda name: "p")
    assert ";" not in list(one)[-1]
    ablation_table.chart(tmp_path / "a.png", found, ablation.WHOLE, str)
    assert (tmp_path / "a.png").stat().st_size > 3000


def test_an_unknown_part_is_told_before_anything_is_trained(tmp_path):
    places = Places(tmp_path, tmp_path, tmp_path)
    with pytest.raises(InputError, match="--parts 'no_gan'; allowed are no_p"):
        ablation.run(places, 8, [0], ["no_gan"])


def test_a_part_is_not_compared_with_a_whole_whose_run_is_gone(
    tmp_path, monkeypatch
):
    # It would set determinism, precision and seeds for all later tests.
    monkeypatch.setattr(strategies, "prepare", lambda precision, seed: None)
    path = tmp_path / "results" / "native_8_0_histogan.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"seconds": 1.0}))
    places = Places(tmp_path, tmp_path / "out", tmp_path / "results")
    with pytest.raises(InputError, match="native_8_0_histogan: gone, and"):
        ablation.run(places, 8, [0], ["no_painting"])


def test_a_part_of_its_own_stages_needs_no_run_of_the_whole(
    tmp_path, monkeypatch
):
    trained = []
    monkeypatch.setattr(
        ablation, "train", lambda cell, *_: trained.append(cell.name)
    )
    places = Places(tmp_path, tmp_path / "out", tmp_path / "results")
    ablation.run(places, 8, [2], ["no_restain", "two_stages"])
    assert trained == [
        "native_8_2_histogan",
        "native_8_2_no_restain",
        "native_8_2_two_stages",
    ]
    with pytest.raises(InputError, match="no_painting needs its stages"):
        ablation.run(places, 8, [2], ["no_painting"])


def test_seeds_by_name():
    assert ablation.named_seeds(["2", "0", "2"]) == [0, 2]
    assert ablation.named_seeds([]) == []
    with pytest.raises(InputError, match="--only_seeds 'two': use 0, 1, 2"):
        ablation.named_seeds(["two"])
