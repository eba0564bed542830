r"""Does the input pipeline keep ahead of the train step?

    python -m benchmarks.input_pipeline [--preset base] [--data D]

In: records of `trainer.ingest`, or 24 phantom tiles of 1100 x 1100 px at
0.62 um/px that are painted when they are missing. Out: for every stage the
images a second of the pipeline alone (its cache filled) and of the train
step alone (on one batch, again and again), their ratio (target: 3 or more);
a table, `--results` (JSON) and a chart beside it.

Half of the phantom tiles are unlabelled, as the presets expect. Six tiles
are painted, each stored in four right angles: the content costs no time.
"""

import pathlib
import sys
import tempfile
import time
from typing import Any

from absl import flags

# So that it also runs by path, as python benchmarks/input_pipeline.py.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from benchmarks import machine
from histogan_tf import presets, program

TARGET = 3.0
PAINTED, SIDE, MPP = 6, 1100, 0.62


def define_flags() -> None:
    """Only as a program: tests import programs with flags of these names."""
    flags.DEFINE_enum(
        "preset", "base", sorted(presets.PRESETS), "whose stages are measured"
    )
    flags.DEFINE_string("data", None, "folder of records; else phantoms")
    flags.DEFINE_string(
        "output", "runs/input_pipeline", "where phantom records are kept"
    )
    flags.DEFINE_string(
        "results",
        str(machine.RESULTS / "input_pipeline.json"),
        "file of figures; the chart is written beside it",
    )
    flags.DEFINE_float("seconds", 8.0, "of measuring a stage's pipeline", 0.1)
    flags.DEFINE_integer("steps", 3, "timed train steps of a stage", 1)
    flags.DEFINE_integer(
        "batch_limit", 1 << 20, "largest batch, for want of memory", 2
    )
    flags.DEFINE_enum(
        "precision", "auto", ["auto", "float32", "bfloat16"], "arithmetic"
    )


def main() -> None:
    """Reads the flags, measures every stage, writes and prints."""
    from benchmarks import runs
    from histogan_tf.data import manifest
    from trainer import strategies

    values = flags.FLAGS
    start = time.monotonic()
    folder = values.data or phantom_records(pathlib.Path(values.output))
    config = wanted_config(values.preset, values.precision, values.batch_limit)
    strategies.prepare(config.precision, config.seed)
    data = manifest.load(folder)
    with tempfile.TemporaryDirectory() as name:
        source = runs.opened(name, config, data)
        rows = measure(source, values.seconds, values.steps)
    result = {
        "command": program.command_line("benchmarks.input_pipeline"),
        **machine.describe(),
        "protocol": {
            "preset": values.preset,
            "precision": config.precision,
            "data_hash": data.hash,
            "images": {
                kind: len(getattr(data.split("train"), kind).images)
                for kind in manifest.KINDS
            },
            "pipeline": f"{values.seconds:g} s of batches after two passes"
            " over the tiles, nothing else running",
            "train_step": f"{values.steps} steps on one batch after one that"
            " traces",
            "seconds_in_all": round(time.monotonic() - start, 1),
            "target_ratio": TARGET,
        },
        "stages": rows,
    }
    path = pathlib.Path(values.results)
    machine.write_json(path, result)
    chart(path.with_suffix(".png"), rows)
    print(table(rows))
    print(f"{path}\n{path.with_suffix('.png')}")


def wanted_config(preset: str, precision: str, batch_limit: int):
    """The preset; batches above the limit are lowered to it."""
    import dataclasses

    from trainer import strategies

    config = presets.PRESETS[preset]()
    if precision == "auto":
        precision = "bfloat16" if strategies.has_bfloat16() else "float32"
    stages = tuple(
        dataclasses.replace(stage, batch=min(stage.batch, batch_limit))
        for stage in config.stages
    )
    return dataclasses.replace(config, stages=stages, precision=precision)


def phantom_records(
    folder: pathlib.Path, painted: int = PAINTED, side: int = SIDE
) -> pathlib.Path:
    """Records of phantom tiles, half of them labelled; made once.

    Args:
      folder: holds the records in `records/`.
      painted: number of phantoms; each is stored in four right angles.
      side: of a tile, px at 0.62 um/px.
    """
    import numpy as np

    from histogan_tf.data import images, ingest, phantom
    from histogan_tf.data.ingest_settings import IngestSettings
    from histogan_tf.data.phantom_settings import PhantomSettings

    records = folder / "records"
    if (records / "manifest.json").exists():
        return records
    with tempfile.TemporaryDirectory() as name:
        source = pathlib.Path(name)
        for kind in ("images", "masks"):
            (source / kind).mkdir()
        for seed in range(painted):
            print(f"phantom {seed + 1} of {painted}", flush=True)
            tile = phantom.paint(PhantomSettings(side, side, MPP), seed)
            for turn in range(4):
                stem = f"tile_{seed}_{90 * turn}.png"
                for kind in ("image", "mask"):
                    turned = np.rot90(getattr(tile, kind), turn)
                    images.write_png(source / f"{kind}s" / stem, turned)
        ingest.ingest(
            IngestSettings(
                images=str(source / "images"),
                masks=str(source / "masks"),
                classes=str(phantom.CLASSES_FILE),
                output=str(records),
                mpp=MPP,
                validation=0.0,
                max_labelled=2 * painted,
                command="benchmarks.input_pipeline",
            )
        )
    return records


