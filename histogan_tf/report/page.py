"""One self-contained page per run: `report.html`.

In: `ReportFacts`. Out: HTML text with pictures, drawings and style inside; it
refers to nothing outside itself and runs no script. The same facts give the
same bytes.
"""

from histogan_tf.report import gallery, overview, scores, training
from histogan_tf.report.facts import ReportFacts
from histogan_tf.report.markup import Html, document, element
from histogan_tf.report.style import CSS

_LINKS = ("Run", "Pictures", "Metrics", "Training")


def build(facts: ReportFacts) -> str:
    """The page, from `<!doctype html>` to its end.

    What is missing is left out, with a line that says which program makes it.
    """
    title = f"histogan_tf run {facts.name}"
    links = (element("a", t, href=f"#{t.lower()}") for t in _LINKS)
    main = element(
        "main",
        element("h1", title),
        element("nav", *links),
        overview.key_figures(facts),
        overview.section(facts),
        gallery.section(facts.grids),
        scores.section(facts.metrics, facts.classes),
        training.section(facts.phases),
    )
    head = [element("style", Html(CSS))]
    return document(title, head, element("body", main))
