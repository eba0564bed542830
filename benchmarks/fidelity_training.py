"""Records and trained runs that the fidelity benchmark compares.

In: the flags (`Settings`) and the GlaS data set. Out, in `--output`:
records/, pyramid/ and one_stage/ (run directories), <run>.seconds.json
(seconds by phase) and one_stage.steps.json (how the baseline's number of
steps was chosen). What is there already is kept or gone on with.
"""

import dataclasses
import pathlib

from benchmarks import fidelity_methods, machine, timed_training
from histogan_tf import config_json, presets, run_dir
from histogan_tf.config import Config
from histogan_tf.data import ingest, manifest
from histogan_tf.data.ingest_settings import IngestSettings
from histogan_tf.data.manifest import Manifest
from histogan_tf.errors import InputError
from histogan_tf.run_dir import RunDir
from trainer import phases, strategies
from trainer.phases import Source

MPP = 0.62  # of GlaS, um/px
STAGE = "stages/"


@dataclasses.dataclass(frozen=True)
class Settings:
    """The flags of `fidelity.py`."""

    data: pathlib.Path
    output: pathlib.Path
    results: pathlib.Path
    preset: str = "demo"
    scale_steps: float = 1.0
    minutes: float | None = None
    changes: tuple[str, ...] = ()
    precision: str = "auto"
    seed: int = 0


def wanted_config(settings: Settings) -> Config:
    """The preset with the flags' changes, before steps are scaled."""
    precision = settings.precision
    if precision == "auto":
        precision = "bfloat16" if strategies.has_bfloat16() else "float32"
    changes = [f"precision={precision}", f"seed={settings.seed}"]
    changes += settings.changes
    return config_json.override(presets.PRESETS[settings.preset](), changes)


def records(settings: Settings) -> Manifest:
    """GlaS as records: all labelled, patients held out, test A apart."""
    data, folder = settings.data.resolve(), settings.output / "records"
    command = f"benchmarks.fidelity --data {data} --seed {settings.seed}"
    if (folder / manifest.FILE).exists():
        found = manifest.load(folder)
        if found.command != command:
            raise InputError(
                f"{folder}: made by {found.command!r}, not {command!r};"
                " choose a new --output"
            )
        return found
    tables = pathlib.Path(manifest.__file__).parent / "class_tables"
    return ingest.ingest(
        IngestSettings(
            images=f"{data}/images/train_*",
            masks=f"{data}/labels/train_*",
            test_images=f"{data}/images/testA_*",
            test_masks=f"{data}/labels/testA_*",
            mask_suffix="_anno",
            classes=str(tables / "glas.json"),
            groups=f"{data}/Grade.csv",
            group_column="patient ID",
            mpp=MPP,
            output=str(folder),
            seed=settings.seed,
            command=command,
        )
    )


def train_pyramid(
    settings: Settings, config: Config, data: Manifest
) -> Source:
    """Trains the stages; returns where they come from (a `Source`)."""
    config = phases.effective(config, manifest)
    scale = _scale(settings, config, manifest)
    stages = tuple(
        dataclasses.replace(s, steps=max(1, round(s.steps * scale)))
        for s in config.stages
    )
    config = dataclasses.replace(config, stages=stages)
    source = _source(settings.output / "pyramid", config, manifest)
    names = tuple(f"{STAGE}{k}" for k in range(len(stages)))
    _train(settings.output / "pyramid", source, names)
    return source


def _scale(settings: Settings, config, manifest) -> float:
    """The factor for the steps, measured once where --minutes asks."""
    if settings.minutes is None:
        return settings.scale_steps
    if settings.scale_steps != 1.0:
        raise InputError("--minutes and --scale_steps: state one of them")
    path = settings.output / "speed.json"
    known = machine.read_json(path)
    if known is None:
        source = Source(config, manifest, RunDir(settings.output))
        speeds = [
            timed_training.speed(phases.stage_phase(source, k))
            for k in range(len(config.stages))
        ]
        pairs = zip(config.stages, speeds, strict=True)
        work = sum(stage.steps * speed.step for stage, speed in pairs)
        start = sum(speed.start for speed in speeds)
        scale = max(0.0, 60 * settings.minutes - start) / work
        known = {"minutes": settings.minutes, "scale_steps": scale} | {
            f"{STAGE}{k}": dataclasses.asdict(s) for k, s in enumerate(speeds)
        }
        machine.write_json(path, known)
    if known["minutes"] != settings.minutes:
        raise InputError(
            f"{path}: measured for --minutes {known['minutes']:g}, not"
            f" {settings.minutes:g}; choose a new --output"
        )
    return known["scale_steps"]


def train_one_stage(settings: Settings, pyramid):
    """Trains the baseline for the pyramid's seconds; its `Source`."""
    folder = settings.output / "one_stage"
    path = settings.output / "one_stage.steps.json"
    known = machine.read_json(path)
    if known is None:
        times = timed_training.seconds(_times(settings.output / "pyramid"))
        wanted = sum(s for n, s in times.items() if n.startswith(STAGE))
        trial = Source(
            fidelity_methods.one_stage(pyramid.config, 1),
            pyramid.manifest,
            RunDir(folder),
        )
        speed = timed_training.speed(phases.stage_phase(trial, 0))
        known = {
            "pyramid_seconds": wanted,
            "speed": dataclasses.asdict(speed),
            "steps": speed.steps_in(wanted),
        }
        machine.write_json(path, known)
    config = fidelity_methods.one_stage(pyramid.config, known["steps"])
    source = _source(folder, config, pyramid.manifest)
    _train(folder, source, (f"{STAGE}0",))
    return source


def _source(folder: pathlib.Path, config, manifest):
    """A run directory, new or to resume, and what its phases need."""
    phases.check_data(config, manifest)
    data = {"folder": str(manifest.folder), "hash": manifest.hash}
    run = run_dir.create_run(folder, config, manifest.classes, data)
    return Source(config, manifest, run)


def _train(folder: pathlib.Path, source, names: tuple[str, ...]) -> None:

    for phase in phases.phases(source):
        if phase.name in names:
            timed_training.train(
                phase, _times(folder), source.config.seed, show
            )


def _times(folder: pathlib.Path) -> pathlib.Path:
    """Seconds by phase, next to the run."""
    return folder.with_name(f"{folder.name}.seconds.json")


