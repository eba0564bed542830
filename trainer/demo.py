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
from typing import TYPE_CHECKING

from absl import flags

from histogan_tf import presets
from histogan_tf.errors import InputError
from trainer import program

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
    for name, command, result in commands(settings, output):
        begun = time.monotonic()
        if result.exists():
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
        settings = demo_data.recognise(pathlib.Path(FLAGS.data), records)
    else:
        settings = demo_data.phantom(output / "phantom", records)
    count = min(FLAGS.max_labelled, settings.max_labelled or sys.maxsize)
    settings = dataclasses.replace(settings, max_labelled=count)
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


Step = tuple[str, list[str], pathlib.Path]


def commands(settings: "IngestSettings", output: pathlib.Path) -> list[Step]:
    """Name, command line and result of every step, in order.

    A step whose result is there is left out; training and evaluation know
    themselves what is left to do, and their result here is never there.
    """
    run_flag = f"--run_dir={output / 'run'}"
    data_flag = f"--data={output / 'records'}"
    never = output / "never"
    train = [run_flag, data_flag, f"--preset={FLAGS.preset}"]
    train += [f"--set={item}" for item in FLAGS.set]
    example = Example(settings, output)
    return [
        ("ingest", ingest_command(settings), output / "records"),
        ("train", _program("train", *train), never),
        (
            "evaluate",
            _program("evaluate", run_flag, data_flag, "--split=validation"),
            never,
        ),
        (
            "synthesize",
            _program("synthesize", run_flag, *example.synthesis()),
            output / "synthetic",
        ),
        (
            "segment",
            _program("segment", run_flag, *example.segmentation()),
            output / "segmented",
        ),
    ]


def _program(name: str, *arguments: str) -> list[str]:
    return ["python", "-m", f"trainer.{name}", *arguments]


@dataclasses.dataclass(frozen=True)
class Example:
    """The image, and its mask, that is shown to the trained run."""

    settings: "IngestSettings"
    output: pathlib.Path

    def synthesis(self) -> list[str]:
        """Flags of `trainer.synthesize`."""
        from trainer import demo_data

        masks = demo_data.first(self.settings.masks)
        return [
            f"--masks={masks}",
            f"--mpp={self.settings.mpp}",
            f"--samples={SAMPLES}",
            "--stages",
            f"--output={self.output / 'synthetic'}",
        ]

    def segmentation(self) -> list[str]:
        """Flags of `trainer.segment`."""
        from trainer import demo_data

        return [
            f"--images={demo_data.first(self.settings.images)}",
            f"--mpp={self.settings.mpp}",
            "--geojson",
            f"--output={self.output / 'segmented'}",
        ]


def run(command: list[str]) -> None:
    """Prints a command line and runs it by this Python.

    Raises:
      SystemExit: it failed, with its exit code; it has said why.
    """
    print("\n$ " + shlex.join(command), flush=True)
    code = subprocess.run(
        [sys.executable, *command[1:]], check=False
    ).returncode
    if code:
        sys.exit(code if code > 0 else 1)


if __name__ == "__main__":
    program.run(main)
