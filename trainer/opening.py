"""Opens the run directory of a training, or makes it.

In: settings, records, the team of workers. Out: a run directory of just these
settings and records, with this command noted in it. Any number of processes
may open the same one at once.
"""

import pathlib
from typing import Any

from histogan_tf import files, locks, program, run_dir
from histogan_tf.config import Config
from histogan_tf.data.manifest import Manifest
from histogan_tf.errors import InputError
from histogan_tf.run_dir import RunDir
from trainer import training_data
from trainer.team import Team


def open_run(
    folder: str, config: Config, manifest: Manifest, team: Team
) -> RunDir:
    """The run of these settings; worker 0 makes it, the others find it.

    Raises:
      InputError: the folder's run has other settings, classes or data, or a
        worker does not see what worker 0 made.
    """
    run = RunDir(pathlib.Path(folder))
    team.led(lambda: _make(run, config, manifest))
    team.together(lambda: _check(run, config, manifest))
    return run


def _make(run: RunDir, config: Config, manifest: Manifest) -> None:
    with locks.held(run.root / ".lock", "run is being made", wait=True):
        # Styles take seconds to measure, and a run that exists has them.
        exists = run.config_path.exists()
        data = {"hash": manifest.hash} if exists else _data(config, manifest)
        run_dir.create_run(run.root, config, manifest.classes, data)
        _note_command(run)


def _check(run: RunDir, config: Config, manifest: Manifest) -> None:
    if not run.config_path.exists():
        raise InputError(
            f"{run.config_path}: worker 0 made it, and it is not here;"
            " --run_dir must be on a file system that all workers share"
        )
    data = {"hash": manifest.hash}
    run_dir.create_run(run.root, config, manifest.classes, data)


def _data(config: Config, manifest: Manifest) -> dict[str, Any]:
    """What data.json says: hash, names, and the training tiles' styles."""
    return {
        "folder": str(manifest.folder),
        "hash": manifest.hash,
        "images": {
            f"{split}/{kind}": [
                i.name for i in getattr(manifest.split(split), kind).images
            ]
            for split in manifest.splits
            for kind in ("labelled", "unlabelled")
        },
        "groups": {s: manifest.groups(s) for s in manifest.splits},
        "styles": training_data.styles(config, manifest),
    }


def _note_command(run: RunDir) -> None:
    line = program.command_line("trainer.train")
    old = ""
    if run.command_path.exists():
        old = run.command_path.read_text(encoding="utf-8")
    files.atomic_write(run.command_path, f"{old}{line}\n".encode())
