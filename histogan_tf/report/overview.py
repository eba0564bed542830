"""The head of the report: what was run, on what, and how well it went.

In: `ReportFacts`. Out: HTML of the key figures, the commands, the data, the
classes, the stages and the settings.
"""

import json
from typing import Any

from histogan_tf import config_json
from histogan_tf.config import NetworkConfig
from histogan_tf.report import markup
from histogan_tf.report.facts import ReportFacts
from histogan_tf.report.markup import Html, element

_SHOWN_GROUPS = 24


def key_figures(facts: ReportFacts) -> Html:
    """A row of tiles with the few numbers that one looks for first."""
    metrics = facts.metrics or {}
    tiles = [
        ("stages", str(len(facts.config.stages))),
        ("finest scale", f"{facts.config.finest_mpp:g} µm/px"),
        ("classes", str(facts.classes.count)),
    ]
    network = metrics.get("segmentation", {}).get("segmenter", {})
    if network:
        value = markup.number(network.get("mean_dice"))
        tiles.append(("segmenter, mean Dice", value))
    consistency = metrics.get("mask_consistency")
    if consistency:
        value = markup.number(consistency.get("mean_dice"))
        tiles.append(("mask consistency, mean Dice", value))
    ratios = [
        ratio
        for row in metrics.get("sliced_wasserstein", [])[-1:]
        for ratio in row.get("ratio", [])
        if ratio is not None
    ]
    if ratios:
        text = f"{max(ratios):.1f} {markup.TIMES}"
        tiles.append(("sliced Wasserstein / floor, worst level", text))
    boxes = [
        element("div", element("strong", value), element("span", name))
        for name, value in tiles
    ]
    return element("div", *boxes, class_="tiles")


def section(facts: ReportFacts) -> Html:
    """Commands, data, classes, stages and settings."""
    settings = json.dumps(config_json.to_dict(facts.config), indent=1)
    return markup.section(
        "run",
        "Run",
        _commands(facts),
        element("h3", "Data"),
        _data(facts.data),
        element("h3", "Classes"),
        _classes(facts),
        element("h3", "Stages"),
        _stages(facts),
        element(
            "details",
            element("summary", "All settings (config.json)"),
            element("pre", settings),
        ),
    )


def _commands(facts: ReportFacts) -> Html:
    commands = list(facts.commands)
    evaluated = (facts.metrics or {}).get("protocol", {}).get("command")
    if evaluated and evaluated not in commands:
        commands.append(evaluated)
    if not facts.commands:
        note = markup.missing("Command of the training", "trainer.train")
        return markup.join([note, *(element("pre", c) for c in commands)])
    return markup.join(element("pre", command) for command in commands)


def _data(data: dict[str, Any]) -> Html:
    images, groups = data.get("images", {}), data.get("groups", {})
    splits = list(dict.fromkeys(key.split("/")[0] for key in images))
    rows = [
        (
            split,
            *(
                str(len(images.get(f"{split}/{kind}", ())))
                for kind in ("labelled", "unlabelled")
            ),
            _groups(groups.get(split, ())),
        )
        for split in splits
    ]
    facts = [
        ("hash of the records", element("code", data.get("hash", markup.DASH))),
        ("folder", element("code", data.get("folder", markup.DASH))),
    ]
    head = ("split", "labelled", "unlabelled", "groups (patients)")
    return markup.join([markup.pairs(facts), markup.table(head, rows)])


def _groups(names: Any) -> Html:
    names = [str(name) for name in names]
    if not names:
        return markup.join(["none stated"])
    listed = ", ".join(names)
    if len(names) <= _SHOWN_GROUPS:
        return markup.join([f"{len(names)}: {listed}"])
    summary = element("summary", f"{len(names)} groups")
    return element("details", summary, listed)


def _classes(facts: ReportFacts) -> Html:
    rows = [
        (
            str(info.id),
            markup.swatch(info.color, info.name),
            element("code", "#{:02x}{:02x}{:02x}".format(*info.color)),
            "painted between instances" if info.boundary else "",
        )
        for info in facts.classes.classes
    ]
    return markup.table(("id", "class", "colour", ""), rows)


def _stages(facts: ReportFacts) -> Html:
    config = facts.config
    rows: list[tuple[str | Html, ...]] = []
    for index, stage in enumerate(config.stages):
        mpp = config.stage_mpp(index)
        rows.append(
            (
                f"Stage {index}",
                f"{mpp:g}",
                _length(stage.crop, mpp),
                str(stage.batch),
                f"{stage.steps:,}",
                _network(stage.generator),
                _network(stage.critic, stage.critic_patch),
                _network(stage.segmenter, stage.segmenter_patch),
            )
        )
    for name, part in (
        ("Judge", config.judge),
        ("Segmenter", config.segmenter),
    ):
        crop = _length(part.crop, config.finest_mpp)
        scale, steps = f"{config.finest_mpp:g}", f"{part.steps:,}"
        network = _network(part.network, part.patch)
        rows.append(
            (name, scale, crop, str(part.batch), steps, "", "", network)
        )
    head = (
        "phase", "µm/px", "crop", "batch", "steps", "generator", "critic",
        "segmenter",
    )  # fmt: skip
    note = (
        f"Precision {config.precision}, seed {config.seed}. Networks: channels"
        " per level, finest first. The judge is a segmenter trained on real"
        " images alone."
    )
    return markup.join([markup.table(head, rows), element("p", note)])


def _length(pixels: int, mpp: float) -> str:
    # Spaces that do not break, for narrow screens.
    return f"{pixels}\u00a0px, {pixels * mpp:g}\u00a0µm"


def _network(network: NetworkConfig, patch: int = 1) -> Html:
    widths = markup.DASH.join(str(width) for width in network.widths)
    blocks = f" {markup.TIMES} {network.blocks}" if network.blocks > 1 else ""
    taken = f", {patch}{markup.TIMES}{patch} px at once" if patch > 1 else ""
    return markup.join([widths + blocks + taken])
