"""FID and KID: distances of two sets of images in a network's features.

In: images and a feature network given by path, or feature matrices [n, d].
Out: Frechet distance (FID) and squared maximum mean discrepancy (KID), with
the protocol that led to them. No network is fetched; FID after Heusel et
al. (NeurIPS 2017) means Inception-v3's pool features, and any other network
gives figures that compare only with themselves. FID is biased upwards for
few images (its bias falls as 1/n); KID is not.

Sources: FID: Heusel et al. 2017, eq. 6. KID: Binkowski et al., "Demystifying
MMD GANs", ICLR 2018, section 4. Resizing: Parmar et al., "On aliased resizing
and surprising subtleties in GAN evaluation", CVPR 2022 (clean-fid).
"""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from histogan_tf.errors import InputError

RESIZE = "square, bicubic (a=-0.5), antialiased, float32, clipped to [-1, 1]"


@dataclasses.dataclass(frozen=True)
class KernelDistance:
    """KID: mean and standard deviation over the subsets."""

    mean: float
    deviation: float
    subsets: int
    subset_size: int
    seed: int


@dataclasses.dataclass(frozen=True)
class FeatureScores:
    """FID and KID of two sets; `images`: the number of either."""

    fid: float
    kid: KernelDistance
    images: tuple[int, int]


def frechet_distance(real: np.ndarray, other: np.ndarray) -> float:
    """Frechet distance of the Gaussians fitted to two feature sets.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), covariances over n - 1.
    With centred features A, B the trace of the square root is the sum of the
    singular values of A B^T / sqrt((n1 - 1)(n2 - 1)); A and B shrink to their
    triangular factors first. So no d x d root is taken and few images, whose
    covariances are singular, cost neither accuracy nor time.

    Args:
      real: [n, d], n >= 2.
      other: [m, d], m >= 2.

    Raises:
      InputError: another shape, or a value that is not finite.
    """
    real, other = _checked(real, other)
    step = real.mean(axis=0) - other.mean(axis=0)
    one, two = _covariance_factor(real), _covariance_factor(other)
    cross = np.linalg.svd(one @ two.T, compute_uv=False).sum()
    spread = np.square(one).sum() + np.square(two).sum() - 2.0 * cross
    return float(step @ step + max(spread, 0.0))


def kernel_distance(
    real: np.ndarray,
    other: np.ndarray,
    subset_size: int | None = None,
    subsets: int = 100,
    seed: int = 0,
) -> KernelDistance:
    """Unbiased MMD^2 under (x.y / d + 1)^3, over random subsets.

    Args:
      real: [n, d], n >= 2.
      other: [m, d], m >= 2.
      subset_size: rows drawn from each set without repetition; None: 1000,
        or half the smaller set where that is less. (With all rows of a set
        every subset would be the same and the deviation without meaning.)
      subsets: number of draws.
      seed: of the draws.

    Raises:
      InputError: as `frechet_distance`, or an impossible subset size.
    """
    real, other = _checked(real, other)
    most = min(len(real), len(other))
    size = subset_size
    if size is None:
        size = max(2, min(1000, most // 2))
    if not 2 <= size <= most:
        raise InputError(f"KID subset_size: {size}; allowed are 2..{most}")
    rng = np.random.default_rng(seed)
    found = [
        squared_mmd(
            real[rng.choice(len(real), size, replace=False)],
            other[rng.choice(len(other), size, replace=False)],
        )
        for _ in range(subsets)
    ]
    return KernelDistance(
        mean=float(np.mean(found)),
        deviation=float(np.std(found)),
        subsets=subsets,
        subset_size=size,
        seed=seed,
    )


def squared_mmd(one: np.ndarray, two: np.ndarray) -> float:
    """Unbiased MMD^2 of [n, d] and [m, d] under the cubic kernel.

    Within a set the mean leaves out every row's kernel with itself (Gretton
    et al. 2012, eq. 3), so the value can be below 0.
    """
    within = sum(
        (kernel.sum() - np.trace(kernel)) / (len(x) * (len(x) - 1))
        for x in (one, two)
        for kernel in (_cubic_kernel(x, x),)
    )
    return float(within - 2.0 * _cubic_kernel(one, two).mean())


def load_network(path: str | os.PathLike) -> Any:
    """Loads a feature network: a SavedModel folder, .keras or .h5.

    Args:
      path: of a Keras model, or of a SavedModel that can be called.

    Returns:
      A callable, float32 [n, size, size, 3] in [-1, 1] to [n, d].

    Raises:
      InputError: nothing there, not a model, or its stated output is not
        [n, d].
    """
    import tensorflow as tf

    path = pathlib.Path(path)
    if not path.exists():
        raise InputError(f"{path}: feature network: no such file or folder")
    try:
        network = tf.keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises a dozen kinds.
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            f"{path}: feature network: Keras cannot load it ({reason}); "
            "allowed are a SavedModel folder, .keras and .h5"
        ) from error
    shape = getattr(network, "output_shape", None)
    # A model without a stated shape is held against it in `extract`.
    if shape is not None and not (isinstance(shape, tuple) and len(shape) == 2):
        raise InputError(
            f"{path}: feature network: output {shape}; allowed is [n, d]"
        )
    return network


def check(network: Any, path: str | os.PathLike, size: int) -> None:
    """Raises InputError if a network of `path` takes no images of `size` px."""
    try:
        extract(network, [np.zeros((size, size, 3), np.uint8)], size)
    except InputError:
        raise
    except Exception as error:  # Keras and TensorFlow raise several kinds.
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            f"{path}: feature network: takes no images of {size} x {size} px"
            f" ({reason})"
        ) from error


