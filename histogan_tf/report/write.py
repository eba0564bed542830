"""From a run directory to its `report.html`.

In: a `RunDir` (settings, classes, data, commands, event files), the pictures
and the metrics that the caller has. Out: the page, whole under its name.
"""

import pathlib
from typing import Any

from histogan_tf.config import Config
from histogan_tf.files import atomic_write
from histogan_tf.report import events
from histogan_tf.report.facts import PhaseCurves, ReportFacts, StageGrid
from histogan_tf.report.page import build
from histogan_tf.run_dir import RunDir, stage_name


def write(
    run: RunDir, grids: list[StageGrid], metrics: dict[str, Any] | None
) -> pathlib.Path:
    """Writes the report and returns its path.

    Args:
      run: its files; event files and commands may be missing.
      grids: pictures, coarsest stage first; may be empty.
      metrics: as in metrics.json (layout: `facts.py`), None if not measured.

    Raises:
      InputError: a file of the run is missing or damaged.
    """
    page = build(gather(run, grids, metrics))
    atomic_write(run.report_path, page.encode("utf-8"))
    return run.report_path


def gather(
    run: RunDir, grids: list[StageGrid], metrics: dict[str, Any] | None
) -> ReportFacts:
    """Reads what the page tells."""
    config = run.config()
    commands = ""
    if run.command_path.exists():
        commands = run.command_path.read_text(encoding="utf-8")
    return ReportFacts(
        name=run.root.resolve().name,
        commands=tuple(line for line in commands.splitlines() if line),
        config=config,
        classes=run.classes(),
        data=run.read_json(run.data_path),
        phases=tuple(
            PhaseCurves(title, mpp, events.read(run.phase(name) / "events"))
            for name, title, mpp in _phases(config)
        ),
        grids=tuple(grids),
        metrics=metrics,
    )


def _phases(config: Config) -> list[tuple[str, str, float]]:
    """Folder, title and um/px of each phase, in the order of training."""
    stages = [
        (stage_name(k), f"Stage {k}", config.stage_mpp(k))
        for k in range(len(config.stages))
    ]
    finest = config.finest_mpp
    return [
        *stages,
        ("judge", "Judge", finest),
        ("segmenter", "Segmenter", finest),
    ]
