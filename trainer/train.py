"""Trains the pyramid, the final segmenter and the judge.

    python -m trainer.train --data D --run_dir R --preset demo
        [--config F] [--set a.b=c ...] [--stages 0,2]
        [--strategy one|mirrored|multi_worker]
        [--precision auto|float32|bfloat16] [--jit_compile]

Run it again with the same flags to resume: it goes on at the first
unfinished phase, from that phase's newest checkpoint.

Several machines share the run directory, in one of two ways: all train every
phase together (multi_worker, the same command on each, TF_CONFIG says which is
which), or each trains stages of its own (--stages), and one, later, the rest.
"""

import contextlib
import gc
import json
import os
import pathlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from absl import flags

from histogan_tf import presets, program, running
from histogan_tf.errors import InputError

if TYPE_CHECKING:
    from histogan_tf.config import Config
    from histogan_tf.data.manifest import Manifest
    from trainer.bars import Bars
    from trainer.loop import Phase, Watcher
    from trainer.team import Team
    from trainer.training_data import TrainingData

FLAGS = flags.FLAGS
flags.DEFINE_string("data", None, "Folder of records that ingest wrote.")
flags.DEFINE_string("run_dir", None, "Folder of the run, new or to resume.")
flags.DEFINE_enum(
    "preset", "demo", sorted(presets.PRESETS), "Settings to start from."
)
flags.DEFINE_string(
    "config", None, "JSON file of settings; what it leaves out is the preset's."
)
flags.DEFINE_multi_string(
    "set", [], "One setting, as in --set stages.0.steps=100; may be repeated."
)
flags.DEFINE_enum(
    "strategy",
    "one",
    ["one", "mirrored", "multi_worker"],
    "Devices: one, all GPUs of this machine, or those of all in TF_CONFIG.",
)
flags.DEFINE_list(
    "stages", [], "Numbers of the stages to train, and no other phase; or all."
)
flags.DEFINE_enum(
    "precision",
    "auto",
    ["auto", "float32", "bfloat16"],
    "Arithmetic; auto takes that of --config, else an existing run's, else"
    " bfloat16 where all GPUs (without any, the CPU) have it.",
)
flags.DEFINE_bool(
    "jit_compile",
    False,
    "Compile each phase's step by XLA, which takes minutes; for one GPU.",
)
flags.DEFINE_integer("seed", None, "Of all draws; over the preset's.")
flags.DEFINE_integer("log_every", 50, "Steps between curve points.", 1)
flags.DEFINE_integer("save_every", 250, "Steps between checkpoints.", 1)
flags.DEFINE_integer("look_every", 250, "Steps between pictures.", 1)
flags.DEFINE_integer(
    "restarts", 10, "How often to wait for a lost worker and go on.", 0
)
flags.DEFINE_bool(
    "verify_data",
    False,
    "Read all records first and compare them with the manifest's SHA-256.",
)
flags.mark_flags_as_required(["data", "run_dir"])


def settings() -> "Config":
    """The run's settings from preset, file and flags, in this order.

    Raises:
      InputError: an unknown key, a value out of range, a damaged file.
    """
    from histogan_tf import config_json

    values = _read(FLAGS.config) if FLAGS.config else {}
    config = config_json.from_dict(
        values, f"--config {FLAGS.config}", presets.PRESETS[FLAGS.preset]()
    )
    changes = list(FLAGS.set)
    if FLAGS.precision != "auto" or "precision" not in values:
        changes.insert(0, f"precision={_precision()}")
    if FLAGS.seed is not None:
        changes.append(f"seed={FLAGS.seed}")
    return config_json.override(config, changes)


def _precision() -> str:
    """That of the flag; of `auto` an existing run's, else the hardware's."""
    from histogan_tf.run_dir import RunDir
    from trainer import strategies

    if FLAGS.precision != "auto":
        return FLAGS.precision
    run = RunDir(pathlib.Path(FLAGS.run_dir))
    if run.config_path.exists():
        return run.config().precision
    return "bfloat16" if strategies.has_bfloat16() else "float32"


