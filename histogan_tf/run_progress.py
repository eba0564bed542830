"""How far the phases of a run are trained.

In: a run directory. Out: steps, and a note on each phase that has not come to
its end: the networks of such a phase can be used, but their rates have not
fallen, and the norms' statistics are not yet those of whole tiles.
"""

import os
from collections.abc import Iterable

import tensorflow as tf

from histogan_tf.config import Config
from histogan_tf.run_dir import RunDir, stage_names


def wanted(config: Config) -> dict[str, int]:
    """Steps of each phase, by its folder, in the order of training."""
    stages = [stage.steps for stage in config.stages]
    last = {"judge": config.judge.steps, "segmenter": config.segmenter.steps}
    return dict(zip(stage_names(config), stages, strict=True)) | last


def steps(run: RunDir) -> dict[str, tuple[int, int]]:
    """Steps that are done and wanted of each phase that has a checkpoint."""
    found = {}
    for phase, count in wanted(run.config()).items():
        folder = run.phase(phase) / "checkpoints"
        # The file's name ends in -STEP, as `trainer/loop.py` saves it.
        if path := tf.train.latest_checkpoint(os.fspath(folder)):
            found[phase] = int(path.rpartition("-")[2]), count
    return found


def unfinished(run: RunDir, phases: Iterable[str]) -> list[str]:
    """A line on each of the phases that is not trained to its end.

    Phases without a checkpoint are left out: what loads them says so.
    """
    known = steps(run)
    return [
        f"{run.phase(phase)}: step {known[phase][0]} of {known[phase][1]}; its"
        " training has not come to its end"
        for phase in phases
        if phase in known and known[phase][0] < known[phase][1]
    ]
