"""What is known of an exported model: `assets.extra/model_card.{json,md}`.

In: a run's files, its networks, the signatures' types. Out: the card as a
value for JSON, which clients get from the signature `about`; and both files.
People read the Markdown (`model_card_page.py`).

    name, version, created (UTC), project {name, version, source_sha256}
    classes [{id, name, color}]
    mpp {finest: of all inputs and outputs, coarsest: where style is measured}
    stages [{stage, mpp}], precision (of training)
    styles [{name, style}]: of some training images, to paint in
    training_data {hash, images {kind: count}}, commands [text]
    metrics: all of metrics.json, or null
    licence {weights, data}
    signatures {name: {inputs, outputs: {name: {dtype, shape}}}}
    windows {segment, generate: {halo, multiple}}, in pixels
    limits {max_pixels}, warm_up [[height, width]]

Anyone who may ask the server reads it: training images are counted, their names
(of patients, perhaps) left out, styles are numbered, and paths in command lines
cut down to their last part.
"""

import datetime
import hashlib
import json
import pathlib
import tomllib
from dataclasses import asdict, dataclass
from typing import Any

from histogan_tf import run_progress
from histogan_tf.files import atomic_write
from histogan_tf.run_dir import RunDir
from serving import export_layout, model_card_page
from serving.card_commands import without_folders
from serving.graphs import GraphFunction
from serving.signatures import Networks

ROOT = pathlib.Path(__file__).resolve().parent.parent
WEIGHTS_LICENCE = (
    "The weights are derived from the training data and inherit the terms of"
    " its licence; data for research only makes a model for research only."
)
_STYLES = 64


@dataclass(frozen=True)
class Export:
    """What only the export itself knows.

    `metrics` is the value of metrics.json or None; `data_licence` what the
    user states of the training data's licence, or "".
    """

    name: str
    version: int
    max_pixels: int
    warm_up: tuple[tuple[int, int], ...]
    metrics: Any = None
    data_licence: str = ""


def card_of(
    run: RunDir,
    networks: Networks,
    graphs: dict[str, GraphFunction],
    export: Export,
) -> dict[str, Any]:
    """The card of a run's export.

    Args:
      run: the trained run.
      networks: its networks.
      graphs: of every signature, by name.
      export: name, version, limit, warm-up sizes, metrics and licence.

    Raises:
      InputError: a file of the run is damaged.
    """
    config, table = run.config(), run.classes()
    now = datetime.datetime.now(datetime.UTC)
    return {
        "name": export.name,
        "version": export.version,
        "created": now.isoformat(timespec="seconds"),
        "project": project(ROOT),
        "classes": [
            {"id": c.id, "name": c.name, "color": list(c.color)}
            for c in table.classes
        ],
        "mpp": {
            "finest": config.finest_mpp,
            "coarsest": config.stage_mpp(0),
        },
        "stages": [
            {"stage": k, "mpp": config.stage_mpp(k)}
            for k in range(len(config.stages))
        ],
        "precision": config.precision,
        "styles": _styles(run),
        "training_data": _training_data(run),
        "steps": run_progress.steps(run),
        "commands": _commands(run),
        "metrics": _metrics(export.metrics),
        "licence": {
            "weights": WEIGHTS_LICENCE,
            "data": export.data_licence or "not stated",
        },
        "signatures": {
            name: _types(function) for name, function in graphs.items()
        },
        "windows": {
            "segment": asdict(networks.read_reach),
            "generate": asdict(networks.paint_reach),
        },
        "limits": {"max_pixels": export.max_pixels},
        "warm_up": [list(size) for size in export.warm_up],
    }


def project(root: pathlib.Path) -> dict[str, str]:
    """Name, version and hash of the library's sources; needs no git."""
    stated = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    digest = hashlib.sha256()
    for path in sorted((root / "histogan_tf").rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return {
        "name": stated["name"],
        "version": stated["version"],
        "source_sha256": digest.hexdigest(),
    }


def write(folder: pathlib.Path, card: dict[str, Any]) -> None:
    """Writes both forms into a SavedModel's folder."""
    (folder / export_layout.EXTRA).mkdir(exist_ok=True)
    page = model_card_page.to_markdown(card)
    atomic_write(folder / export_layout.CARD, to_text(card).encode())
    atomic_write(folder / export_layout.CARD_PAGE, page.encode())


def to_text(card: dict[str, Any]) -> str:
    """The card as JSON text."""
    return json.dumps(card, indent=1) + "\n"


def _styles(run: RunDir) -> list[dict[str, Any]]:
    """Styles spread over the training images, `_STYLES` at most."""
    pool = run.read_json(run.data_path).get("styles", [])
    step = max(1, -(-len(pool) // _STYLES))
    return [
        {"name": str(place), "style": pool[place]["style"]}
        for place in range(0, len(pool), step)
    ]


def _training_data(run: RunDir) -> dict[str, Any]:
    stored = run.read_json(run.data_path)
    images = stored.get("images", {})
    return {
        "hash": stored["hash"],
        "images": {kind: len(names) for kind, names in images.items()},
    }


def _commands(run: RunDir) -> list[str]:
    try:
        lines = run.command_path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [without_folders(line) for line in lines]


def _metrics(metrics: Any) -> Any:
    """metrics.json's value, its command line as the others."""
    stated = (metrics or {}).get("protocol", {})
    if "command" not in stated:
        return metrics
    shown = stated | {"command": without_folders(stated["command"])}
    return metrics | {"protocol": shown}


def _types(function: GraphFunction) -> dict[str, Any]:
    traced = function.get_concrete_function()
    inputs = {s.name: s for s in traced.structured_input_signature[0]}
    outputs = traced.structured_outputs
    return {
        side: {
            name: {"dtype": spec.dtype.name, "shape": _shape(spec)}
            for name, spec in sorted(specs.items())
        }
        for side, specs in (("inputs", inputs), ("outputs", outputs))
    }


def _shape(spec: Any) -> list[int]:
    return [-1 if n is None else n for n in spec.shape.as_list()]
