"""Who segments for `trainer.segment`: the final segmenter or the pyramid.

In: a trained run and the network's name. Out: a function that reads whole
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

PYRAMID = "pyramid"


def by_image(
    run: "RunDir", name: str
) -> Callable[["np.ndarray"], "np.ndarray"]:
    """Maps uint8 [H, W, 3] to probabilities float32 [H, W, N]."""
    from histogan_tf import canvas, run_dir

    if name == PYRAMID:
        whole = canvas.Canvas(run_dir.load_pyramid(run))
        return lambda image: whole.segment(image)[-1]
    network = run_dir.load_segmenter(run)
    return canvas.segment_with(network)


def by_window(run: "RunDir", name: str) -> Network:
    """Reads slides; loads its weights when it begins."""
    from histogan_tf import run_dir

    stages = range(len(run.config().stages))
    pyramid = name == PYRAMID
    phases = map(run_dir.stage_name, stages) if pyramid else ["segmenter"]
    weights = run_dir.weights_hash(run, phases)
    identity = {"network": name, "weights_sha256": weights}
    make = functools.partial(_reader, run.root, pyramid, weights)
    return Network(make, identity, run.config().finest_mpp, run.classes())


@functools.lru_cache(maxsize=1)
def _reader(root: pathlib.Path, pyramid: bool, weights: str) -> "WindowReader":
    """Loads once in a process; `weights` tells trainings apart."""
    from histogan_tf import run_dir, window_read

    del weights
    run = run_dir.open_run(root)
    if pyramid:
        return window_read.of_pyramid(run_dir.load_pyramid(run))
    network = run_dir.load_segmenter(run)
    settings = run.config().segmenter
    return window_read.of_segmenter(network, settings)
