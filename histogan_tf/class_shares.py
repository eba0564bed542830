"""Holds the class shares of predicted masks to what the labels lead to expect.

In: a network's probabilities on unlabelled pixels, the shares of the classes
that are expected there. Out: probabilities of just these shares on average.

Trained on few labels, a network misses whole glands of tissue that it does
not know, and what learns from its masks misses them too. Adding one number
per class to the log-probabilities, so that the mean over all pixels is right,
is distribution alignment (ReMixMatch, Berthelot et al. 2020), here solved
exactly instead of tracked. The expected shares are the labelled images',
flattened (CReST, Wei et al. 2021): few images say little of the shares
elsewhere.
"""

from collections.abc import Sequence

import numpy as np

FLATTENED = 0.5  # CReST's, in its last generation
_LEAST = 1e-3
_STEPS, _CLOSE = 100, 1e-5


def flattened(pixels: Sequence[int], power: float = FLATTENED) -> np.ndarray:
    """Shares of the classes [N], each to a power, that add up to 1.

    Args:
      pixels: of each class in the labelled images, not all 0.
      power: 1 keeps the shares, 0 makes all present classes equal.
    """
    counts = np.asarray(pixels, np.float64)
    shares = np.where(counts > 0, (counts / counts.sum()) ** power, 0.0)
    return shares / shares.sum()


def offsets(probabilities: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """What to add to log-probabilities so that their means are `shares`.

    Newton's method on the convex mean_i logsumexp_c(log p_ic + b_c) - b . s,
    whose gradient is the mean of the moved probabilities less the shares.

    Args:
      probabilities: float [P, N] of many pixels.
      shares: [N], adding up to 1. A class of share 0 is left out.

    Returns:
      float64 [N]; -inf for a class of share 0.
    """
    present = shares > 0
    log_p = _log(probabilities)[:, present]
    wanted = shares[present]
    found = np.zeros(len(wanted))
    height, gradient, hessian = _objective(log_p, found, wanted)
    for _ in range(_STEPS):
        if np.abs(gradient).max() < _CLOSE:
            break
        step, size = np.linalg.pinv(hessian) @ gradient, 1.0
        moved = _objective(log_p, found - step, wanted)
        while moved[0] > height and size > 1e-6:
            size /= 2
            moved = _objective(log_p, found - size * step, wanted)
        found = found - size * step
        height, gradient, hessian = moved
    out = np.full(len(shares), -np.inf)
    out[present] = found
    return out


def moved(probabilities: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Probabilities [..., N] with `offsets` applied: float32 [..., N]."""
    return np.exp(_log_softmax(_log(probabilities) + offset)).astype(np.float32)


def _objective(log_p, offset, shares):
    """Value, gradient [N] and Hessian [N, N] at `offset`."""
    logits = log_p + offset
    p = np.exp(_log_softmax(logits))
    height = (logits - np.log(p)).mean() - offset @ shares
    mean = p.mean(0)
    return height, mean - shares, np.diag(mean) - p.T @ p / len(p)


def _log(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.asarray(probabilities, np.float64) + _LEAST)


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = logits - logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))
