"""Records and trained runs that the fidelity benchmark compares.

In: the flags (`Settings`) and the GlaS data set. Out, in `--output`:
records/, pyramid/ and one_stage/ (run directories), <run>.seconds.json
(seconds by phase) and one_stage.steps.json (how the baseline's number of
steps was chosen). What is there already is kept or gone on with.
"""

import dataclasses
import pathlib

from benchmarks import fidelity_methods, machine, runs, timed_training
from histogan_tf import config_json, presets
from histogan_tf.config import Config
from histogan_tf.data import ingest
from histogan_tf.data import manifest as manifests
from histogan_tf.data.ingest_settings import IngestSettings
from histogan_tf.data.manifest import Manifest
from histogan_tf.errors import InputError
from trainer import phases, strategies, training_data
from trainer.training_data import TrainingData

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
    if (folder / manifests.FILE).exists():
        found = manifests.load(folder)
        if found.command != command:
            raise InputError(
                f"{folder}: made by {found.command!r}, not {command!r};"
                " choose a new --output"
            )
        return found
    tables = pathlib.Path(ingest.__file__).parent / "class_tables"
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
) -> TrainingData:
    """Trains the stages; returns what they were made from."""
    config = training_data.effective(config, data)
    scale = _scale(settings, config, data)
    stages = tuple(
        dataclasses.replace(s, steps=max(1, round(s.steps * scale)))
        for s in config.stages
    )
    config = dataclasses.replace(config, stages=stages)
    source = runs.opened(settings.output / "pyramid", config, data)
    _train(source, tuple(f"{STAGE}{k}" for k in range(len(stages))))
    return source


def train_one_stage(settings: Settings, pyramid: TrainingData) -> TrainingData:
    """Trains the baseline for as many seconds as the pyramid's stages.

    The number of steps is chosen once, by a measurement, and written down.
    """
    path = steps_file(settings)
    known = machine.read_json(path)
    if known is None:
        times = timed_training.seconds(times_file(pyramid))
        wanted = sum(s for n, s in times.items() if n.startswith(STAGE))
        config = fidelity_methods.one_stage(pyramid.config, 1)
        trial = dataclasses.replace(pyramid, config=config)
        speed = timed_training.speed(phases.stage_phase(trial, 0))
        known = {
            "pyramid_seconds": wanted,
            "speed": dataclasses.asdict(speed),
            "steps": speed.steps_in(wanted),
            "generator_weights": generator_weights(trial),
            "pyramid_generator_weights": generator_weights(pyramid),
        }
        machine.write_json(path, known)
    config = fidelity_methods.one_stage(pyramid.config, known["steps"])
    source = runs.opened(
        settings.output / "one_stage", config, pyramid.manifest
    )
    _train(source, (f"{STAGE}0",))
    return source


def train_judge(pyramid: TrainingData) -> None:
    """Trains the segmenter that sees real labelled images only."""
    _train(pyramid, ("judge",))


def steps_file(settings: Settings) -> pathlib.Path:
    """How the number of steps of the baseline was chosen."""
    return settings.output / "one_stage.steps.json"


def times_file(source: TrainingData) -> pathlib.Path:
    """Seconds by phase, next to the run."""
    folder = source.run.root
    return folder.with_name(f"{folder.name}.seconds.json")


def generator_weights(source: TrainingData) -> list[int]:
    """Number of weights of each stage's generator."""
    return [
        int(phases.stage_phase(source, k).build().generator.count_params())
        for k in range(len(source.config.stages))
    ]


def _scale(settings: Settings, config: Config, data: Manifest) -> float:
    """The factor for the steps; measured once where --minutes asks."""
    if settings.minutes is None:
        return settings.scale_steps
    if settings.scale_steps != 1.0:
        raise InputError("--minutes and --scale_steps: state one of them")
    path = settings.output / "speed.json"
    known = machine.read_json(path)
    if known is None:
        known = _measured_scale(settings, config, data)
        machine.write_json(path, known)
    if known["minutes"] != settings.minutes:
        raise InputError(
            f"{path}: measured for --minutes {known['minutes']:g}, not"
            f" {settings.minutes:g}; choose a new --output"
        )
    return known["scale_steps"]


def _measured_scale(settings, config, data):
    source = runs.opened(settings.output / "speed", config, data)
    speeds = [
        timed_training.speed(phases.stage_phase(source, k))
        for k in range(len(config.stages))
    ]
    pairs = zip(config.stages, speeds, strict=True)
    work = sum(stage.steps * speed.step for stage, speed in pairs)
    start = sum(speed.start for speed in speeds)
    scale = max(0.0, 60 * settings.minutes - start) / work
    return {"minutes": settings.minutes, "scale_steps": scale} | {
        f"{STAGE}{k}": dataclasses.asdict(s) for k, s in enumerate(speeds)
    }


def _train(source: TrainingData, names: tuple[str, ...]) -> None:
    for phase in phases.phases(source):
        if phase.name in names:
            timed_training.train(phase, times_file(source), source.config.seed)
