"""HTML by functions that escape whatever is not HTML yet.

In: texts, numbers and `Html`. Out: `Html`, a str that may be put into a page.
Class names, paths and command lines are data and may hold < or &.
"""

import base64
import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np

from histogan_tf.data import png

# Above this a picture is no mask or enlargement: JPEG then saves much.
_PNG_BYTES = 40_000
DASH, TIMES = "\u2013", "\u00d7"
_VOID = ("img", "input", "meta", "br")


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(name: str, /, *children: Any, **attributes: Any) -> Html:
    """`<name attributes>children</name>`.

    Args:
      name: of the element.
      children: `Html` stays as it is, everything else is escaped.
      attributes: `class_` stands for class; None leaves one out.
    """
    pairs = "".join(
        f' {key.rstrip("_")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    end = "" if name in _VOID else f"</{name}>"
    return Html(f"<{name}{pairs}>{join(children)}{end}")


def join(children: Iterable[Any]) -> Html:
    """Children one after the other, escaped unless they are `Html`."""
    return Html(
        "".join(
            child if isinstance(child, Html) else html.escape(str(child))
            for child in children
        )
    )


def document(title: str, head: Iterable[Html], body: Html) -> str:
    """A page, from `<!doctype html>` to its end; `head` follows the title."""
    top = element(
        "head",
        element("meta", charset="utf-8"),
        element(
            "meta",
            name="viewport",
            content="width=device-width, initial-scale=1",
        ),
        element("title", title),
        *head,
    )
    return f"<!doctype html>\n{element('html', top, body, lang='en')}\n"


def table(head: Sequence[Any], rows: Iterable[Sequence[Any]]) -> Html:
    """A table that scrolls sideways where the page is narrower."""
    top = element("tr", *(element("th", cell) for cell in head))
    body = [
        element("tr", *(element("td", cell) for cell in row)) for row in rows
    ]
    return element(
        "div",
        element("table", element("thead", top), element("tbody", *body)),
        class_="scroll",
    )


def pairs(rows: Iterable[tuple[Any, Any]]) -> Html:
    """A table of names and values without a head."""
    body = [
        element("tr", element("th", name, scope="row"), element("td", value))
        for name, value in rows
    ]
    return element(
        "div", element("table", *body, class_="pairs"), class_="scroll"
    )


def number(value: float | None, digits: int = 3) -> str:
    """A score, or a dash where it is undefined."""
    if value is None or math.isnan(value):
        return DASH
    return f"{value:.{digits}f}"


def section(anchor: str, title: str, *children: Any) -> Html:
    """A part of the page that the top links to."""
    return element("section", element("h2", title), *children, id=anchor)


def missing(what: str, program: str) -> Html:
    """Says what is not there and what makes it."""
    return element(
        "p",
        f"{what}: not there yet; made by ",
        element("code", f"python -m {program}"),
        ".",
        class_="missing",
    )


def swatch(color: Sequence[int], name: str) -> Html:
    """A class: a small square of its RGB colour, and its name."""
    red, green, blue = (int(c) for c in color)
    box = element("i", style=f"background:rgb({red},{green},{blue})")
    return element("span", box, element("span", name), class_="swatch")


def data_uri(image: np.ndarray) -> str:
    """uint8 RGB [H, W, 3] as PNG, or as JPEG (92, 4:4:4) where that is big."""
    kind, data = "png", png.encode(image)
    if len(data) > _PNG_BYTES:
        options = [
            cv2.IMWRITE_JPEG_QUALITY,
            92,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        ]
        swapped = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        kind, data = "jpeg", cv2.imencode(".jpg", swapped, options)[1].tobytes()
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