def measure(source, seconds: float, steps: int) -> list[dict[str, Any]]:
    """Images a second of every stage, pipeline and train step apart."""
    from trainer import phases

    config, data = source.config, source.manifest
    train = data.split("train")
    tiles = max(len(train.labelled.images), len(train.unlabelled.images))
    rows = []
    for index, stage in enumerate(config.stages):
        phase = phases.stage_phase(source, index)
        pipeline, batch = pipeline_speed(phase, 2 * tiles, seconds)
        step = step_speed(phase, batch, steps)
        rows.append(
            {
                "stage": index,
                "mpp": config.stage_mpp(index),
                "crop": stage.crop,
                "batch": stage.batch,
                "pipeline_images_per_second": round(pipeline, 2),
                "train_step_images_per_second": round(step, 2),
                "ratio": round(pipeline / step, 2),
                "peak_memory_gib": round(machine.peak_gib(), 2),
            }
        )
        print(table(rows[-1:]).splitlines()[1], flush=True)
    return rows


def pipeline_speed(phase, tiles: int, seconds: float):
    """Images a second of a phase's batches alone, and one batch.

    Args:
      phase: whose pipeline is measured.
      tiles: crops to take before the clock starts, so that every tile has
        been decoded and is in memory.
      seconds: how long to measure; a started batch is finished.
    """
    batches = iter(phase.batches(0, range(phase.batch)))
    # A batch holds one crop of either kind at the least.
    for _ in range(-(-tiles // max(1, phase.batch // 2))):
        batch = next(batches)
    # What lies ready in the prefetch buffers was made off the clock.
    count, start = 0, time.monotonic()
    while (passed := time.monotonic() - start) < seconds or not count:
        batch = next(batches)
        count += 1
    return count * phase.batch / passed, batch


def step_speed(phase, batch, steps: int) -> float:
    """Images a second of a phase's train step on one and the same batch."""
    import tensorflow as tf

    from trainer import loop, strategies

    model = phase.build()
    totals = loop.Totals(model.term_names)
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    advance = loop.make_advance(model, strategies.one(), totals, step)
    advance(batch)
    totals.take()
    start = time.monotonic()
    for _ in range(steps):
        advance(batch)
    totals.take()  # waits for the last step
    return steps * phase.batch / (time.monotonic() - start)


def table(rows: list[dict[str, Any]]) -> str:
    """A line a stage: images/s of both, their ratio, PASS or MISS."""
    out = [
        "stage   um/px   crop  batch  pipeline img/s  train step img/s   ratio"
    ]
    for row in rows:
        verdict = "PASS" if row["ratio"] >= TARGET else "MISS"
        out.append(
            f"{row['stage']:5}  {row['mpp']:6.2f}  {row['crop']:5}"
            f"  {row['batch']:5}  {row['pipeline_images_per_second']:14.1f}"
            f"  {row['train_step_images_per_second']:16.1f}"
            f"  {row['ratio']:6.2f}  {verdict}"
        )
    return "\n".join(out)


def chart(path: pathlib.Path, rows: list[dict[str, Any]]) -> None:
    """Bars of both speeds a stage, on a logarithmic axis: a PNG."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for offset, key in ((-0.2, "pipeline"), (0.2, "train_step")):
        heights = [row[f"{key}_images_per_second"] for row in rows]
        places = [row["stage"] + offset for row in rows]
        bars = axis.bar(places, heights, 0.4, label=key.replace("_", " "))
        axis.bar_label(bars, fmt="{:,.0f}", fontsize=8)
    axis.set_yscale("log")
    # Bars on a logarithmic axis need a fixed foot, and their numbers room.
    axis.set_ylim(bottom=0.1, top=2.0 * axis.get_ylim()[1])
    axis.set_ylabel("images a second")
    labels = [
        f"stage {row['stage']}\n{row['mpp']:g} um/px\nratio {row['ratio']:.1f}"
        for row in rows
    ]
    axis.set_xticks([row["stage"] for row in rows], labels)
    axis.legend()
    machine.write_chart(path, figure)


if __name__ == "__main__":
    define_flags()
    program.run(main)
