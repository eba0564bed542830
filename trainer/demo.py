r"""The whole way in one command: data, training, pictures, report.

    python -m trainer.demo --output runs/demo [--data ../shared/data/glas]

Without --data it paints phantom tissue. With it, it knows two layouts: GlaS
(images/train_*.png, labels/train_*_anno.png, Grade.csv) and prostate tiles
(images/*.jpg, masks/*.png). Each step is a program of its own whose command
line is printed first, so that a reader learns them. Steps whose result is
there are left out: run it again to go on.
"""

import pathlib
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

from absl import flags

from histogan_tf import presets
from histogan_tf.errors import InputError
from histogan_tf.files import atomic_directory, list_files
from trainer import program

FLAGS = flags.FLAGS
flags.DEFINE_string("data", "", "folder of a known data set; empty: phantom")
flags.DEFINE_string("output", "runs/demo", "folder for all results")
flags.DEFINE_enum(
    "preset", "demo", sorted(presets.PRESETS), "settings of the training"
)

_TABLES = pathlib.Path("histogan_tf/data/class_tables")
# Side in px and um/px of a phantom image, and how many: 446 um, 44 px at the
# demo's coarsest 10 um/px.
_SIDE, _MPP, _COUNT = 360, 1.24, 28
# No scale is stated for the prostate tiles; 40x scans have about this.
_GLEASON_MPP = 0.5

Arguments = list[str]


def phantom_arguments(folder: pathlib.Path) -> Arguments:
    """Paints phantom tissue into `folder`; ingest's flags for it."""
    if not (folder / "masks").is_dir():
        print(f"painting {_COUNT} phantom images of {_SIDE} px", flush=True)
        _paint_all(folder)
    return [
        f"--images={folder / 'images'}",
        f"--masks={folder / 'masks'}",
        f"--classes={_TABLES / 'phantom.json'}",
        f"--mpp={_MPP}",
        "--max_labelled=10",
    ]


def glas_arguments(folder: pathlib.Path) -> Arguments:
    """Ingest's flags for the training images of GlaS, 10 of them labelled."""
    return [
        f"--images={folder / 'images' / 'train_*.png'}",
        f"--masks={folder / 'labels' / 'train_*_anno.png'}",
        "--mask_suffix=_anno",
        f"--classes={_TABLES / 'glas.json'}",
        "--mpp=0.62",
        f"--groups={folder / 'Grade.csv'}",
        "--group_column=patient ID",
        "--max_labelled=10",
    ]


def gleason_arguments(folder: pathlib.Path) -> Arguments:
    """Ingest's flags for the 5-class prostate tiles, all labelled."""
    print(f"note: no um/px is stated for these tiles; {_GLEASON_MPP} is taken")
    return [
        f"--images={folder / 'images' / '*.jpg'}",
        f"--masks={folder / 'masks' / '*.png'}",
        f"--classes={_TABLES / 'gleason.json'}",
        f"--mpp={_GLEASON_MPP}",
    ]


# A pattern that a data set's folder must hold, and what reads it.
LAYOUTS: tuple[tuple[str, Callable[[pathlib.Path], Arguments]], ...] = (
    ("labels/train_*_anno.png", glas_arguments),
    ("masks/test*.png", gleason_arguments),
)


def ingest_arguments(data: str, output: pathlib.Path) -> Arguments:
    """Ingest's flags for a data set, or for a phantom where there is none.

    Raises:
      InputError: the folder has no known layout.
    """
    if not data:
        return phantom_arguments(output / "phantom")
    folder = pathlib.Path(data)
    for pattern, build in LAYOUTS:
        if any(folder.glob(pattern)):
            return build(folder)
    known = " or ".join(pattern for pattern, _ in LAYOUTS)
    raise InputError(
        f"--data {data}: holds neither {known}; for other data use"
        " trainer.ingest and trainer.train"
    )


def _paint_all(folder: pathlib.Path) -> None:
    """Images and masks, whole or not at all, on all cores."""
    with atomic_directory(folder) as draft, ProcessPoolExecutor() as pool:
        for kind in ("images", "masks"):
            (draft / kind).mkdir()
        list(pool.map(_paint, [draft] * _COUNT, range(_COUNT)))


def _paint(folder: pathlib.Path, seed: int) -> None:
    from histogan_tf.data import images, phantom

    settings = phantom.PhantomSettings(height=_SIDE, width=_SIDE, mpp=_MPP)
    painted = phantom.paint(settings, seed)
    name = f"phantom_{seed:03d}.png"
    images.write_png(folder / "images" / name, painted.image)
    images.write_png(folder / "masks" / name, painted.mask)


def run_program(name: str, arguments: Arguments) -> None:
    """Prints and runs one program; stops the demo where it fails."""
    print(f"\n$ python -m trainer.{name} {shlex.join(arguments)}", flush=True)
    started = time.monotonic()
    command = [sys.executable, "-m", f"trainer.{name}", *arguments]
    code = subprocess.run(command, check=False).returncode
    if code:
        sys.exit(code)
    print(f"[{name}: {time.monotonic() - started:.0f} s]", flush=True)


def main() -> None:
    """Ingest, train, evaluate, synthesize, segment."""
    output = pathlib.Path(FLAGS.output)
    output.mkdir(parents=True, exist_ok=True)
    records, run = output / "records", output / "run"
    ingest = ingest_arguments(FLAGS.data, output)
    sources = {a.split("=", 1)[0]: a.split("=", 1)[1] for a in ingest}
    if not records.exists():
        run_program("ingest", [*ingest, f"--output={records}"])
    run_program(
        "train",
        [f"--data={records}", f"--run_dir={run}", f"--preset={FLAGS.preset}"],
    )
    run_program(
        "evaluate",
        [f"--run_dir={run}", f"--data={records}", "--split=validation"],
    )
    mask = list_files(sources["--masks"], (".png",))[0]
    if not (output / "synthetic").exists():
        run_program(
            "synthesize",
            [
                f"--run_dir={run}",
                f"--masks={mask}",
                f"--mpp={sources['--mpp']}",
                f"--output={output / 'synthetic'}",
                "--samples=3",
            ],
        )
    print(f"\nreport: {(run / 'report.html').resolve()}")
    print(f"TensorBoard: tensorboard --logdir {run}")


if __name__ == "__main__":
    program.run(main)
