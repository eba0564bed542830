"""Statistics of the semi-supervised benchmark: paired, over images and seeds.

In: the cells' results. Out: means and standard deviations over seeds, and
paired differences of two methods with their bootstrap intervals.

Cells of the same labels and seed saw the same labelled images, and all are
tested on the same test images; so differences are taken image by image, and
both images and seeds are drawn again (crossed bootstrap, Owen 2007). With
three seeds that interval is hardly wider than from the least seed to the
greatest, and images of a patient are alike; so stricter ones stand beside it:
patients and seeds drawn again, Student's t over the seeds alone, and t over
seeds and patients at once, by analysis of variance (`crossed`). In simulations
of three seeds and test A's nine patients (of 14 images to one) the last held
the truth in 93 to 97 %, patients and seeds drawn again in 85 to 89 %, images
and seeds in 46 to 79 %.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from histogan_tf.metrics import segmentation

Result = dict[str, Any]
DRAWS = 10_000
# Keys of a result's rows.
TEST, VALIDATION = "images", "validation"
_SEED = 0
# 97.5 % quantiles of Student's t by degrees of freedom; the next lower one
# is used of those between, which is the stricter.
_T = {
    1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365,
    8: 2.306, 9: 2.262, 10: 2.228, 12: 2.179, 15: 2.131, 20: 2.086, 30: 2.042,
    60: 2.0, 120: 1.98,
}  # fmt: skip

Patients = Callable[[str], str]


@dataclass(frozen=True)
class Summary:
    """Mean over seeds of the cells' means, its deviation, their number."""

    mean: float
    deviation: float
    seeds: int


@dataclass(frozen=True)
class Difference:
    """Mean paired difference and its 95 % interval.

    `gaps` [seeds, images]; `names` of the images (where each seed has a test
    image of its own: of the first).
    """

    mean: float
    low: float
    high: float
    gaps: np.ndarray
    names: tuple[str, ...]

    @property
    def seeds(self) -> int:
        """How many both methods have."""
        return len(self.gaps)

    @property
    def images(self) -> int:
        """How many each was tested on."""
        return len(self.names)

    def by_patient(self, patient: Patients) -> tuple[float, float]:
        """95 % interval, patients and seeds drawn again."""
        return _interval(self.gaps, self._groups(patient))

    def by_both(self, patient: Patients) -> tuple[float, float] | None:
        """95 % interval by t over seeds and patients; None for one."""
        return crossed(self.gaps, self._groups(patient))

    def by_seed(self) -> tuple[float, float] | None:
        """95 % interval over seeds alone by Student's t; None for one."""
        means = self.gaps.mean(1)
        if len(means) < 2:
            return None
        error = means.std(ddof=1) / np.sqrt(len(means))
        reach = _quantile(len(means) - 1) * error
        return self.mean - reach, self.mean + reach

    def _groups(self, patient: Patients) -> np.ndarray:
        names = [patient(name) for name in self.names]
        return np.unique(names, return_inverse=True)[1]


def of(
    results: list[Result], protocol: str, method: str, labels: int | None
) -> dict[int, Result]:
    """Results of one method, by seed."""
    return {
        r["seed"]: r
        for r in results
        if (r["protocol"], r["method"], r["labels"])
        == (protocol, method, labels)
    }


def labels_of(results: list[Result], protocol: str) -> list[int | None]:
    """The protocol's numbers of labels, all (None) last."""
    found = {r["labels"] for r in results if r["protocol"] == protocol}
    return sorted(found, key=lambda n: (n is None, n or 0))


def cell_mean(result: Result, score: str, split: str = TEST) -> float:
    """Mean over the images of a split, or the pooled score `pooled_...`."""
    if score.startswith("pooled_"):
        return result["pooled"][score.removeprefix("pooled_")]
    return float(np.mean([row[score] for row in result[split].values()]))


def summary(cells: dict[int, Result], score: str, split: str = TEST) -> Summary:
    """Over the seeds of one method."""
    means = [cell_mean(result, score, split) for result in cells.values()]
    deviation = float(np.std(means, ddof=1)) if len(means) > 1 else 0.0
    return Summary(float(np.mean(means)), deviation, len(means))


