"""Statistics of the semi-supervised benchmark: paired, over images and seeds.

In: the cells' results. Out: means and standard deviations over seeds, and
paired differences of two methods with their bootstrap intervals.

Cells of the same labels and seed saw the same labelled images, and all are
tested on the same test images; so differences are taken image by image, and
both images and seeds are drawn again (crossed bootstrap, Owen 2007).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

Result = dict[str, Any]
DRAWS = 10_000
# Keys of a result's rows.
TEST, VALIDATION = "images", "validation"
_SEED = 0


@dataclass(frozen=True)
class Summary:
    """Mean over seeds of the cells' means, its deviation, their number."""

    mean: float
    deviation: float
    seeds: int


@dataclass(frozen=True)
class Difference:
    """Mean paired difference and its 95 % interval."""

    mean: float
    low: float
    high: float
    seeds: int
    images: int


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
    means = bootstrap(gaps, np.random.default_rng(_SEED))
    low, high = np.quantile(means, (0.025, 0.975))
    return Difference(float(gaps.mean()), float(low), float(high), *gaps.shape)


def bootstrap(
    gaps: np.ndarray, rng: np.random.Generator, draws: int = DRAWS
) -> np.ndarray:
    """Means of `gaps` [seeds, images] with rows and columns drawn again."""
    seeds, images = gaps.shape
    # Counts instead of copies: a draw is a weight for each row and column.
    rows = rng.multinomial(seeds, np.full(seeds, 1 / seeds), draws)
    columns = rng.multinomial(images, np.full(images, 1 / images), draws)
    total = np.einsum("ds,si,di->d", rows, gaps, columns, optimize=True)
    return total / (seeds * images)


def _gaps(one: Result, other: Result, score: str, split: str) -> list[float]:
    if one[split].keys() != other[split].keys():
        raise ValueError("two cells were tested on different images")
    return [
        row[score] - other[split][name][score]
        for name, row in one[split].items()
    ]
