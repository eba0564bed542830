"""The whole way, shown: data in, a trained pyramid and its report out.

    python -m trainer.demo [--data FOLDER] --output runs/demo

Without --data it paints phantom tissue. Every program's command line is
printed before it runs, to be learnt from; run the demo again to go on where
it was stopped. Below OUTPUT: `phantom/` or nothing, `records/`, `run/` (with
`report.html`), `synthetic/`, `segmented/`.
"""

import dataclasses
import pathlib
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from absl import flags

from histogan_tf import presets, program
from histogan_tf.errors import InputError

if TYPE_CHECKING:
    from histogan_tf.data.ingest_settings import IngestSettings

FLAGS = flags.FLAGS
flags.DEFINE_string("data", None, "folder of a data set; else a phantom")
flags.DEFINE_string("output", "runs/demo", "folder to make, or to go on with")
flags.DEFINE_enum("preset", "demo", sorted(presets.PRESETS), "of the training")
flags.DEFINE_integer(
    "max_labelled", 10, "training images that keep their masks", 1
)
flags.DEFINE_multi_string("set", [], "as in trainer.train; may be repeated")

SAMPLES = 3  # synthetic images of a mask


def main() -> None:
    """Runs every program in turn and prints what each took."""
    output = pathlib.Path(FLAGS.output)
    started = time.monotonic()
    settings = prepare(output)
    times = [("data", time.monotonic() - started)]
    for name, command, result in steps(settings, output):
        begun = time.monotonic()
        if result is not None and result.exists():
            print(f"\n{name}: {result} is there", flush=True)
        else:
            run(command)
        times.append((name, time.monotonic() - begun))
    print("\nminutes: " + ", ".join(f"{n} {t / 60:.1f}" for n, t in times))
    print(f"in all {(time.monotonic() - started) / 60:.1f}")
    print(f"report: {(output / 'run' / 'report.html').resolve()}")


def prepare(output: pathlib.Path) -> "IngestSettings":
    """What to ingest; paints the phantom where there is no --data.

    Raises:
      InputError: --data has no known layout, or the records in OUTPUT come
        from another command.
    """
    from trainer import demo_data

    records = output / "records"
    if FLAGS.data:
        settings = demo_data.recognise(
            pathlib.Path(FLAGS.data), records, FLAGS.max_labelled
        )
    else:
        settings = demo_data.phantom(
            output / "phantom", records, FLAGS.max_labelled
        )
    check_records(records, ingest_command(settings))
    return settings


def check_records(records: pathlib.Path, command: list[str]) -> None:
    """Raises InputError where records were made by another command."""
    from histogan_tf.data import manifest

    if records.exists():
        made = manifest.load(records).command
        if made != shlex.join(command):
            raise InputError(
                f"{records}: made by another command, {made!r}; choose a new"
                " --output or remove the folder"
            )


def ingest_command(settings: "IngestSettings") -> list[str]:
    """The command line of `trainer.ingest` for these settings."""
    from histogan_tf.data.ingest_settings import IngestSettings

    command = ["python", "-m", "trainer.ingest"]
    for field in dataclasses.fields(IngestSettings):
        value = getattr(settings, field.name)
        if value != field.default:
            command.append(f"--{field.name}={value}")
    return command


Step = tuple[str, list[str], pathlib.Path | None]


def steps(settings: "IngestSettings", output: pathlib.Path) -> Iterator[Step]:
    """Name, command line and result of every step, in order.

    A step whose result is there is to be left out. Training and evaluation
    have none: they know themselves what is left to do. The steps after
    ingest need its records.
    """
    run, records = f"--run_dir={output / 'run'}", output / "records"
    data = f"--data={records}"
    yield "ingest", ingest_command(settings), records
    changes = [f"--set={item}" for item in FLAGS.set]
    preset = f"--preset={FLAGS.preset}"
    yield "train", _program("train", data, run, preset, *changes), None
    measure = _program("evaluate", run, data, "--split=validation")
    yield "evaluate", measure, None
    image, mask = example(settings, records)
    made = output / "synthetic"
    paint = [run, f"--masks={mask}", f"--samples={SAMPLES}", "--stages"]
    paint += _out(settings, made)
    yield "synthesize", _program("synthesize", *paint), made
    made = output / "segmented"
    read = [run, f"--images={image}", "--geojson", *_out(settings, made)]
    yield "segment", _program("segment", *read), made


def example(
    settings: "IngestSettings", records: pathlib.Path
) -> tuple[pathlib.Path, pathlib.Path]:
    """Files of an image, held out if any is, and of its mask."""
    from histogan_tf.data import manifest
    from trainer import demo_data

    made = manifest.load(records)
    held = made.split("validation").labelled.images
    name = (held or made.split("train").labelled.images)[0].name
    return (
        demo_data.find(settings.images, name),
        demo_data.find(settings.masks, name + settings.mask_suffix),
    )


def _program(name: str, *arguments: str) -> list[str]:
    return ["python", "-m", f"trainer.{name}", *arguments]


def _out(settings: "IngestSettings", folder: pathlib.Path) -> list[str]:
    return [f"--mpp={settings.mpp}", f"--output={folder}"]


def run(command: list[str]) -> None:
    """Prints a command line and runs it by this Python.

    Raises:
      SystemExit: it failed, with its exit code; it has said why.
    """
    print("\n$ " + shlex.join(command), flush=True)
    with subprocess.Popen([sys.executable, *command[1:]]) as child:
        try:
            code = child.wait()
        except SystemExit:
            # SIGTERM came here alone; Ctrl-C comes to both.
            child.terminate()
            raise
    if code:
        sys.exit(code if code > 0 else 1)


if __name__ == "__main__":
    program.run(main)
