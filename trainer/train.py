"""Trains the pyramid, the final segmenter and the judge.

    python -m trainer.train --data D --run_dir R --preset demo
        [--config F] [--set a.b=c ...] [--strategy one|mirrored]
        [--precision auto|float32|bfloat16]

Run it again with the same flags to resume: it goes on at the first
unfinished phase, from that phase's newest checkpoint.
"""

import json
import pathlib
import shlex
import sys
from typing import TYPE_CHECKING, Any

from absl import flags

from histogan_tf import presets, program
from histogan_tf.errors import InputError

if TYPE_CHECKING:
    from histogan_tf.config import Config
    from histogan_tf.data.manifest import Manifest
    from histogan_tf.run_dir import RunDir

FLAGS = flags.FLAGS
flags.DEFINE_string("data", None, "Folder of records that ingest wrote.")
flags.DEFINE_string("run_dir", None, "Folder of the run, new or to resume.")
flags.DEFINE_enum(
    "preset", "demo", sorted(presets.PRESETS), "Settings to start from."
)
flags.DEFINE_string("config", None, "JSON file of settings, over the preset.")
flags.DEFINE_multi_string(
    "set", [], "One setting, as in --set stages.0.steps=100; may be repeated."
)
flags.DEFINE_enum(
    "strategy",
    "one",
    ["one", "mirrored"],
    "Devices: one, or all GPUs of this machine.",
)
flags.DEFINE_enum(
    "precision",
    "auto",
    ["auto", "float32", "bfloat16"],
    "Arithmetic; auto takes bfloat16 where the hardware has it.",
)
flags.DEFINE_integer("seed", None, "Of all draws; over the preset's.")
flags.DEFINE_integer("log_every", 50, "Steps between curve points.", 1)
flags.DEFINE_integer("save_every", 250, "Steps between checkpoints.", 1)
flags.DEFINE_integer("look_every", 250, "Steps between pictures.", 1)
flags.mark_flags_as_required(["data", "run_dir"])


def settings() -> "Config":
    """The run's settings from preset, file and flags, in this order.

    Raises:
      InputError: an unknown key, a value out of range, a damaged file.
    """
    from histogan_tf import config_json
    from trainer import strategies

    config = presets.PRESETS[FLAGS.preset]()
    if FLAGS.config:
        values = _merged(config_json.to_dict(config), _read(FLAGS.config))
        config = config_json.from_dict(values, FLAGS.config)
    precision = FLAGS.precision
    if precision == "auto":
        precision = "bfloat16" if strategies.has_bfloat16() else "float32"
    changes = [f"precision={precision}", *FLAGS.set]
    if FLAGS.seed is not None:
        changes.append(f"seed={FLAGS.seed}")
    return config_json.override(config, changes)


def _read(path: str) -> dict:
    try:
        values = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"--config {path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"--config {path}: not JSON: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"--config {path}: {values!r} is not an object")
    return values


def _merged(old: Any, new: Any) -> Any:
    """`new` over `old`, key by key; lists (the stages) are replaced."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    both = {key: _merged(old.get(key), value) for key, value in new.items()}
    return old | both


def main() -> None:
    """Opens or makes the run directory and trains its phases in order."""
    from histogan_tf import run_dir
    from histogan_tf.data import manifest as manifests
    from trainer import bars, loop, phases, sources, strategies

    manifest = manifests.load(FLAGS.data)
    config = sources.effective(settings(), manifest)
    sources.check_data(config, manifest)
    strategies.prepare(config.precision, config.seed)
    strategy = strategies.STRATEGIES[FLAGS.strategy]()
    sources.check_replicas(config, strategy.num_replicas_in_sync)
    # Styles take seconds to measure, and a run that exists has them.
    exists = run_dir.RunDir(pathlib.Path(FLAGS.run_dir)).config_path.exists()
    data = {"hash": manifest.hash} if exists else _data(config, manifest)
    run = run_dir.create_run(FLAGS.run_dir, config, manifest.classes, data)
    _note_command(run)
    source = sources.Source(config, manifest, run)
    every = loop.LoopSettings(FLAGS.log_every, FLAGS.save_every)
    todo = phases.phases(source)
    with bars.Bars(todo) as shown:
        for phase in todo:
            if not loop.is_complete(phase):
                loop.run(phase, strategy, every, _watch(phase, source, shown))


def _watch(phase, source, shown):
    from histogan_tf import config_json
    from trainer import watching

    index = phase.name.removeprefix("stages/")
    mpp = source.config.finest_mpp
    if index.isdigit():
        mpp = source.config.stage_mpp(int(index))
    table = source.manifest.classes
    return watching.Watch(
        phase,
        watching.Look(
            source.tiles("validation", "labelled", mpp),
            table.names,
            table.palette(),
            FLAGS.look_every,
            watching.hyper_parameters(config_json.to_dict(source.config)),
        ),
        shown,
    )


def _data(config: "Config", manifest: "Manifest") -> dict:
    """What data.json says: hash, names, and the training tiles' styles."""
    from trainer import sources

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
        "styles": sources.styles(config, manifest),
    }


def _note_command(run: "RunDir") -> None:
    from histogan_tf import files

    line = shlex.join(["python", "-m", "trainer.train", *sys.argv[1:]])
    old = ""
    if run.command_path.exists():
        old = run.command_path.read_text(encoding="utf-8")
    files.atomic_write(run.command_path, f"{old}{line}\n".encode())


if __name__ == "__main__":
    program.run(main)
