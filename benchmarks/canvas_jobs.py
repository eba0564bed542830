r"""One canvas painted or segmented, in a process of its own.

    python -m benchmarks.canvas_jobs JOB.json

In: a JSON file of `Job`. Out: on stdout one JSON line: seconds of each part,
peak memory of the process, side and megapixels, share of halo work. The
networks are a preset's, untrained: weights cost no time. Peak memory includes
TensorFlow.
"""

import dataclasses
import json
import pathlib
import sys
from typing import Any

import numpy as np

CLASSES, TILE, SQUARE = 3, 512, 48
# um/px of the slide that is segmented, over the run's: 0.5 for `base`.
SCANNED = 0.5 / 0.62


@dataclasses.dataclass(frozen=True)
class Job:
    """`kind` is "mask", "paint" or "read"; files lie in `folder`."""

    kind: str
    preset: str
    folder: str
    side: int
    window: int
    jpeg: int = 0


def run(job: Job) -> dict[str, Any]:
    """Does a job; its file must not exist yet."""
    from benchmarks import machine

    times = {"mask": make_mask, "paint": paint, "read": read}[job.kind](job)
    found = {"side": job.side, "kind": job.kind} | times
    return found | {
        "megapixels": round(found["side"] ** 2 / 1e6, 3),
        "peak_memory_gib": round(machine.peak_gib(), 3),
    }


