"""Who segments for `trainer.segment`: the final segmenter or the pyramid.

In: a trained run, the network's name, and in how many ways the final segmenter
is shown each image (`models/turned.py`). Out: a function that reads whole
images, or what reads slides by windows.
"""

import functools
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from trainer.segment_slide import Network

if TYPE_CHECKING:
    import numpy as np

    from histogan_tf.run_dir import RunDir
    from histogan_tf.window_read import WindowReader

SEGMENTER, PYRAMID = "segmenter", "pyramid"


def check_views(run: "RunDir", name: str, views: int) -> None:
    """Refuses several views of a network that has learnt one only.

    Raises:
      InputError: it is the pyramid, or was trained without flips.
    """
    from histogan_tf.errors import InputError

    if views == 1:
        return
    if name == PYRAMID:
        raise InputError(
            f"--views {views}: the pyramid reads one; use --network segmenter"
        )
    if not run.config().segmenter.augment.flips:
        raise InputError(
            f"--views {views}: {run.config_path} says segmenter.augment.flips"
            " false, so turned tissue is strange to it; use 1"
        )


def phases(run: "RunDir", name: str) -> list[str]:
    """Folders of the phases that trained the network."""
    from histogan_tf import run_dir

    if name == SEGMENTER:
        return [SEGMENTER]
    return [run_dir.stage_name(k) for k in range(len(run.config().stages))]


def by_image(
    run: "RunDir", name: str, views: int
) -> Callable[["np.ndarray"], "np.ndarray"]:
    """Maps uint8 [H, W, 3] to probabilities float32 [H, W, N]."""
    from histogan_tf import canvas, run_dir
    from histogan_tf.models import turned

    if name == PYRAMID:
        whole = canvas.Canvas(run_dir.load_pyramid(run))
        return lambda image: whole.segment(image)[-1]
    return canvas.Reader(turned.shown(run_dir.load_segmenter(run), views))


def by_window(run: "RunDir", name: str, views: int) -> Network:
    """Reads slides; loads its weights when it begins."""
    from histogan_tf import run_dir

    weights = run_dir.weights_hash(run, phases(run, name))
    identity = {"network": name, "weights_sha256": weights, "views": views}
    make = functools.partial(_reader, run.root, name, weights, views)
    return Network(make, identity, run.config().finest_mpp, run.classes())


@functools.lru_cache(maxsize=1)
def _reader(
    root: pathlib.Path, name: str, weights: str, views: int
) -> "WindowReader":
    """Loads once in a process; `weights` tells trainings apart."""
    from histogan_tf import run_dir, window_read
    from histogan_tf.models import turned

    del weights
    run = run_dir.open_run(root)
    if name == PYRAMID:
        return window_read.of_pyramid(run_dir.load_pyramid(run))
    settings = run.config().segmenter
    network = turned.shown(run_dir.load_segmenter(run), views)
    return window_read.of_segmenter(network, settings)
