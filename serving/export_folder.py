"""One exported version: BASE/<version>/, whole, checked, or not there.

In: a run, its networks, what the export is told. Out: the folder, with

    saved_model.pb  variables/  assets/
    assets.extra/{model_card.json,model_card.md,tf_serving_warmup_requests}

Until it is complete its name begins with a dot, and servers pass over it.
Before it gets its name, the saved model is read back: it must hold stock
TensorFlow ops only, every signature must answer as the library does, and the
warm-up requests must run.
"""

import pathlib

import tensorflow as tf

from histogan_tf.errors import InputError
from histogan_tf.files import atomic_directory
from histogan_tf.run_dir import RunDir
from serving import (
    export_check,
    model_card,
    signatures,
    stock_ops,
    warmup_records,
)
from serving.model_card import Export
from serving.signatures import Networks


def write(
    base: pathlib.Path, run: RunDir, networks: Networks, export: Export
) -> pathlib.Path:
    """Exports, checks and names a version.

    Returns:
      The folder, `base / version`.

    Raises:
      InputError: it exists, the model fails a check, or `max_pixels` is
        too small for a window or a warm-up size.
    """
    check_limit(networks, export.max_pixels)
    warmup_records.check_sizes(export.warm_up, networks, export.max_pixels)
    target = base / str(export.version)
    with atomic_directory(target) as folder:
        _fill(folder, run, networks, export)
    return target


def check_limit(networks: Networks, max_pixels: int) -> None:
    """Raises InputError unless the smallest window with its halo fits."""
    reach = networks.paint_reach
    least = (2 * reach.halo + reach.multiple) ** 2
    if max_pixels < least:
        raise InputError(
            f"--max_pixels {max_pixels}: the smallest window of"
            f" `generate_window` has {least} pixels with its halo; allow that"
        )


def _fill(
    folder: pathlib.Path, run: RunDir, networks: Networks, export: Export
) -> None:
    # TensorFlow tells of every file that it writes.
    tf.get_logger().setLevel("ERROR")
    graphs = signatures.graphs_of(networks, export.max_pixels)
    # The card lists all signatures, also the one that answers the card.
    blank = signatures.about("")
    card = model_card.card_of(run, networks, graphs | {"about": blank}, export)
    text = model_card.to_text(card)
    signatures.save(
        folder, networks, graphs | {"about": signatures.about(text)}
    )
    model_card.write(folder, card)
    warmup_records.write(
        folder, warmup_records.requests(networks, export.warm_up, export.name)
    )
    stock_ops.check(folder)
    export_check.check(folder, networks, text)
