r"""How fast is the model server, and does it swap versions without a failure?

    python -m benchmarks.serving [--run_dir R | --export BASE/VERSION]

In: a run to export, or an export; without either a run of random weights is
made: speed does not depend on what the weights say. Out: on loopback, with a
server in a process of its own,
- the server's overhead over calling the SavedModel in this process,
- throughput and latency of 8 clients with batching off and on,
- start and first request, with and without warm-up,
- 10,000 requests of 8 clients across 5 hot swaps and a rollback;
a table, `--results` (JSON) and a chart beside it. Takes 5 minutes (AVX-512) to
10 (AVX2).
"""

import pathlib
import subprocess
import sys
import time

from absl import flags

# So that it also runs by path, as python benchmarks/serving.py.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from benchmarks import machine
from histogan_tf import presets, program
from histogan_tf.errors import InputError

SIDES = [64, 512]
PARTS = ("overhead", "batching", "cold", "swaps")


def define_flags() -> None:
    """Only as a program: tests import programs with flags of these names."""
    flags.DEFINE_string("run_dir", None, "trained run; else random weights")
    flags.DEFINE_string("export", None, "an export that is there already")
    flags.DEFINE_enum(
        "preset", "demo", sorted(presets.PRESETS), "of the random weights"
    )
    flags.DEFINE_string("output", "runs/serving", "folder for what it serves")
    flags.DEFINE_string(
        "results",
        str(machine.RESULTS / "serving.json"),
        "file of figures; the chart is written beside it",
    )
    flags.DEFINE_list(
        "parts", list(PARTS), "what to measure; others keep figures"
    )
    flags.DEFINE_integer("clients", 8, "of every load", 1, 256)
    flags.DEFINE_float("seconds", 8.0, "of one load", 0.5, 600)
    flags.DEFINE_integer("requests", 200, "of a single client", 5)
    flags.DEFINE_integer("swap_requests", 10_000, "across all swaps", 100)
    flags.DEFINE_integer("swaps", 5, "versions that come", 1, 50)


def main() -> None:
    """Exports where needed, measures, writes and prints."""
    from benchmarks import serving_measures as measures
    from benchmarks import serving_report

    values, start = flags.FLAGS, time.monotonic()
    unknown = set(values.parts) - set(PARTS)
    if unknown:
        raise InputError(
            f"--parts: {', '.join(sorted(unknown))}; allowed: {PARTS}"
        )
    folder = pathlib.Path(values.output).resolve()
    export = find_export(folder)
    effort = measures.Effort(
        values.clients, values.seconds, values.requests, values.swap_requests
    )
    work = {
        "overhead": lambda: measures.overhead(export, SIDES, effort),
        "batching": lambda: measures.batching(folder / "toys", export, effort),
        "cold": lambda: measures.cold_and_warm(export, SIDES[-1], effort),
        "swaps": lambda: measures.swaps(
            export, measures.segment_request(64), values.swaps, effort
        ),
    }
    path = pathlib.Path(values.results)
    figures = {}
    if set(values.parts) != set(PARTS):
        figures = (machine.read_json(path) or {}).get("figures", {})
    for part in values.parts:
        figures[part] = work[part]()
    result = {
        "command": program.command_line("benchmarks.serving"),
        **machine.describe(),
        "protocol": {
            "model": values.run_dir or f"random weights, {values.preset}",
            "clients": values.clients,
            "seconds": values.seconds,
            "batching": measures.BATCHING.format(size=values.clients),
        },
        "figures": figures,
        "seconds": round(time.monotonic() - start),
    }
    machine.write_json(path, result)
    serving_report.chart(path.with_suffix(".png"), figures)
    print(serving_report.table(figures))
    print(f"{path}\n{path.with_suffix('.png')}")


def find_export(folder: pathlib.Path) -> pathlib.Path:
    """The export to serve; made in `folder` when none is given."""
    values = flags.FLAGS
    if values.export:
        export = pathlib.Path(values.export).resolve()
        if not (export / "saved_model.pb").is_file():
            raise InputError(f"--export {export}: no saved_model.pb there")
        return export
    found = sorted((folder / "export").glob("[0-9]*"))
    if found and not values.run_dir:
        return found[-1]
    run = values.run_dir
    if run is None:
        from benchmarks import serving_models

        run = folder / "run" / values.preset
        if not run.exists():
            serving_models.untrained_run(run, values.preset)
    command = [
        sys.executable,
        "-m",
        "serving.export",
        f"--run_dir={run}",
        f"--output={folder / 'export'}",
        f"--warmup_sizes={','.join(f'{side}x{side}' for side in SIDES)}",
    ]
    if subprocess.run(command).returncode:
        raise InputError(f"{run}: could not be exported")
    return sorted((folder / "export").glob("[0-9]*"))[-1]


if __name__ == "__main__":
    define_flags()
    program.run(main)
