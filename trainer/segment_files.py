"""Files that `trainer.segment` writes beside its masks.

In: what was found in each image. Out: `areas.csv`, `segmentation.json` and
probabilities as TIFF, each whole or not at all.
"""

import csv
import io
import json
import pathlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from histogan_tf.errors import UnreadableError
from trainer import runners

if TYPE_CHECKING:
    import numpy as np

    from histogan_tf.data.classes import ClassTable
    from histogan_tf.run_dir import RunDir


@dataclass(frozen=True)
class Objects:
    """Which objects are outlined and measured: of these classes and size."""

    table: "ClassTable"
    classes: tuple[int, ...]
    least_um2: float
    outlined: bool


def write_objects(
    folder: pathlib.Path,
    name: str,
    mask: "np.ndarray",
    mpp: float,
    wanted: Objects,
    origin_px: tuple[float, float] = (0.0, 0.0),
    mpp_level0: float | None = None,
) -> None:
    """Writes the table, where classes have a boundary, and the outlines.

    Args:
      folder: of all results; those of its folders that lack are made.
      name: stem of the files.
      mask: uint8 [H, W], class ids.
      mpp: um/px of the mask.
      wanted: which objects, and whether outlines are.
      origin_px: row and column in px of level 0 that count as (0, 0).
      mpp_level0: um/px of the slide's level 0, in whose px outlines are;
        None: the mask's.
    """
    from histogan_tf import instances, outlines

    table, least = wanted.table, wanted.least_um2
    level0 = mpp_level0 or mpp
    if table.boundary:
        row, column = (n * level0 for n in origin_px)
        rows = instances.instances(
            mask, table, wanted.classes, mpp, (row, column), least
        )
        target = folder / "instances" / f"{name}.csv"
        write_text(target, instances.to_csv(rows))
    if wanted.outlined:
        found = outlines.feature_collection(
            mask,
            table,
            wanted.classes,
            mpp / level0,
            origin_px,
            least / mpp**2,
        )
        target = folder / "outlines" / f"{name}.geojson"
        write_text(target, json.dumps(found))


def write_probabilities(path: pathlib.Path, shares: "np.ndarray") -> None:
    """Writes float32 [H, W, N] as a TIFF of N pages."""
    import numpy as np
    import tifffile

    from histogan_tf.files import atomic_write

    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        np.ascontiguousarray(np.moveaxis(shares, -1, 0)),
        photometric="minisblack",
        compression="zlib",
        metadata=None,
    )
    atomic_write(path, buffer.getvalue())


def write_areas(
    folder: pathlib.Path, table: "ClassTable", done: list[dict[str, Any]]
) -> None:
    """Writes areas.csv: a row for each class of each image."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "class_id", "class", "pixels", "mm2"])
    for entry in done:
        for info in table.classes:
            pixels = entry["class_pixels"][info.id]
            area = pixels * (entry["mpp"] / 1000.0) ** 2
            row = [entry["name"], info.id, info.name, pixels, f"{area:.9g}"]
            writer.writerow(row)
    write_text(folder / "areas.csv", text.getvalue())


def write_record(
    folder: pathlib.Path,
    run: "RunDir",
    done: list[dict[str, Any]],
    bad: list[UnreadableError],
) -> None:
    """Writes segmentation.json."""
    from histogan_tf import run_progress

    value = {
        "command": runners.command("trainer.segment"),
        "run_dir": str(run.root),
        "network_mpp": run.config().finest_mpp,
        "steps": run_progress.steps(run),
        "classes": list(run.classes().names),
        "images": done,
        "skipped": [{"file": str(b.path), "reason": b.reason} for b in bad],
    }
    write_text(folder / "segmentation.json", json.dumps(value, indent=1) + "\n")


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes UTF-8, whole or not at all, in a folder that may be new."""
    from histogan_tf.files import atomic_write

    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, text.encode())
