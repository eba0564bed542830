"""Scores of an export on labelled records, by its own signature `examples`.

In: an export BASE/<version>, a folder of records, a split. Out: scores by name,
all of them better when higher: `dice.<class>`, `iou.<class>`,
`image_dice.<class>`, `image_iou.<class>`, their means over the classes
(`mean_dice`, ...), `accuracy` and `kappa`, as `metrics/segmentation.py` defines
them and `trainer.evaluate` reports them. A class in none of the masks, true or
predicted, scores nan.

The records' bytes go in as they are stored, so what is scored is all that will
be served: decoding, scale and network.
"""

import contextlib
import json
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from histogan_tf.data import manifest
from histogan_tf.data.remote import Place
from histogan_tf.errors import InputError
from histogan_tf.metrics import segmentation
from serving.export_layout import CARD
from serving.thresholds import Scores

_BY_CLASS = ("dice", "iou", "image_dice", "image_iou")
_OVERALL = (
    "mean_dice",
    "mean_iou",
    "mean_image_dice",
    "mean_image_iou",
    "accuracy",
    "kappa",
)


def scores(export: pathlib.Path, data: str | Place, split: str) -> Scores:
    """Scores an export on a split's labelled images.

    Raises:
      InputError: no labelled images, no signature `examples`, other classes
        than the records', or the export does not load or refuses an image.
    """
    records = manifest.load(data)
    paths = records.shard_paths(split, "labelled")
    if not paths:
        raise InputError(f"{data}: split {split!r} has no labelled images")
    with manifest.naming_damage(records):
        confusions = confusion_of(export, paths)
    check_classes(export, records.classes.names, confusions.shape[-1])
    found = segmentation.score(confusions)
    by_class = {
        f"{kind}.{name}": value
        for kind in _BY_CLASS
        for name, value in zip(
            records.classes.names, getattr(found, kind), strict=True
        )
    }
    return by_class | {name: getattr(found, name) for name in _OVERALL}


def confusion_of(export: pathlib.Path, shards: tuple[Place, ...]) -> np.ndarray:
    """Confusion matrices int64 [images, N, N] of record files."""
    examples = _signature(export)
    found = []
    for record in tf.data.TFRecordDataset([str(p) for p in shards]):
        try:
            outputs = examples(examples=record[None])
        except tf.errors.OpError as error:
            raise InputError(f"{export}: {error.message}") from error
        found.append(outputs["confusion"][0].numpy())
    return np.round(found).astype(np.int64)


def check_classes(
    export: pathlib.Path, wanted: tuple[str, ...], count: int
) -> None:
    """Raises InputError unless the export has the records' classes.

    Args:
      export: its model card names the classes; without one they are counted.
      wanted: names of the records' classes.
      count: number of classes of the export's confusion matrices.
    """
    found: list[str] | None = None
    with contextlib.suppress(FileNotFoundError):
        text = (export / CARD).read_text(encoding="utf-8")
        found = [info["name"] for info in json.loads(text)["classes"]]
    if count != len(wanted) or found not in (None, list(wanted)):
        listed = f": {', '.join(found)}" if found else ""
        raise InputError(
            f"{export}: {count} classes{listed}; the records have"
            f" {len(wanted)}: {', '.join(wanted)}"
        )


def _signature(export: pathlib.Path) -> Any:
    try:
        model = tf.saved_model.load(str(export))
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise InputError(f"{export}: does not load: {error}") from error
    if "examples" not in model.signatures:
        names = ", ".join(sorted(model.signatures)) or "none"
        raise InputError(
            f"{export}: no signature 'examples' to score with; it has: {names}"
        )
    graph = model.signatures["examples"]
    # The graph's variables live as long as this.
    graph.model = model
    return graph
