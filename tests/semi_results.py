"""Results of the semi-supervised benchmark that tests make up."""

from benchmarks import semi_table


def cells(method, labels, values):
    """Results whose images' Dice are the rows of `values`, a row a seed."""
    return [
        {
            "protocol": "native",
            "method": method,
            "labels": labels,
            "seed": seed,
            "seconds": 100.0 + seed,
            "images": {
                f"i{k}": {name: value for name in semi_table.SCORES["native"]}
                for k, value in enumerate(row)
            },
        }
        for seed, row in enumerate(values)
    ]


def tiles(method, scores):
    """Results of a prostate tile each."""
    return [
        {
            "protocol": "gleason",
            "method": method,
            "labels": 2,
            "seed": seed,
            "seconds": 100.0 + seed,
            "images": {
                f"tile{seed}": {
                    "mean_iou": value,
                    "confusion": [[seed + 1, 1], [0, 2]],
                }
            },
        }
        for seed, value in enumerate(scores)
    ]


def paired_tiles(gains):
    """Over the plain method, whose scores all differ."""
    plain = [0.2 + 0.05 * n for n in range(len(gains))]
    ours = [a + b for a, b in zip(plain, gains, strict=True)]
    plain, ours = tiles("supervised", plain), tiles("histogan", ours)
    # The same tiles: it is their differences that count.
    return plain + ours
