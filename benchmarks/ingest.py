r"""Is ingest bound by its codecs, and does it use all cores?

    python -m benchmarks.ingest [--tiles 1000] [--workers 2]

In: nothing; phantom tiles with masks are painted and written as PNG. Out: tiles
a second of ingest, the share of its threads' work that is decoding, encoding
and TFRecord (target: 80 %), how many cores it keeps busy, its peak memory
(target: 500 MB, TensorFlow included); a table and `--results` (JSON).

Eight phantoms are painted; every tile is one of them, turned and rolled.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any

from absl import flags

# So that it also runs by path, as python benchmarks/ingest.py.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from benchmarks import machine
from histogan_tf import program

CODECS = ("decoding", "encoding", "TFRecord")
SHARE, CORES, MEMORY_MB = 0.8, 1.8, 500
_PAINTED = 8


def define_flags() -> None:
    """Only as a program: tests import programs with flags of these names."""
    flags.DEFINE_integer("tiles", 1000, "how many", 4)
    flags.DEFINE_integer("side", 512, "of a tile, px", 64)
    flags.DEFINE_integer("workers", 2, "threads that read", 1)
    flags.DEFINE_string(
        "results", str(machine.RESULTS / "ingest.json"), "file of figures"
    )


def main() -> None:
    """Reads the flags, paints, ingests, writes and prints."""
    values = flags.FLAGS
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_tiles(folder, values.tiles, values.side)
        found = figures(in_process(folder, values.workers), values.tiles)
    result = {
        "command": program.command_line("benchmarks.ingest"),
        **machine.describe(),
        "protocol": {
            "tiles": values.tiles,
            "side": values.side,
            "workers": values.workers,
        },
        "figures": found,
    }
    machine.write_json(pathlib.Path(values.results), result)
    print(table(found))
    print(values.results)


def write_tiles(folder: pathlib.Path, count: int, side: int) -> None:
    """PNG files in `images` and `masks`, no two alike."""
    import numpy as np

    from histogan_tf.data import images, phantom
    from histogan_tf.data.phantom_settings import PhantomSettings

    painted = [
        phantom.paint(PhantomSettings(side, side, 0.5), seed)
        for seed in range(_PAINTED)
    ]
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
    for number in range(count):
        tile = painted[number % _PAINTED]
        for kind, pixels in (("images", tile.image), ("masks", tile.mask)):
            turned = np.rot90(pixels, number // _PAINTED % 4)
            rolled = np.roll(turned, 7 * number, axis=0)
            path = folder / kind / f"tile_{number:05d}.png"
            images.write_png(path, np.ascontiguousarray(rolled))


def in_process(folder: pathlib.Path, workers: int) -> dict[str, Any]:
    """Ingests in a process of its own, whose memory is ingest's alone."""
    from histogan_tf.data.phantom import CLASSES_FILE

    start, words = time.monotonic(), [folder, CLASSES_FILE, str(workers)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.ingest_job", *words],
        capture_output=True,
        text=True,
        cwd=machine.ROOT,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found = json.loads(done.stdout.splitlines()[-1])
    return found | {"seconds_with_start": round(time.monotonic() - start, 3)}


def figures(found: dict[str, Any], tiles: int) -> dict[str, Any]:
    """Shares and rates of what a job reports."""
    samples = dict(found["samples"])
    samples.pop("waiting", None)
    work = sum(samples.values())
    shares = {kind: samples.pop(kind, 0) / work for kind in CODECS}
    rest = sorted(samples.items(), key=lambda item: -item[1])
    return {
        "seconds": found["seconds"],
        "seconds_with_start": found["seconds_with_start"],
        "tiles_per_second": round(tiles / found["seconds"], 2),
        "cores_busy": round(found["processor_seconds"] / found["seconds"], 3),
        "peak_memory_mb": round(found["peak_memory_gib"] * 2**30 / 1e6, 1),
        "share_of_codecs": round(sum(shares.values()), 4),
        "shares": {kind: round(share, 4) for kind, share in shares.items()},
        "rest": {name: round(n / work, 4) for name, n in rest[:8]},
    }


def table(found: dict[str, Any]) -> str:
    """The figures, and each target with PASS or MISS."""
    held = (
        ("codecs' share of the work", "share_of_codecs", SHARE, 1),
        ("cores kept busy", "cores_busy", CORES, 1),
        ("peak memory, MB", "peak_memory_mb", MEMORY_MB, -1),
    )
    lines = [
        f"{found['tiles_per_second']:.1f} tiles/s, {found['seconds']:.1f} s",
        ", ".join(f"{k} {v:.1%}" for k, v in found["shares"].items()),
        "rest: " + ", ".join(f"{k} {v:.1%}" for k, v in found["rest"].items()),
    ]
    for name, key, target, sign in held:
        good = sign * found[key] >= sign * target
        lines.append(
            f"{name:28} {found[key]:8.3f} (target"
            f" {'>=' if sign > 0 else '<='} {target:g})"
            f"  {'PASS' if good else 'MISS'}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    define_flags()
    program.run(main)
