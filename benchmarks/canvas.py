r"""Does a canvas of any size take constant memory and time per megapixel?

    python -m benchmarks.canvas [--preset base] [--sides 4096,16384]

In: two sides of square canvases. Out: for synthesis and for segmentation, at
each: peak memory, seconds a megapixel, the halo's share of the work, and how
much of the time the model had to wait for reading, resampling, encoding and
writing; a table with the targets, `--results` (JSON) and a chart beside it.

Each canvas is made in a process of its own, so that its peak memory is its
own. Masks are random squares in a label TIFF; what was painted is segmented.
"""

import dataclasses
import json
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any

from absl import flags

# So that it also runs by path, as python benchmarks/canvas.py.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from benchmarks import canvas_jobs, machine
from benchmarks.canvas_jobs import Job
from histogan_tf import presets, program
from histogan_tf.errors import InputError

MEMORY_RATIO, TIME_RATIO, HALO, WAITING = 1.15, 1.1, 0.30, 0.15
# Megapixels/s of the canvas. Segmentation is wanted at 1.24 um/px; the final
# segmenter costs the same a pixel at the preset's own.
SPEEDS = {"paint": 0.5, "read": 2.0}
NAMES = {"paint": "synthesis", "read": "segmentation"}


def define_flags() -> None:
    """Only as a program: tests import programs with flags of these names."""
    flags.DEFINE_enum(
        "preset", "base", sorted(presets.PRESETS), "whose networks are used"
    )
    flags.DEFINE_list("sides", ["4096", "16384"], "of the canvases, px")
    flags.DEFINE_integer("window", 1536, "side of windows, px", 512)
    flags.DEFINE_integer("jpeg_quality", 0, "0: lossless", 0, 100)
    flags.DEFINE_string(
        "folder", None, "where canvases are written; else a temporary folder"
    )
    flags.DEFINE_string(
        "results",
        str(machine.RESULTS / "canvas.json"),
        "file of figures; the chart is written beside it",
    )


def main() -> None:
    """Reads the flags, makes every canvas, writes and prints."""
    values = flags.FLAGS
    sides = parse_sides(values.sides)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(dir=values.folder) as folder:
        job = Job(
            "", values.preset, folder, 0, values.window, values.jpeg_quality
        )
        rows = measure(job, sides)
    result = {
        "command": program.command_line("benchmarks.canvas"),
        **machine.describe(),
        "protocol": {
            "preset": values.preset,
            "window": values.window,
            "jpeg_quality": values.jpeg_quality,
            "weights": "untrained",
            "waiting": "time without the model at work, lower levels"
            " included, over wall time",
            "halo": "multiply-adds outside windows over those inside",
            "seconds_in_all": round(time.monotonic() - start, 1),
        },
        "targets": {
            "memory_ratio": MEMORY_RATIO,
            "time_ratio": TIME_RATIO,
            "halo_share": HALO,
            "waiting_share": WAITING,
            "megapixels_per_second": {NAMES[k]: v for k, v in SPEEDS.items()},
        },
        "canvases": rows,
        "ratios": ratios(rows),
    }
    path = pathlib.Path(values.results)
    machine.write_json(path, result)
    chart(path.with_suffix(".png"), rows)
    print(table(rows))
    print(f"{path}\n{path.with_suffix('.png')}")


def parse_sides(words: list[str]) -> list[int]:
    """Sides in px, smallest first.

    Raises:
      InputError: not two different whole numbers of 64 or more.
    """
    numbers = {int(word) for word in words if word.strip().isdecimal()}
    if len(numbers) != 2 or len(words) != 2 or min(numbers) < 64:
        raise InputError(
            f"--sides {','.join(words)}: two different whole numbers, 64 or"
            " more, are allowed"
        )
    return sorted(numbers)


def measure(job: Job, sides: list[int]) -> list[dict[str, Any]]:
    """Rows of synthesis and segmentation at each side."""
    rows = []
    for side in sides:
        for kind in ("mask", "paint", "read"):
            found = in_process(dataclasses.replace(job, kind=kind, side=side))
            if kind != "mask":
                rows.append(row_of(found))
                print(table(rows[-1:]).splitlines()[1], flush=True)
        for kind in ("mask", "paint", "read"):
            canvas_jobs.file(dataclasses.replace(job, side=side), kind).unlink()
    return rows