def extract(
    network: Any, images: Sequence[np.ndarray], size: int, batch: int = 16
) -> np.ndarray:
    """Features of images, each resized to a square as `RESIZE` says.

    Args:
      network: callable from float32 [n, size, size, 3] in [-1, 1] to [n, d].
      images: [H, W, 3], uint8 or float in [-1, 1], of any sizes.
      size: side in px of what the network sees; the aspect is not kept.
      batch: images the network sees at a time; bounds the memory.

    Returns:
      float64 [len(images), d].

    Raises:
      InputError: an image has another shape, or the output is not [n, d].
    """
    rows = []
    for start in range(0, len(images), batch):
        group = [resize(image, size) for image in images[start : start + batch]]
        found = np.asarray(network(np.stack(group)))
        if found.ndim != 2 or len(found) != len(group):
            raise InputError(
                f"feature network: output {found.shape} for {len(group)} "
                "images; allowed is [n, d]"
            )
        rows.append(found.astype(np.float64))
    return np.concatenate(rows) if rows else np.zeros((0, 0))


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """One image [H, W, 3] to float32 [size, size, 3] in [-1, 1]; `RESIZE`.

    The kernel widens with the reduction, as Pillow's does and TensorFlow's
    plain resize does not (Parmar et al. 2022).
    """
    import tensorflow as tf

    if image.ndim != 3 or image.shape[-1] != 3:
        raise InputError(f"image: shape {image.shape}; allowed is [H, W, 3]")
    scaled = image.astype(np.float32)
    if image.dtype == np.uint8:
        scaled = scaled / 127.5 - 1.0
    small = tf.image.resize(scaled, [size, size], "bicubic", antialias=True)
    return np.clip(small.numpy(), -1.0, 1.0)


def compare(
    network: Any,
    real: Sequence[np.ndarray],
    other: Sequence[np.ndarray],
    size: int,
    seed: int = 0,
) -> FeatureScores:
    """FID and KID of two sets of images.

    Args:
      network: of `load_network`; see `extract`.
      real: images [H, W, 3], uint8 or float in [-1, 1]; 2 or more.
      other: the same.
      size: side in px of what the network sees.
      seed: of KID's subsets.

    Raises:
      InputError: as `extract` and `kernel_distance`.
    """
    one, two = (extract(network, side, size) for side in (real, other))
    return FeatureScores(
        fid=frechet_distance(one, two),
        kid=kernel_distance(one, two, seed=seed),
        images=(len(real), len(other)),
    )


def _checked(
    real: np.ndarray, other: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    real, other = np.asarray(real, float), np.asarray(other, float)
    matrices = real.ndim == other.ndim == 2
    if not matrices or real.shape[1] != other.shape[1]:
        raise InputError(
            f"features: shapes {real.shape} and {other.shape}; allowed are "
            "[n, d] and [m, d]"
        )
    if min(len(real), len(other)) < 2:
        raise InputError(
            f"features: {len(real)} and {len(other)} images; allowed are >= 2"
        )
    if not (np.isfinite(real).all() and np.isfinite(other).all()):
        raise InputError("features: a value is not finite; all must be")
    return real, other


def _covariance_factor(features: np.ndarray) -> np.ndarray:
    """R [min(n, d), d] with R^T R the covariance."""
    centred = features - features.mean(axis=0)
    factor = np.linalg.qr(centred, mode="r")
    return factor / np.sqrt(len(features) - 1)


def _cubic_kernel(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    return (one @ two.T / one.shape[1] + 1.0) ** 3
