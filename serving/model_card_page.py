"""The model card as a Markdown page for people.

In: the card's value (`model_card.py`). Out: text.
"""

from typing import Any


def to_markdown(card: dict[str, Any]) -> str:
    """The card as a page for people."""
    data, project, windows = (
        card[key] for key in ("training_data", "project", "windows")
    )
    parts = [
        f"# {card['name']}, version {card['version']}",
        f"Exported {card['created']} by {project['name']}"
        f" {project['version']} (sources {project['source_sha256'][:12]}).",
        f"Every image and mask that goes in or comes out is at"
        f" **{card['mpp']['finest']:g} um/px**: resample first.",
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
            ("windows to", "halo, px", "sides and origins divide by"),
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
        "Steps: " + _steps(card["steps"]) + ".",
        "```\n" + "\n".join(card["commands"]) + "\n```",
        "## Scores",
        _scores(card["metrics"]),
        "## Licence",
        f"{card['licence']['weights']}",
        f"The training data's licence: {card['licence']['data']}.",
    ]
    return "\n\n".join(parts) + "\n"


def _listed(specs: dict[str, Any]) -> str:
    return "; ".join(
        f"{name}: {spec['dtype']} {spec['shape']}"
        for name, spec in specs.items()
    )


def _steps(steps: dict[str, tuple[int, int]]) -> str:
    return ", ".join(
        f"{phase} {done:,}" + (f" of {wanted:,}" if done < wanted else "")
        for phase, (done, wanted) in steps.items()
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
