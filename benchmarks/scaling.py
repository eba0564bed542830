r"""What does a second replica bring, and what would eight?

    python -m benchmarks.scaling [--preset base] [--stages 0,3] [--batch 4]

In: nothing but random tiles. Every process is held to one core. Measured, for
each stage: a step of one process with `--batch` images; a step of two
processes (`--strategy multi_worker`, 127.0.0.1) with twice as many, where
what is slower is communication and waiting; one sum over both processes of
as many numbers as the networks have weights. Out: tables, `--results` (JSON)
and a chart beside it.

The projection to 8 GPUs of a machine and to 8 machines is arithmetic, not a
measurement (`scaling_projection.py`). Its assumptions are flags, and stand in
the results.
"""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import time
from typing import Any

from absl import flags

# So that it also runs by path, as python benchmarks/scaling.py.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from benchmarks import machine, scaling_projection
from benchmarks.ports import free_ports
from benchmarks.scaling_projection import REPLICAS, Assumptions
from histogan_tf import presets, program

WORKER = "benchmarks.scaling_worker"


def define_flags() -> None:
    """Only as a program: tests import programs with flags of these names."""
    flags.DEFINE_enum(
        "preset", "base", sorted(presets.PRESETS), "whose stages are measured"
    )
    flags.DEFINE_list("stages", ["0", "3"], "numbers of stages")
    flags.DEFINE_integer("batch", 4, "images of a process", 2)
    flags.DEFINE_integer("steps", 5, "timed steps", 1)
    flags.DEFINE_enum(
        "precision", "float32", ["float32", "bfloat16"], "arithmetic"
    )
    for field, value, what in (
        ("gpu_tflops", 125.0, "peak of a GPU, TFLOP/s"),
        ("gpu_share", 0.3, "of that peak which is reached, 0..1"),
        ("gpu_gbytes", 100.0, "GB/s between the GPUs of a machine"),
        ("network_gbytes", 3.0, "GB/s between machines"),
        ("gpu_latency_us", 20.0, "us of a message between GPUs"),
        ("network_latency_us", 100.0, "us of a message between machines"),
    ):
        flags.DEFINE_float(field, value, f"assumed: {what}", 1e-9)
    flags.DEFINE_string(
        "results",
        str(machine.RESULTS / "scaling.json"),
        "file of figures; the chart is written beside it",
    )


def main() -> None:
    """Reads the flags, measures each stage, writes and prints."""
    from trainer import phases

    values = flags.FLAGS
    start = time.monotonic()
    fields = dataclasses.fields(Assumptions)
    assumed = Assumptions(**{f.name: values[f.name].value for f in fields})
    count = len(presets.PRESETS[values.preset]().stages)
    rows = []
    for stage in phases.numbers(values.stages, count):
        rows.append(
            measure(
                values.preset,
                stage,
                values.precision,
                values.batch,
                values.steps,
            )
        )
        print(table(rows[-1:]).splitlines()[1], flush=True)
    projected = [scaling_projection.project(row, assumed) for row in rows]
    result = {
        "command": program.command_line("benchmarks.scaling"),
        **machine.describe(),
        "protocol": {
            "preset": values.preset,
            "precision": values.precision,
            "timed": f"{values.steps} steps after one that traces; a core for"
            " each process",
            "seconds_in_all": round(time.monotonic() - start, 1),
        },
        "measured": rows,
        "assumptions": dataclasses.asdict(assumed),
        "projected": projected,
    }
    path = pathlib.Path(values.results)
    machine.write_json(path, result)
    chart(path.with_suffix(".png"), rows, projected)
    print(table(rows), scaling_projection.table(projected, assumed), sep="\n\n")
    print(f"{path}\n{path.with_suffix('.png')}")


