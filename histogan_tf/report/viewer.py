"""The report of a slide or canvas: a folder that any browser opens from disk.

In: `ViewFacts`. Out: `index.html` and its script and style, beside Deep Zoom
tiles that the caller writes (`data/deep_zoom.py`). No server, no network.
"""

import importlib.resources
import json
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from histogan_tf.data.classes import ClassTable
from histogan_tf.data.deep_zoom import TILE
from histogan_tf.report import markup
from histogan_tf.report.markup import TIMES, Html, element

_FILES = (
    "viewer_files/viewer.css",
    "viewer_files/viewer.js",
    "vendor/openseadragon/openseadragon.min.js",
    "vendor/openseadragon/LICENSE.txt",
)
_SCRIPTS = ("openseadragon.min.js", "viewer.js")
_OPACITY = 50  # percent, to begin with
_ICONS = {
    "zoom-in": ("Zoom in", "M12 5v14M5 12h14"),
    "zoom-out": ("Zoom out", "M5 12h14"),
    "home": ("Whole image", "M4 11l8-7 8 7M6 9.5V20h12V9.5"),
    "fullscreen": (
        "Full screen",
        "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
    ),
}
_KEYS = (
    (("+", "-"), "zoom"),
    (("←", "↑", "→", "↓"), "move"),
    (("0",), "whole image"),
    (("[", "]"), "opacity"),
    (("p",), "this panel"),
    (("f",), "full screen"),
)


@dataclass(frozen=True)
class Layer:
    """One Deep Zoom image beside the page.

    `name` of its files, `title` on the page, size in px and um/px of its
    finest level, ending of its tiles; `areas` are mm2 of each class, for
    overlays; `note` says what it is.
    """

    name: str
    title: str
    height: int
    width: int
    mpp: float
    ending: str
    areas: tuple[float, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class ViewFacts:
    """What the page tells.

    `mpp` and size are of the file's level 0, which may be finer than what is
    shown; `layers` begin with the tissue; `downloads` are paths within the
    folder; `command` made it.
    """

    name: str
    height: int
    width: int
    mpp: float
    layers: tuple[Layer, ...]
    classes: ClassTable | None = None
    downloads: tuple[str, ...] = ()
    command: str = ""


def write(folder: pathlib.Path, facts: ViewFacts) -> None:
    """Writes the page, its script and its style."""
    here = importlib.resources.files("histogan_tf.report")
    for name in _FILES:
        data = here.joinpath(name).read_bytes()
        target = pathlib.PurePath(name).name
        if target == "LICENSE.txt":
            target = "openseadragon.LICENSE.txt"
        (folder / target).write_bytes(data)
    (folder / "index.html").write_text(build(facts), encoding="utf-8")


def build(facts: ViewFacts) -> str:
    """The page, from `<!doctype html>` to its end."""
    head = (
        # Without one, browsers ask for favicon.ico.
        Html('<link rel="icon" href="data:,">'),
        Html('<link rel="stylesheet" href="viewer.css">'),
    )
    data = element("script", _json(facts), type="application/json", id="facts")
    scripts = (element("script", src=name) for name in _SCRIPTS)
    body = element("body", _stage(), _panel(facts), data, *scripts)
    return markup.document(f"{facts.name} · histogan_tf", head, body)


def _json(facts: ViewFacts) -> Html:
    """What the script reads; as text of a script element."""
    layers = [
        {
            "name": layer.name,
            "width": layer.width,
            "height": layer.height,
            "mpp": layer.mpp,
            "format": layer.ending,
        }
        for layer in facts.layers
    ]
    text = json.dumps({"mpp": facts.mpp, "tile": TILE, "layers": layers})
    return Html(text.replace("<", "\\u003c"))


def _stage() -> Html:
    buttons = (
        _button(name, title, path) for name, (title, path) in _ICONS.items()
    )
    return element(
        "main",
        element("div", id="view"),
        element("div", *buttons, id="buttons"),
        _button("panel-button", "Panel (p)", "M4 6h16M4 12h16M4 18h16"),
        element(
            "div",
            element("div", id="bar"),
            element("div", id="bar-text"),
            element("div", id="place", class_="wide"),
            id="status",
        ),
        element("div", id="trouble", role="alert", hidden=""),
        id="stage",
    )


def _button(name: str, title: str, path: str) -> Html:
    icon = element("svg", element("path", d=path), viewBox="0 0 24 24")
    return element("button", icon, id=name, type="button", title=title)


def _panel(facts: ViewFacts) -> Html:
    wide, tall = (n * facts.mpp / 1000 for n in (facts.width, facts.height))
    size = f"{facts.width} {TIMES} {facts.height} px at {facts.mpp:.4g} µm/px"
    parts = [
        element("h1", facts.name),
        element("p", size, class_="facts"),
        element("p", f"{wide:.3g} {TIMES} {tall:.3g} mm", class_="facts"),
    ]
    overlays = facts.layers[1:]
    if overlays:
        parts += [element("h2", "Overlays"), *map(_control, overlays)]
    if facts.classes:
        parts.append(element("h2", "Classes"))
        parts.append(_legend(facts.classes, overlays))
    if facts.downloads:
        links = (
            element("li", element("a", pathlib.PurePath(p).name, href=quote(p)))
            for p in facts.downloads
        )
        parts += [element("h2", "Files"), element("ul", *links)]
    parts.append(_keys(overlays))
    if facts.command:
        made = element("summary", "How it was made")
        parts.append(element("details", made, element("code", facts.command)))
    return element("aside", *parts, id="panel")


def _control(layer: Layer) -> Html:
    """A switch and a slider."""
    box = element("input", type="checkbox", id=f"show-{layer.name}", checked="")
    value = element("output", f"{_OPACITY} %", id=f"value-{layer.name}")
    slider = element(
        "input",
        type="range",
        id=f"opacity-{layer.name}",
        min=0,
        max=100,
        value=_OPACITY,
        title=f"Opacity of {layer.title}",
    )
    note = [element("small", layer.note)] if layer.note else []
    return element(
        "div",
        element("label", box, layer.title, value),
        slider,
        *note,
        class_="layer",
    )


def _legend(table: ClassTable, overlays: Sequence[Layer]) -> Html:
    """Colours, and the area of each class in each overlay."""
    head = [element("th", "mm²" if overlays else "")]
    head += [element("th", layer.title) for layer in overlays]
    rows = [
        element(
            "tr",
            element("th", markup.swatch(info.color, info.name), scope="row"),
            *(
                element("td", f"{layer.areas[info.id]:.4g}")
                for layer in overlays
            ),
        )
        for info in table.classes
    ]
    return element(
        "table",
        element("thead", element("tr", *head)),
        element("tbody", *rows),
    )


def _keys(overlays: Sequence[Layer]) -> Html:
    switches = (
        ((str(place),), layer.title)
        for place, layer in enumerate(overlays, start=1)
    )
    lines = [
        child
        for names, what in (*_KEYS, *switches)
        for child in (
            element("dt", *(element("kbd", name) for name in names)),
            element("dd", what),
        )
    ]
    return element(
        "div",
        element("h2", "Keys"),
        element("dl", *lines),
        class_="wide",
    )
