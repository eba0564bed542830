"""Metric tables of the report.

In: the value of metrics.json (layout: `facts.py`) and the class table. Out:
HTML; every table has its protocol beneath it, and what was not measured is
named with the program that measures it.
"""

from collections.abc import Callable
from typing import Any

from histogan_tf.data.classes import ClassTable
from histogan_tf.report import markup
from histogan_tf.report.markup import Html, element, number

_EVALUATE = "trainer.evaluate"


def section(metrics: dict[str, Any] | None, table: ClassTable) -> Html:
    """All metrics."""
    if not metrics:
        note = markup.missing("Metrics", _EVALUATE)
        return markup.section("metrics", "Metrics", note)
    colors = {info.name: info.color for info in table.classes}

    def card(title: str, scores: dict[str, Any]) -> Html:
        return _segmentation_card(title, scores, colors)

    def cards(found: dict[str, Any]) -> Html:
        made = [card(name, scores) for name, scores in found.items()]
        return element("div", *made, class_="cards")

    parts: tuple[tuple[str, str, Callable[[Any], Html]], ...] = (
        ("segmentation", "Segmentation of real images", cards),
        ("objects", "Objects (GlaS challenge)", _objects),
        ("sliced_wasserstein", "Sliced Wasserstein distance", _wasserstein),
        (
            "mask_consistency",
            "Mask consistency",
            lambda found: cards({"judge on synthetic images": found}),
        ),
        ("fid", "FID", _fid),
        ("kid", "KID", _kid),
    )
    shown = [_part(metrics.get(key), title, make) for key, title, make in parts]
    return markup.section(
        "metrics", "Metrics", *shown, _protocol(metrics.get("protocol"))
    )


def _part(found: Any, title: str, make: Callable[[Any], Html]) -> Html:
    if found:
        return markup.join([element("h3", title), make(found)])
    program = _EVALUATE
    if title in ("FID", "KID"):
        title += " (needs a feature network's weights, given by path)"
    return markup.missing(title, program)


def _segmentation_card(
    title: str, scores: dict[str, Any], colors: dict[str, Any]
) -> Html:
    columns = ("dice", "iou", "image_dice", "image_iou")
    names = scores.get("classes") or list(colors)
    rows = []
    for index, name in enumerate(names):
        color = colors.get(name, (128, 128, 128))
        values = [_at(scores.get(column), index) for column in columns]
        rows.append((markup.swatch(color, name), *map(number, values)))
    means = [scores.get(f"mean_{column}") for column in columns]
    rows.append(
        (element("b", "mean"), *(element("b", number(m)) for m in means))
    )
    scale = f" · {scores['mpp']:g} µm/px" if scores.get("mpp") else ""
    line = (
        f"{scores.get('images', markup.DASH)} images; pixel accuracy"
        f" {number(scores.get('accuracy'))}, kappa"
        f" {number(scores.get('kappa'))}"
    )
    head = ("class", "Dice", "IoU", "Dice per image", "IoU per image")
    return element(
        "div",
        element("h4", title + scale),
        markup.table(head, rows),
        element("p", line),
        _note(scores),
        class_="card",
    )


def _objects(found: dict[str, Any]) -> Html:
    head = (
        "network", "object F1", "precision", "recall", "object Dice",
        "Hausdorff µm", "px", "true pos.", "false pos.", "false neg.",
        "images", "capped",
    )  # fmt: skip
    keys = ("object_f1", "precision", "recall", "object_dice")
    counts = (
        "true_positives", "false_positives", "false_negatives", "images",
        "capped",
    )  # fmt: skip
    rows = [
        (
            name,
            *(number(scores.get(key)) for key in keys),
            number(scores.get("object_hausdorff_um"), 1),
            number(scores.get("object_hausdorff_px"), 1),
            *(str(scores.get(key, markup.DASH)) for key in counts),
        )
        for name, scores in found.items()
    ]
    return markup.join([markup.table(head, rows), _notes(found)])


def _wasserstein(found: list[dict[str, Any]]) -> Html:
    head = (
        "images of", "level µm/px", "distance", "real against real (floor)",
        "ratio",
    )  # fmt: skip
    rows = []
    for entry in found:
        name = entry.get("label") or f"stage {entry.get('stage')}"
        for level, distance in enumerate(entry.get("distances", [])):
            rows.append(
                (
                    name if level == 0 else "",
                    f"{entry['mpp'] * 2**level:g}",
                    number(distance, 2),
                    number(_at(entry.get("floor"), level), 2),
                    number(_at(entry.get("ratio"), level), 2),
                )
            )
    notes = {e.get("label") or f"stage {e.get('stage')}": e for e in found}
    return markup.join(
        [
            markup.table(head, rows),
            element(
                "p",
                f"Distances {markup.TIMES} 1000, smaller is better; the"
                " best ratio that can be hoped for is 1.",
            ),
            _notes(notes),
        ]
    )


def _fid(found: dict[str, Any]) -> Html:
    rows = [("FID", number(found.get("value"), 2)), *_others(found, ("value",))]
    return markup.join([markup.pairs(rows), _note(found)])


def _kid(found: dict[str, Any]) -> Html:
    mean, deviation = found.get("mean"), found.get("deviation")
    value = f"{number(mean, 5)} ± {number(deviation, 5)}"
    rows = [("KID", value), *_others(found, ("mean", "deviation"))]
    return markup.join([markup.pairs(rows), _note(found)])


def _others(found: dict[str, Any], but: tuple[str, ...]) -> list:
    skipped = (*but, "protocol")
    return [(k, _plain(v)) for k, v in found.items() if k not in skipped]


def _protocol(found: dict[str, Any] | None) -> Html:
    if not found:
        return markup.missing("Protocol of the metrics", _EVALUATE)
    rows = [(name, _plain(value)) for name, value in found.items()]
    return markup.join([element("h3", "Protocol"), markup.pairs(rows)])


def _notes(found: dict[str, Any]) -> Html:
    """Protocols of several entries; one that all share is said once."""
    texts = {name: scores.get("protocol") for name, scores in found.items()}
    if len(set(texts.values())) == 1:
        return _note(next(iter(found.values())))
    return markup.join(
        _note({"protocol": f"{name}: {text}"})
        for name, text in texts.items()
        if text
    )


def _note(scores: dict[str, Any]) -> Html:
    text = scores.get("protocol")
    return element("p", _plain(text), class_="protocol") if text else Html()


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{k}: {_plain(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return markup.DASH if value is None else str(value)


def _at(values: Any, index: int) -> Any:
    return values[index] if values and index < len(values) else None
