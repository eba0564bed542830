"""The run directory: the only thing that passes between programs.

In: a folder. Out: its paths, its config and classes, its networks.

    config.json  classes.json  data.json  command.txt
    stages/<k>/{checkpoints,events}  segmenter/...  judge/...
    metrics.json  samples/  report.html

Every file appears whole under its name or not at all. Checkpoints are
TensorFlow's own; TensorBoard points at the folder as it is.
"""

import hashlib
import json
import os
import pathlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from histogan_tf import checkpoints, config_json
from histogan_tf.config import Config
from histogan_tf.data import classes
from histogan_tf.data.classes import ClassTable
from histogan_tf.errors import InputError
from histogan_tf.files import atomic_write
from histogan_tf.models.segmenter import Segmenter
from histogan_tf.pyramid import Pyramid, blank_networks


@dataclass(frozen=True)
class RunDir:
    """Paths of a run; makes nothing until something is written."""

    root: pathlib.Path

    @property
    def config_path(self) -> pathlib.Path:
        """The settings."""
        return self.root / "config.json"

    @property
    def classes_path(self) -> pathlib.Path:
        """Names, ids and colours of the classes."""
        return self.root / "classes.json"

    @property
    def data_path(self) -> pathlib.Path:
        """Hash and names of the records that the run was trained on."""
        return self.root / "data.json"

    @property
    def command_path(self) -> pathlib.Path:
        """The exact command lines, one a line, oldest first."""
        return self.root / "command.txt"

    @property
    def metrics_path(self) -> pathlib.Path:
        """What `trainer.evaluate` measured."""
        return self.root / "metrics.json"

    @property
    def report_path(self) -> pathlib.Path:
        """The self-contained page."""
        return self.root / "report.html"

    @property
    def samples(self) -> pathlib.Path:
        """`<phase>.png`: the newest look at a phase while it trains."""
        return self.root / "samples"

    def phase(self, name: str) -> pathlib.Path:
        """Folder of a phase: `stages/0`, `segmenter`, `judge`."""
        return self.root / name

    def read_json(self, path: pathlib.Path) -> Any:
        """The JSON value of one of the run's files.

        Raises:
          InputError: the file is missing or damaged.
        """
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(
                f"{path}: {error.strerror}; is {self.root} a run directory?"
            ) from error
        except ValueError as error:
            raise InputError(f"{path}: damaged: {error}") from error

    def write_json(self, path: pathlib.Path, value: Any) -> None:
        """Writes one of the run's files, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, (json.dumps(value, indent=1) + "\n").encode())

    def config(self) -> Config:
        """The run's settings."""
        values = self.read_json(self.config_path)
        return config_json.from_dict(values, str(self.config_path))

    def classes(self) -> ClassTable:
        """The run's classes."""
        return classes.load(self.classes_path)


def stage_name(index: int) -> str:
    """The phase folder of a stage."""
    return f"stages/{index}"


def stage_names(config: Config) -> list[str]:
    """The phase folders of all stages, coarsest first."""
    return [stage_name(k) for k in range(len(config.stages))]


def open_run(folder: str | os.PathLike) -> RunDir:
    """A run directory that exists.

    Raises:
      InputError: there is no config.json in it.
    """
    run = RunDir(pathlib.Path(folder))
    run.config()
    return run


def create_run(
    folder: str | os.PathLike, config: Config, table: ClassTable, data: Any
) -> RunDir:
    """Makes a run directory, or opens one of the same settings and data.

    Args:
      folder: new, or of an earlier run to resume.
      config: the settings.
      table: the classes.
      data: JSON value that says which records are used; must hold "hash".

    Raises:
      InputError: the folder's run has other settings, classes or data; the
        message names the first field that differs.
    """
    run = RunDir(pathlib.Path(folder))
    if run.config_path.exists():
        _check_same(run, config, table, data)
        return run
    run.root.mkdir(parents=True, exist_ok=True)
    run.write_json(run.classes_path, table.to_json())
    run.write_json(run.data_path, data)
    # Last, because its presence is what makes the folder a run.
    run.write_json(run.config_path, config_json.to_dict(config))
    return run


def _check_same(
    run: RunDir, config: Config, table: ClassTable, data: Any
) -> None:
    difference = config_json.first_difference(run.config(), config)
    if difference:
        raise InputError(
            f"{run.config_path}: the run has another config: {difference};"
            " choose a new --run_dir or the same settings"
        )
    if run.classes() != table:
        names = (", ".join(t.names) for t in (run.classes(), table))
        raise InputError(
            f"{run.classes_path}: the run has other classes: {next(names)}"
            f" there, {next(names)} in --data (values and colours count too)"
        )
    found = run.read_json(run.data_path)
    old = found.get("hash") if isinstance(found, dict) else None
    if not isinstance(old, str):
        raise InputError(f"{run.data_path}: damaged: no hash in it")
    if old != data["hash"]:
        raise InputError(
            f"{run.data_path}: the run was trained on other records: hash"
            f" {old[:12]} there, {data['hash'][:12]} in --data"
        )


def latest_checkpoint(run: RunDir, phase: str) -> str:
    """Path prefix of a phase's newest checkpoint.

    Raises:
      InputError: the phase has none yet.
    """
    folder = run.phase(phase) / "checkpoints"
    path = tf.train.latest_checkpoint(str(folder))
    if path is None:
        raise InputError(f"{folder}: no checkpoint; train this phase first")
    return path


def weights_hash(run: RunDir, phases: Iterable[str]) -> str:
    """SHA-256 over the phases' newest checkpoints.

    Raises:
      InputError: a phase has none yet.
    """
    found = hashlib.sha256()
    for phase in phases:
        prefix = pathlib.Path(latest_checkpoint(run, phase))
        for path in sorted(prefix.parent.glob(f"{prefix.name}.*")):
            found.update(path.read_bytes())
    return found.hexdigest()


def load_pyramid(run: RunDir) -> Pyramid:
    """The averaged networks of every stage.

    Raises:
      InputError: a stage has no checkpoint, or one of other networks.
    """
    config, count = run.config(), run.classes().count
    # First, as networks take seconds to make.
    paths = [latest_checkpoint(run, name) for name in stage_names(config)]
    networks = tuple(
        blank_networks(config, k, count) for k in range(len(paths))
    )
    pyramid = Pyramid(config, count, networks)
    pyramid.make_variables()
    for path, stage in zip(paths, networks, strict=True):
        _restore(
            path,
            average_generator=stage.generator,
            average_segmenter=stage.segmenter,
        )
    return pyramid


def load_segmenter(run: RunDir, phase: str = "segmenter") -> Segmenter:
    """The averaged network of the phase `segmenter` or `judge`.

    Raises:
      InputError: the phase has no checkpoint, or one of another network.
    """
    config, path = run.config(), latest_checkpoint(run, phase)
    settings = {"segmenter": config.segmenter, "judge": config.judge}[phase]
    network = Segmenter(settings.network, run.classes().count, settings.patch)
    network.make_variables()
    _restore(path, average_segmenter=network)
    return network


def _restore(path: str, **networks: tf.keras.Model) -> None:
    """Reads the weights of networks whose variables are made."""
    holder = tf.train.Checkpoint(**networks)
    checkpoints.restore(tf.train.Checkpoint(model=holder), path)
