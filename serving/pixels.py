"""How far pixels may be from those of another run of the same network.

In: what two runs made of one input. Out: a text of what differs by how much;
"" where that is as little as other convolution algorithms, of this GPU or
another device, make it: an error of 1e-6 is enough to round a value that lies
on the border the other way, or to give a pixel on it to another class.
"""

import numpy as np

PAINTED_SHARE = 1e-3  # of the rounded values, by one grey level
MASK_SHARE = 1e-3  # of the pixels


def painted(
    found: np.ndarray, wanted: np.ndarray, share: float = PAINTED_SHARE
) -> str:
    """Compares rounded images.

    Args:
      found: integers of any shape.
      wanted: the same; another shape differs.
      share: of the values that may be off by one. In [-1, 1] an error of
        1e-5 moves 1.3 in a thousand.
    """
    if found.shape != wanted.shape:
        return _shapes(found, wanted)
    gap = np.abs(found.astype(int) - wanted)
    off = np.count_nonzero(gap)
    if off <= share * gap.size and gap.max(initial=0) <= 1:
        return ""
    return (
        f"{off} of {gap.size} values differ, by {gap.max()} at most; allowed"
        f" is 1, in {share:.1%} of them"
    )


def mask(found: np.ndarray, wanted: np.ndarray) -> str:
    """Compares class ids, integers [H, W]."""
    if found.shape != wanted.shape:
        return _shapes(found, wanted)
    off = np.count_nonzero(found != wanted)
    if off <= MASK_SHARE * wanted.size:
        return ""
    return (
        f"{off} of {wanted.size} pixels are of another class; allowed are"
        f" {MASK_SHARE:.1%}"
    )


def counts(found: np.ndarray, wanted: np.ndarray) -> str:
    """Compares what masks were counted to, as far as masks may differ.

    Args:
      found: pixels by class, or their shares: floats [B, ...].
      wanted: the same, of the same shape.
    """
    rows = len(wanted)
    gaps = np.abs(found - wanted).reshape(rows, -1).max(axis=1, initial=0)
    whole = np.abs(wanted).reshape(rows, -1).sum(axis=1)
    # nan is never within.
    if (gaps <= MASK_SHARE * whole).all():
        return ""
    worst = (gaps / np.maximum(whole, 1)).max()
    return (
        f"up to {worst:.2%} of the pixels are counted to another class;"
        f" allowed are {MASK_SHARE:.1%}"
    )


def _shapes(found: np.ndarray, wanted: np.ndarray) -> str:
    return f"pixels of shape {list(found.shape)}; expected {list(wanted.shape)}"
