"""What a client's requests give back.

Arrays are numpy's. `version` is the version of the model that answered: it
changes at a hot swap.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class VersionStatus:
    """State of one version: START, LOADING, AVAILABLE, UNLOADING or END.

    `error` is why the version failed, "" if it did not.
    """

    version: int
    state: str
    error: str


@dataclass(frozen=True)
class Answer:
    """Arrays by output name; strings as object arrays of bytes."""

    outputs: dict[str, np.ndarray]
    version: int


@dataclass(frozen=True)
class Segmentation:
    """uint8 [H, W] class ids; float32 [N] share of pixels of each class."""

    mask: np.ndarray
    areas: np.ndarray
    version: int


@dataclass(frozen=True)
class Painted:
    """uint8 RGB [H, W, 3]."""

    image: np.ndarray
    version: int
