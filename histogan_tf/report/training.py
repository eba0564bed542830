"""Training curves of the report, a block per phase.

In: `PhaseCurves`. Out: HTML with one drawing per group of tags (losses of each
network, validation Dice and IoU, images/s, learning rates) and its legend.
"""

from dataclasses import dataclass

from histogan_tf.report import curves, markup
from histogan_tf.report.curves import Axis
from histogan_tf.report.facts import Curve, PhaseCurves
from histogan_tf.report.markup import Html, element


@dataclass(frozen=True)
class _Panel:
    prefix: str
    title: str
    axis: Axis
    form: str


_PANELS = (
    _Panel("loss/critic/", "Critic loss", Axis(clip=True), ".3f"),
    _Panel("loss/generator/", "Generator loss", Axis(clip=True), ".3f"),
    _Panel("loss/segmenter/", "Segmenter loss", Axis(clip=True), ".3f"),
    _Panel("validation/dice/", "Validation Dice", Axis(0.0, 1.0), ".3f"),
    _Panel("validation/iou/", "Validation IoU", Axis(0.0, 1.0), ".3f"),
    _Panel("speed/", "Images per second", Axis(low=0.0), ".1f"),
    _Panel("learning_rate/", "Learning rate", Axis(low=0.0), ".2g"),
)
_NAMES = {"images_per_second": "images/s"}


def section(phases: tuple[PhaseCurves, ...]) -> Html:
    """All phases; the untrained ones are named."""
    return markup.section("training", "Training", *map(_phase, phases))


def _phase(phase: PhaseCurves) -> Html:
    title = f"{phase.name} · {phase.mpp:g} µm/px"
    if not phase.curves:
        return markup.missing(f"Curves of {phase.name}", "trainer.train")
    figures = [
        _figure(panel, found)
        for panel in _PANELS
        if (found := _chosen(panel, phase.curves))
    ]
    notes = []
    if not any(tag.startswith("validation/") for tag in phase.curves):
        text = f"Validation scores of {phase.name} (needs a validation split)"
        notes.append(markup.missing(text, "trainer.train"))
    return markup.join(
        [
            element("h3", title),
            element("div", *figures, class_="figures"),
            *notes,
        ]
    )


def _chosen(panel: _Panel, found: dict[str, Curve]) -> dict[str, Curve]:
    """Curves of a panel by short name, without empty ones."""
    return {
        tag.removeprefix(panel.prefix): curve
        for tag, curve in found.items()
        if tag.startswith(panel.prefix) and curve.steps
    }


def _figure(panel: _Panel, found: dict[str, Curve]) -> Html:
    shown = list(found.values())
    legend = [
        element(
            "li",
            element("i", style=f"background:{_color(index)}"),
            f"{_NAMES.get(name, name)} ",
            element("b", format(curve.values[-1], panel.form)),
        )
        for index, (name, curve) in enumerate(found.items())
    ]
    notes = []
    if panel.axis.clip and (end := curves.top(shown)) is not None:
        value, step = max(
            (v, s)
            for curve in shown
            for s, v in zip(curve.steps, curve.values, strict=True)
        )
        text = f"axis ends at {end:.3g}; highest {value:.3g} at step {step:,}"
        notes.append(element("small", text))
    return element(
        "figure",
        element("figcaption", panel.title),
        Html(curves.svg(shown, panel.axis)),
        element("ul", *legend, class_="legend"),
        *notes,
    )


def _color(index: int) -> str:
    return curves.COLORS[index % len(curves.COLORS)]
