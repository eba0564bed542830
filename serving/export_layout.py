"""Where things lie in a version's folder, and whether its graph is there.

Apart, as TensorFlow takes seconds to load: programs that only move versions
do without it.
"""

import pathlib

GRAPH = "saved_model.pb"
SAVED_MODEL_FILES = (GRAPH, "saved_model.pbtxt")  # either is a graph
EXTRA = pathlib.PurePath("assets.extra")
WARM_UP = EXTRA / "tf_serving_warmup_requests"
MOST_WARM_UP = 1000  # records; TensorFlow Serving refuses more
CARD = EXTRA / "model_card.json"
CARD_PAGE = EXTRA / "model_card.md"


def no_graph(folder: pathlib.Path) -> str:
    """How it is said that a folder is not complete."""
    return f"{folder}: no {' or '.join(SAVED_MODEL_FILES)} in it"


def is_complete(folder: pathlib.Path) -> bool:
    """Whether a server takes a version's folder up: its graph is there."""
    return any((folder / name).is_file() for name in SAVED_MODEL_FILES)