def measure(
    preset: str, stage: int, precision: str, batch: int, steps: int
) -> dict[str, Any]:
    """One process with `batch` images, two with `batch` each."""
    work = {
        "preset": preset,
        "stage": stage,
        "precision": precision,
        "steps": steps,
    }
    one = run_workers([work | {"batch": batch}])
    two = run_workers([work | {"batch": 2 * batch}] * 2)
    return figures(stage, batch, one, two) | {
        "flop": flop_of(preset, stage, batch)
    }


def figures(
    stage: int, batch: int, one: dict[str, float], two: dict[str, float]
) -> dict[str, Any]:
    """The row of a stage, from what workers 0 printed."""
    step, both = one["step_seconds"], two["step_seconds"]
    return {
        "stage": stage,
        "batch_of_a_process": batch,
        "one_step_seconds": step,
        "two_step_seconds": both,
        "images_per_second": [batch / step, 2 * batch / both],
        "speed_up": 2 * step / both,
        "communication_and_waiting_share": max(0.0, 1 - step / both),
        "sum_share": min(1.0, two["sum_seconds"] / both),
        "bytes": two["bytes"],
        "messages": two["messages"],
    }


def run_workers(works: list[dict[str, Any]]) -> dict[str, float]:
    """Runs a process for each, all at once; gives what worker 0 printed."""
    ports = free_ports(len(works))
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    cores = sorted(os.sched_getaffinity(0))
    running = []
    for index, work in enumerate(works):
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        environment.pop("TF_CONFIG", None)
        if len(works) > 1:
            task = {"type": "worker", "index": index}
            environment["TF_CONFIG"] = json.dumps(
                {"cluster": cluster, "task": task}
            )
        core = {"core": cores[index % len(cores)]}
        running.append(
            subprocess.Popen(
                [sys.executable, "-m", WORKER, json.dumps(work | core)],
                cwd=machine.ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    try:
        outputs = [process.communicate()[0] for process in running]
    finally:
        for process in running:
            process.kill()
    if any(process.returncode for process in running):
        raise RuntimeError("a worker failed; its own error stands above")
    return json.loads(outputs[0].splitlines()[-1])


def flop_of(preset: str, stage: int, batch: int) -> int:
    """Convolutions of a step, as `benchmarks.train_step` counts them."""
    from benchmarks import step_cells

    cell = step_cells.Cell(
        preset, stage, "float32", batch, steps=1, peak_seconds=0.0
    )
    found = step_cells.measure_apart(cell)
    return int(found["convolution_gflop_per_step"] * 1e9)


def table(rows: list[dict[str, Any]]) -> str:
    """A line a stage: one process, two, and where the rest went."""
    out = [
        "stage  batch  one, img/s  two, img/s  speed-up"
        "  communication and waiting  one sum  MB of gradients"
    ]
    for row in rows:
        one, two = row["images_per_second"]
        out.append(
            f"{row['stage']:5}  {row['batch_of_a_process']:5}  {one:10.2f}"
            f"  {two:10.2f}  {row['speed_up']:8.2f}"
            f"  {row['communication_and_waiting_share']:25.1%}"
            f"  {row['sum_share']:7.1%}  {row['bytes'] / 1e6:15.2f}"
        )
    return "\n".join(out)


def chart(
    path: pathlib.Path,
    rows: list[dict[str, Any]],
    projected: list[dict[str, Any]],
) -> None:
    """Measured speed-up of two, and the projection's lines: a PNG."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(6, 4), layout="constrained")
    axis.plot(REPLICAS, REPLICAS, color="grey", linestyle=":", label="ideal")
    for row in projected:
        for name, style in (("gpus", "-"), ("machines", "--")):
            speeds = [p["speed_up"] for p in row[name]]
            label = f"stage {row['stage']}, {name} (projected)"
            axis.plot(REPLICAS, speeds, style, label=label)
    for row in rows:
        label = f"stage {row['stage']}, two processes (measured)"
        axis.plot([2], [row["speed_up"]], "o", label=label)
    axis.set(xlabel="replicas", ylabel="speed-up")
    axis.legend(fontsize=7)
    machine.write_chart(path, figure)


if __name__ == "__main__":
    define_flags()
    program.run(main)