def in_process(job: Job) -> dict[str, Any]:
    """Does a job in a process of its own; returns what it reports.

    Raises:
      RuntimeError: it failed; holds the end of its stderr.
    """
    path = pathlib.Path(job.folder) / "job.json"
    path.write_text(json.dumps(dataclasses.asdict(job)))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.canvas_jobs", str(path)],
        capture_output=True,
        text=True,
        cwd=machine.ROOT,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def row_of(found: dict[str, Any]) -> dict[str, Any]:
    """A job's report as shares of its wall time."""
    total = found["total"]
    return {
        "kind": found["kind"],
        "side": found["side"],
        "seconds": round(total, 2),
        "seconds_per_megapixel": round(total / found["megapixels"], 4),
        "megapixels_per_second": round(found["megapixels"] / total, 4),
        "peak_memory_gib": found["peak_memory_gib"],
        "halo_share": found["halo_share"],
        "waiting_share": round(1.0 - found["compute"] / total, 4),
        "reading_share": round(found["read"] / total, 4),
        "encoding_writing_share": round(found["write"] / total, 4),
    }


def ratios(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """The larger canvas over the smaller one, by kind."""
    out = {}
    for kind, name in NAMES.items():
        small, large = (row for row in rows if row["kind"] == kind)
        out[name] = {
            key: round(large[key] / small[key], 3)
            for key in ("peak_memory_gib", "seconds_per_megapixel")
        }
    return out


def table(rows: list[dict[str, Any]]) -> str:
    """A line a canvas; with both sides, a line for each target."""
    out = [
        "what           side  s/Mpx  Mpx/s  peak GiB   halo  waiting"
        "  reading  writing"
    ]
    for row in rows:
        out.append(
            f"{NAMES[row['kind']]:12} {row['side']:6}"
            f" {row['seconds_per_megapixel']:6.2f}"
            f" {row['megapixels_per_second']:6.2f}"
            f"  {row['peak_memory_gib']:8.2f}  {row['halo_share']:5.1%}"
            f"  {row['waiting_share']:7.1%}  {row['reading_share']:7.1%}"
            f"  {row['encoding_writing_share']:7.1%}"
        )
    if len(rows) == 2 * len(NAMES):
        out += verdicts(rows)
    return "\n".join(out)


def verdicts(rows: list[dict[str, Any]]) -> list[str]:
    """Every target with PASS or MISS."""
    held = []
    for name, found in ratios(rows).items():
        held.append((f"{name}: memory", found["peak_memory_gib"], MEMORY_RATIO))
        time_ratio = found["seconds_per_megapixel"]
        held.append((f"{name}: time a megapixel", time_ratio, TIME_RATIO))
    for row in rows[-len(NAMES) :]:
        name = NAMES[row["kind"]]
        held.append((f"{name}: halo", row["halo_share"], HALO))
        held.append((f"{name}: waiting", row["waiting_share"], WAITING))
    out = [
        _verdict(what, value, f"<= {limit:g}", value <= limit)
        for what, value, limit in held
    ]
    for row in rows[-len(NAMES) :]:
        what = f"{NAMES[row['kind']]}: megapixels/s"
        value, least = row["megapixels_per_second"], SPEEDS[row["kind"]]
        out.append(_verdict(what, value, f">= {least:g}", value >= least))
    return out


def _verdict(what: str, value: float, target: str, good: bool) -> str:
    word = "PASS" if good else "MISS"
    return f"{what:32} {value:6.3f} (target {target})  {word}"


def chart(path: pathlib.Path, rows: list[dict[str, Any]]) -> None:
    """Memory and time of every canvas as bars: a PNG."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 4), layout="constrained")
    labels = [f"{NAMES[row['kind']]}\n{row['side']} px" for row in rows]
    colours = [
        "#6a3d9a" if row["kind"] == "paint" else "#1f78b4" for row in rows
    ]
    for axis, key, title in (
        (axes[0], "peak_memory_gib", "peak memory, GiB"),
        (axes[1], "seconds_per_megapixel", "seconds a megapixel"),
    ):
        bars = axis.bar(labels, [row[key] for row in rows], color=colours)
        axis.bar_label(bars, fmt="%.2f", fontsize=8)
        axis.set_title(title)
        axis.tick_params(axis="x", labelsize=8)
    machine.write_chart(path, figure)


if __name__ == "__main__":
    define_flags()
    program.run(main, ops_at_once=1)
