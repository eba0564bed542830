"""Whether a folder holds a SavedModel's graph.

Apart, as TensorFlow takes seconds to load: programs that only move versions
do without it.
"""

import pathlib

SAVED_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt")


def is_complete(folder: pathlib.Path) -> bool:
    """Whether a server takes a version's folder up: its graph is there."""
    return any((folder / name).is_file() for name in SAVED_MODEL_FILES)