def make_mask(job: Job) -> dict[str, Any]:
    """A label TIFF of random squares, written window by window."""
    from histogan_tf.data import tile_pixels
    from histogan_tf.data.pyramid_tiff import Plan, PyramidWriter
    from histogan_tf.data.tiff_layout import Facts

    palette = np.eye(CLASSES, dtype=np.uint8) * 255
    facts = Facts("mask", mpp(job), TILE, tile_pixels.labels(TILE, palette))
    plan = Plan(job.side, job.side, 2 * TILE, facts)
    grid = -(-job.side // SQUARE)
    ids = np.random.default_rng(0).integers(0, CLASSES, (grid, grid), np.uint8)
    with PyramidWriter(file(job, "mask"), plan, {}) as writer:
        for index, box in enumerate(plan.windows):
            rows = np.arange(box.top, box.bottom) // SQUARE
            columns = np.arange(box.left, box.right) // SQUARE
            writer.write(index, ids[rows[:, None], columns])
        writer.finish()
    return {}


def paint(job: Job) -> dict[str, Any]:
    """The mask becomes tissue."""
    from histogan_tf import sources
    from histogan_tf.data import tiff_blocks
    from histogan_tf.data.blocks import BlockImage
    from histogan_tf.paint_canvas import Brush, paint_canvas
    from histogan_tf.window_paint import WindowPainter

    painter = WindowPainter(pyramid(job))
    stored = tiff_blocks.open_stored(file(job, "mask"), False)
    image = BlockImage(stored)
    source = sources.Source(
        job.side, job.side, lambda *box: image.window(0, *box)
    )
    brush = Brush(0, (0.0,) * 6, job.window, TILE, job.jpeg)
    # One small window first, so that tracing is not on the clock.
    painter.synthesize_window(source, 0, 0, 64, 64, 0, np.zeros(6))
    times = paint_canvas(painter, source, file(job, "paint"), brush, {})
    costs = [generator_cost(s.generator) for s in painter.pyramid.stages]
    halo = halo_share(painter.layout, costs, job)
    return dataclasses.asdict(times) | {"halo_share": halo}


def read(job: Job) -> dict[str, Any]:
    """What was painted is segmented, all of it, by the final segmenter.

    It is taken for a scan of finer um/px, so that all of it is resampled.
    """
    from histogan_tf import presets, read_canvas, sources, window_read
    from histogan_tf.data import slides, tissue
    from histogan_tf.models.segmenter import Segmenter
    from histogan_tf.regions import Box

    settings = presets.PRESETS[job.preset]().segmenter
    network = Segmenter(settings.network, CLASSES, settings.patch)
    reader = window_read.of_segmenter(network, settings)
    scanned = SCANNED * mpp(job)
    with slides.open_slide(file(job, "paint"), scanned) as slide:
        source = sources.at_scale(
            slide.size_at(mpp(job)), slide.read_region, mpp(job)
        )
        small = Box(0, 64, 0, 64)
        seen = reader.surroundings(source, small)
        reader.labels(source, small, seen)
        times = read_canvas.segment_canvas(
            reader,
            source,
            tissue.Tissue(np.ones((1, 1), bool), 1.0),
            mpp(job),
            class_table(),
            read_canvas.Targets(file(job, "read"), {}),
            read_canvas.Sizes(job.window, TILE),
            {},
        )
    side = source.height
    halo = halo_share(reader.layout, [1.0], dataclasses.replace(job, side=side))
    return dataclasses.asdict(times) | {"halo_share": halo, "side": side}


def file(job: Job, kind: str) -> pathlib.Path:
    """The file that a kind of job makes."""
    return pathlib.Path(job.folder) / f"{kind}_{job.side}.ome.tif"


def mpp(job: Job) -> float:
    """um/px of the preset."""
    from histogan_tf import presets

    return presets.PRESETS[job.preset]().finest_mpp


def class_table():
    """Three classes in the primary colours."""
    from histogan_tf.data.class_info import ClassInfo
    from histogan_tf.data.classes import ClassTable

    names = ("red", "green", "blue")
    colours = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
    return ClassTable(
        tuple(
            ClassInfo(number, name, colour)
            for number, (name, colour) in enumerate(
                zip(names, colours, strict=True)
            )
        )
    )


def pyramid(job: Job):
    """A preset's untrained networks, built."""
    import tensorflow as tf

    from histogan_tf import presets
    from histogan_tf.pyramid import Pyramid, blank_networks

    tf.random.set_seed(1)
    config = presets.PRESETS[job.preset]()
    stages = [
        blank_networks(config, k, CLASSES) for k in range(len(config.stages))
    ]
    made = Pyramid(config, CLASSES, tuple(stages))
    mask = tf.zeros([1, made.multiple, made.multiple, CLASSES])
    made.paint(mask, tf.zeros([1, 6]), tf.zeros([1], tf.int64))
    return made


def generator_cost(generator) -> float:
    """Multiply-adds of a generator for a pixel of its finest level."""

    def kernels(*parts) -> int:
        return sum(
            int(np.prod(v.shape))
            for part in parts
            for v in part.variables
            if len(v.shape) == 4
        )

    total = float(kernels(generator.last, generator.last_norm))
    for level, entry in enumerate(generator.inputs_in):
        parts = [entry, *generator.blocks[level], *generator.up[level:][:1]]
        total += kernels(*parts) / 4**level
    return total


def halo_share(layout, costs, job: Job) -> float:
    """Multiply-adds outside the windows over those inside, on an average.

    Args:
      layout: of the networks on the canvas.
      costs: of the stages for a pixel, coarsest first.
      job: its side and window.
    """
    from histogan_tf.data.pyramid_tiff import Plan
    from histogan_tf.data.tiff_layout import Facts

    facts = Facts("", 1.0, TILE, None)  # type: ignore[arg-type]
    done = useful = 0.0
    for box in Plan(job.side, job.side, job.window, facts).windows:
        found, _ = layout.plan(job.side, job.side, box)
        for place, (region, cost) in enumerate(zip(found, costs, strict=True)):
            done += cost * region.body.area
            useful += cost * box.area / 4 ** (len(found) - 1 - place)
    return round(done / useful - 1.0, 4)


if __name__ == "__main__":
    given = json.loads(pathlib.Path(sys.argv[1]).read_text())
    print(json.dumps(run(Job(**given))))
