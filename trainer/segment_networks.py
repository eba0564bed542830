"""Who segments for `trainer.segment`: the final segmenter or the pyramid.

In: a trained run, the network's name, and in how many ways the final segmenter
is shown each image (`models/turned.py`). Out: what gives a function that reads
whole images, or one that reads slides by windows; weights are loaded when it is
asked for it first.
"""

import functools
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from trainer.segment_item import Network, Reader

if TYPE_CHECKING:
    from histogan_tf.run_dir import RunDir
    from histogan_tf.window_read import WindowReader
    from trainer.segment_image import ReadImage

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
    return run_dir.stage_names(run.config())


def by_image(run: "RunDir", name: str, views: int) -> "Network[ReadImage]":
    """Reads whole images."""
    return _network(run, name, views, _image_reader)


def by_window(run: "RunDir", name: str, views: int) -> "Network[WindowReader]":
    """Reads slides."""
    return _network(run, name, views, _window_reader)


def _network(
    run: "RunDir",
    name: str,
    views: int,
    load: Callable[[pathlib.Path, str, str, int], Reader],
) -> Network[Reader]:
    from histogan_tf import run_dir

    weights = run_dir.weights_hash(run, phases(run, name))
    identity = {"network": name, "weights_sha256": weights, "views": views}
    make = functools.partial(load, run.root, name, weights, views)
    return Network(make, identity, run.config().finest_mpp, run.classes())


# Each loads once in a process; `weights` tells trainings apart.
@functools.lru_cache(maxsize=1)
def _image_reader(
    root: pathlib.Path, name: str, weights: str, views: int
) -> "ReadImage":
    from histogan_tf import canvas, run_dir
    from histogan_tf.models import turned

    del weights
    run = run_dir.open_run(root)
    if name == PYRAMID:
        whole = canvas.Canvas(run_dir.load_pyramid(run))
        return lambda image: whole.segment(image)[-1]
    return canvas.Reader(turned.shown(run_dir.load_segmenter(run), views))


@functools.lru_cache(maxsize=1)
def _window_reader(
    root: pathlib.Path, name: str, weights: str, views: int
) -> "WindowReader":
    from histogan_tf import run_dir, window_read
    from histogan_tf.models import turned

    del weights
    run = run_dir.open_run(root)
    if name == PYRAMID:
        return window_read.of_pyramid(run_dir.load_pyramid(run))
    settings = run.config().segmenter
    network = turned.shown(run_dir.load_segmenter(run), views)
    return window_read.of_segmenter(network, settings)