def difference(
    one: dict[int, Result],
    other: dict[int, Result],
    score: str,
    split: str = TEST,
) -> Difference | None:
    """one - other, paired; None where they share no seed."""
    seeds = sorted(one.keys() & other.keys())
    if not seeds:
        return None
    gaps = np.array(
        [_gaps(one[seed], other[seed], score, split) for seed in seeds], float
    )
    names = tuple(one[seeds[0]][split])
    low, high = _interval(gaps, np.arange(len(names)))
    return Difference(float(gaps.mean()), low, high, gaps, names)


def mean_iou(confusion: np.ndarray) -> float:
    """Of the classes that the true masks have; [true, found] pixels."""
    return float(segmentation.iou(confusion)[confusion.any(axis=1)].mean())


def _interval(gaps: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    means = bootstrap(gaps, groups, np.random.default_rng(_SEED))
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def bootstrap(
    gaps: np.ndarray,
    groups: np.ndarray,
    rng: np.random.Generator,
    draws: int = DRAWS,
) -> np.ndarray:
    """Means of `gaps` [seeds, images], seeds and groups drawn again.

    `groups` [images] are numbers from 0 on: all images of one go together.
    """
    seeds, count = len(gaps), int(groups.max()) + 1
    # Counts instead of copies: a draw is a weight for each row and column.
    rows = rng.multinomial(seeds, np.full(seeds, 1 / seeds), draws)
    drawn = rng.multinomial(count, np.full(count, 1 / count), draws)
    columns = drawn[:, groups]
    total = np.einsum("ds,si,di->d", rows, gaps, columns, optimize=True)
    return total / (seeds * columns.sum(1))


def crossed(gaps: np.ndarray, groups: np.ndarray) -> tuple[float, float] | None:
    """95 % interval of the mean of `gaps` [seeds, images], both random.

    `groups` [images] as in `bootstrap`. With the mean squares A of seeds, B of
    groups and E of the rest the mean's variance is (A + max(B - E, 0)) / (seeds
    x groups), its degrees of freedom are Satterthwaite's. Groups of unequal
    size weigh as their images do, and count as fewer (Kish's effective number).

    Returns:
      (low, high); None with fewer than two seeds or groups.
    """
    total, count = gaps.mean(), int(groups.max()) + 1
    if len(gaps) < 2 or count < 2:
        return None
    member = np.eye(count)[groups]  # [images, groups]
    table = total + (gaps - total) @ member * (count / len(groups))
    rows, columns = table.mean(1), table.mean(0)
    rest = table - rows[:, None] - columns + total
    shares = member.sum(0) / len(groups)
    freely = max(1.0, 1 / (shares**2).sum() - 1)
    free = len(rows) - 1, freely, (len(rows) - 1) * freely
    squares = np.array(
        [
            count * rows.var(ddof=1),
            len(rows) * columns.var(ddof=1),
            (rest**2).sum() / ((len(rows) - 1) * (count - 1)),
        ]
    )
    # Without a part of their own, groups have no say in the sum.
    squares[1:] *= squares[1] > squares[2]
    both = squares[0] + squares[1] - squares[2]
    doubt = (squares**2 / free).sum()
    # A difference of squares, unlike a sum, may come out with next to none.
    freedom = max(both**2 / doubt if doubt else 0.0, min(free))
    error = np.sqrt(both / table.size)
    reach = _quantile(freedom) * error
    return float(total - reach), float(total + reach)


def _quantile(freedom: float) -> float:
    # A hair more: two degrees may come out as 1.9999999.
    return _T[max(n for n in _T if n <= freedom + 1e-9)]


def _gaps(one: Result, other: Result, score: str, split: str) -> list[float]:
    if one[split].keys() != other[split].keys():
        raise ValueError("two cells were tested on different images")
    return [
        row[score] - other[split][name][score]
        for name, row in one[split].items()
    ]
