"""What is known of an exported model: `assets.extra/model_card.{json,md}`.

In: a run's files, its networks, the signatures' types. Out: the card as a
value for JSON, and as Markdown. Clients get the JSON from the signature
`about`; people read the Markdown.

    name, version, created (UTC), project {name, version, source_sha256}
    classes [{id, name, color}], mpp (of every input and output),
    stages [{stage, mpp}], precision (of training),
    training_data {folder, hash, images {kind: count}}, commands [text]
    metrics: all of metrics.json, or null
    licence {weights, data}
    signatures {name: {inputs, outputs: {name: {dtype, shape}}}}
    windows {segment, generate_window: {halo, multiple}}, in pixels
    limits {max_pixels}, warm_up [[height, width]]
"""

import datetime
import hashlib
import json
import pathlib
import tomllib
from dataclasses import dataclass
from typing import Any

from histogan_tf.files import atomic_write
from histogan_tf.run_dir import RunDir
from serving.graphs import GraphFunction
from serving.signatures import Networks

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = pathlib.Path("assets.extra")
WEIGHTS_LICENCE = (
    "The weights are derived from the training data and inherit the terms of"
    " its licence; data for research only makes a model for research only."
)
Card = dict[str, Any]


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
) -> Card:
    """The card of a run's export.

    Args:
      run: the trained run.
      networks: its networks.
      graphs: of every signature, by name.
      export: see there.

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
        "mpp": config.finest_mpp,
        "stages": [
            {"stage": k, "mpp": config.stage_mpp(k)}
            for k in range(len(config.stages))
        ],
        "precision": config.precision,
        "training_data": _training_data(run),
        "commands": _commands(run),
        "metrics": export.metrics,
        "licence": {
            "weights": WEIGHTS_LICENCE,
            "data": export.data_licence or "not stated",
        },
        "signatures": {
            name: _types(function) for name, function in graphs.items()
        },
        "windows": {
            "segment": _window(networks.read_window),
            "generate_window": _window(networks.paint_window),
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


def write(folder: pathlib.Path, card: Card) -> None:
    """Writes both forms into a SavedModel's folder."""
    target = folder / FOLDER
    target.mkdir(exist_ok=True)
    atomic_write(target / "model_card.json", to_text(card).encode())
    atomic_write(target / "model_card.md", to_markdown(card).encode())


def to_text(card: Card) -> str:
    """The card as JSON text."""
    return json.dumps(card, indent=1) + "\n"


def to_markdown(card: Card) -> str:
    """The card as a page for people."""
    data, project, windows = (
        card[key] for key in ("training_data", "project", "windows")
    )
    parts = [
        f"# {card['name']}, version {card['version']}",
        f"Exported {card['created']} by {project['name']}"
        f" {project['version']} (sources {project['source_sha256'][:12]}).",
        f"Every image and mask that goes in or comes out is at"
        f" **{card['mpp']:g} um/px**: resample first.",
        "## Classes",
        _table(
            ("id", "name", "colour"),
            [
                (c["id"], c["name"], "#{:02x}{:02x}{:02x}".format(*c["color"]))
                for c in card["classes"]
            ],
        ),
        "## Signatures",
        _table(
            ("signature", "inputs", "outputs"),
            [
                (name, _listed(s["inputs"]), _listed(s["outputs"]))
                for name, s in card["signatures"].items()
            ],
        ),
        "## Windows and limits",
        _table(
            ("signatures", "halo, px", "sides and origins divide by"),
            [(n, w["halo"], w["multiple"]) for n, w in windows.items()],
        ),
        f"Largest image: {card['limits']['max_pixels']} pixels. Warmed up for"
        f" {_sizes(card['warm_up'])}.",
        "## Training",
        "Stages: "
        + ", ".join(
            f"{s['stage']} at {s['mpp']:g} um/px" for s in card["stages"]
        )
        + f"; {card['precision']}.",
        f"Records `{data['hash']}`: "
        + ", ".join(f"{n} {kind}" for kind, n in data["images"].items())
        + ".",
        "```\n" + "\n".join(card["commands"]) + "\n```",
        "## Scores",
        _scores(card["metrics"]),
        "## Licence",
        f"{card['licence']['weights']}",
        f"The training data's licence: {card['licence']['data']}.",
    ]
    return "\n\n".join(parts) + "\n"


def _training_data(run: RunDir) -> dict[str, Any]:
    stored = run.read_json(run.data_path)
    images = stored.get("images", {})
    return {
        "folder": stored.get("folder", ""),
        "hash": stored["hash"],
        "images": {kind: len(names) for kind, names in images.items()},
    }


def _commands(run: RunDir) -> list[str]:
    try:
        return run.command_path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def _types(function: GraphFunction) -> dict[str, Any]:
    traced = function.get_concrete_function()
    inputs = traced.structured_input_signature[1]
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


def _window(window: Any) -> dict[str, int]:
    return {"halo": window.halo, "multiple": window.multiple}


def _listed(specs: dict[str, Any]) -> str:
    return "; ".join(
        f"{name}: {spec['dtype']} {spec['shape']}"
        for name, spec in specs.items()
    )


def _sizes(sizes: list[list[int]]) -> str:
    return ", ".join(f"{h}x{w}" for h, w in sizes) or "no size"


def _scores(metrics: Any) -> str:
    """The segmenters' Dice; all numbers stand in the JSON."""
    found = (metrics or {}).get("segmentation", {})
    if not found:
        return "None: `trainer.evaluate` had not been run."
    rows = [
        (name, row["images"], _number(row["mean_dice"]), row.get("mpp", ""))
        for name, row in found.items()
    ]
    split = metrics.get("protocol", {}).get("split", "unknown")
    header = ("network", "images", "mean Dice", "um/px")
    return f"Split `{split}`.\n\n" + _table(header, rows)


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _table(header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell) for cell in line) + " |" for line in lines
    )
