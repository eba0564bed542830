"""One cell of the train step's benchmark, in a process of its own.

In: a `Cell`: preset, stage, precision, batch, side of the images. Out: its
figures as a JSON value. A process for each, as the memory of one would hide
that of the next, and precision is a process's.
"""

import concurrent.futures
import dataclasses
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from histogan_tf import presets
from histogan_tf.config import Config

if TYPE_CHECKING:
    from histogan_tf.models.stage import StageModel


# Of the images of the large GAN, whose networks halve them six times.
LARGE_SIDE = 256


@dataclass(frozen=True)
class Cell:
    """What is measured; `side` 0 is the crop's, and `began` for the process.

    `steps` are timed, after one that traces, `takes` times, of which the
    fastest; `peak_seconds` are spent on the convolution that the step is held
    against.
    """

    preset: str
    stage: int
    precision: str
    batch: int
    side: int = 0
    steps: int = 3
    takes: int = 1
    peak_seconds: float = 2.0
    began: float = 0.0


def measure_apart(cell: Cell) -> dict[str, Any]:
    """Measures a cell in a new process."""
    return _apart(measure, dataclasses.replace(cell, began=time.time()))


def measure_large_apart(
    precision: str, batch: int, steps: int, takes: int
) -> dict[str, Any]:
    """Measures the GAN of 70 M parameters in a new process."""
    return _apart(measure_large, precision, batch, steps, takes)


def _apart(work: Callable[..., dict[str, Any]], *args: Any) -> dict[str, Any]:
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(work, *args).result()


def config_of(cell: Cell) -> Config:
    """The preset with the cell's precision and batch."""
    config = presets.PRESETS[cell.preset]()
    stages = list(config.stages)
    stage = stages[cell.stage]
    thin = stage.thin if cell.batch % stage.thin == 0 else 1
    stages[cell.stage] = dataclasses.replace(stage, batch=cell.batch, thin=thin)
    return dataclasses.replace(
        config, precision=cell.precision, stages=tuple(stages)
    )


def measure(cell: Cell) -> dict[str, Any]:
    """Trains some steps on crops of random tiles; see `_figures`."""
    import tensorflow as tf

    from benchmarks import step_work
    from trainer import loop, strategies

    config = config_of(cell)
    strategies.prepare(cell.precision, 0)
    stage = config.stages[cell.stage]
    batches = iter(tile_batches(config, cell, cell.side or stage.crop))
    next(batches)  # the pipeline's own memory is there before
    held = step_work.Memory()
    model = stage_model(config, cell.stage)
    totals = loop.Totals(model.term_names)
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    advance = loop.make_advance(model, strategies.one(), totals, step)
    batch = next(batches)
    advance(batch)
    totals.take()
    first = time.time() - cell.began
    # Taking totals waits for the last step.
    seconds = step_work.timed(
        lambda: advance(batch), totals.take, cell.steps, cell.takes
    )
    memory = {
        "step_memory_mib": round(held.peak(), 1),
        "process_memory_mib": round(step_work.held_mib("VmHWM"), 1),
    }
    graph = advance.get_concrete_function(batch).graph
    flops = step_work.convolution_flops(graph)
    # Last, as a training's start and memory are without it.
    peak = step_work.peak_flops(cell.precision, cell.peak_seconds)
    return {
        **_figures(cell, stage.crop, flops, peak, seconds),
        "first_step_after_seconds": round(first, 1),
        **memory,
    }


def _figures(
    cell: Cell, crop: int, flops: int, peak: float, seconds: float
) -> dict[str, Any]:
    """The cell's JSON value; `flops` of a step, `peak` a second."""
    return {
        "stage": cell.stage,
        "precision": cell.precision,
        "batch": cell.batch,
        "crop": crop,
        "side": cell.side or crop,
        "seconds_per_step": round(seconds, 5),
        "megapixels_per_second": round(cell.batch * crop**2 / 1e6 / seconds, 5),
        "convolution_gflop_per_step": round(flops / 1e9, 4),
        "peak_gflops": round(peak / 1e9, 2),
        "share_of_peak": round(flops / seconds / peak, 4),
    }


def measure_large(
    precision: str, batch: int, steps: int, takes: int
) -> dict[str, Any]:
    """Times train steps of `large_gan.py` on a random image and mask."""
    import tensorflow as tf

    from benchmarks import large_gan, step_work
    from trainer import strategies

    strategies.prepare(precision, 0)
    tile = _tile(LARGE_SIDE, 0)
    image, labels = (
        tf.repeat(tf.cast(tile[name], tf.float32)[None] / 255.0, batch, 0)
        for name in ("image", "labels")
    )
    images = {"image": 2.0 * image - 1.0, "labels": labels}
    gan = large_gan.LargeGan(3)
    step = tf.function(gan.train_step, autograph=False)
    held = step_work.Memory()
    seconds = step_work.timed(
        lambda: step(images).numpy(),
        lambda: None,
        steps,
        takes,
    )
    return {
        "precision": precision,
        "batch": batch,
        "side": LARGE_SIDE,
        "seconds_per_step": round(seconds, 3),
        "megapixels_per_second": round(
            batch * LARGE_SIDE**2 / 1e6 / seconds, 6
        ),
        "generator_parameters": large_gan.parameters(gan.generator),
        "critic_parameters": large_gan.parameters(gan.critic),
        "step_memory_mib": round(held.peak(), 1),
    }


def stage_model(config: Config, index: int) -> "StageModel":
    """A stage of three classes that trains as a run's does: restained."""
    import tensorflow as tf

    from histogan_tf.data import colour
    from histogan_tf.models import other_stain
    from histogan_tf.models.stage import StageModel

    styles = tf.zeros([8, colour.STYLE_SIZE])
    view = other_stain.restained(
        styles, config.augment.stain, config.losses.restain
    )
    return StageModel(config, index, [1.0, 1.0, 1.0], view)


def tile_batches(
    config: Config, cell: Cell, side: int, rows: range | None = None
):
    """Batches of the trainer's pipeline from two random tiles of `side` px.

    `rows` as in `dataset.training_batches`.
    """
    from histogan_tf.data import dataset
    from histogan_tf.data.dataset import CropSettings
    from histogan_tf.models.stage import labelled_count

    stage = config.stages[cell.stage]
    labelled, unlabelled = (
        dataset.kept([_tile(side, seed)], 1) for seed in (0, 1)
    )
    known = labelled_count(cell.batch, config.labelled_share)
    crops = CropSettings(stage.crop, cell.batch, known, 1, config.augment)
    return dataset.training_batches(labelled, unlabelled, crops, rows=rows)


def _tile(side: int, seed: int) -> dict[str, np.ndarray]:
    """A tile of noise and three classes; the second is without labels."""
    rng = np.random.default_rng(seed)
    mask = rng.integers(0, 3, [side, side])
    labels = (np.eye(3, dtype=np.uint8) * 255)[mask]
    return {
        "image": rng.integers(0, 256, [side, side, 3], dtype=np.uint8),
        "labels": labels if seed == 0 else np.zeros_like(labels),
        "style": rng.normal(size=6).astype(np.float32),
    }