def _read(path: str) -> dict:
    try:
        values = json.loads(pathlib.Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"--config {path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"--config {path}: not JSON: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"--config {path}: {values!r} is not an object")
    return values


def main() -> None:
    """Trains; a worker that lost another starts again."""
    from trainer import rejoin

    if FLAGS.strategy == "multi_worker":
        rejoin.train(train, FLAGS.restarts)
    else:
        train()


def train() -> None:
    """Trains on the records of --data."""
    from histogan_tf.data import manifest as manifests

    if FLAGS.jit_compile and FLAGS.strategy != "one":
        raise InputError(
            f"--jit_compile with --strategy={FLAGS.strategy}: not allowed; use"
            " it with --strategy=one"
        )
    manifest = manifests.load(FLAGS.data)
    if FLAGS.verify_data:
        manifests.verify(manifest)
    with manifests.naming_damage(manifest):
        _train_on(manifest)


def _train_on(manifest: "Manifest") -> None:
    """Opens or makes the run directory and trains its phases in order."""
    from trainer import bars, opening, phases, strategies, training_data
    from trainer.team import Team

    config = training_data.effective(settings(), manifest)
    training_data.check_data(config, manifest)
    chosen = phases.numbers(FLAGS.stages, len(config.stages))
    strategies.prepare(config.precision, config.seed)
    _announce()
    strategy = strategies.STRATEGIES[FLAGS.strategy]()
    training_data.check_replicas(config, strategy.num_replicas_in_sync)
    team = Team(strategy)
    run = opening.open_run(FLAGS.run_dir, config, manifest, team)
    _tell(f"trains on {strategies.devices()}, {config.precision}")
    source = training_data.TrainingData(config, manifest, run)
    todo = phases.phases(source, _tell if team.lead else running.silent)
    if chosen:
        todo = [todo[k] for k in chosen]
    with bars.Bars(todo) as shown:
        for phase in todo:
            _train_phase(phase, team, lambda p: _watch(p, source, shown, team))
            # A traced step and its tiles hold each other: the next phase's
            # tiles would come beside them.
            gc.collect()
    if team.lead:
        _tell(f"{run.root}: trained: {', '.join(phase.name for phase in todo)}")


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")  # a running bar lets it pass above


def _announce() -> None:
    """Why nothing happens until the last worker is there."""
    from trainer import cluster

    if FLAGS.strategy != "multi_worker":
        return
    found = cluster.from_environment(os.environ)
    if found.index == 0:
        names = ", ".join(found.workers)
        sys.stderr.write(f"worker 0, waiting for all of {names}\n")


def _train_phase(
    phase: "Phase", team: "Team", watch: Callable[["Phase"], "Watcher"]
) -> None:
    """Trains a phase unless it is complete; worker 0 holds its lock."""
    from histogan_tf import locks
    from trainer import loop

    done = loop.is_complete(phase)
    if team.same(done, f"{phase.folder}: whether it is complete"):
        return
    every = loop.LoopSettings(
        FLAGS.log_every, FLAGS.save_every, jit_compile=FLAGS.jit_compile
    )
    what = f"phase {phase.name} is being trained"
    with contextlib.ExitStack() as stack:
        team.led(
            lambda: stack.enter_context(
                locks.held(phase.folder / ".lock", what)
            )
        )
        loop.run(phase, team.strategy, every, watch(phase))


def _watch(
    phase: "Phase", source: "TrainingData", shown: "Bars", team: "Team"
) -> "Watcher":
    from histogan_tf import config_json
    from trainer import watching

    if not team.lead:
        return watching.Silent()
    table = source.manifest.classes
    return watching.Watch(
        phase,
        watching.Look(
            source.sample("validation", "labelled", phase.mpp, watching.SCORED),
            table.names,
            table.palette(),
            FLAGS.look_every,
            watching.hyper_parameters(config_json.to_dict(source.config)),
            source.run.samples,
        ),
        shown,
    )


if __name__ == "__main__":
    program.run(main)
