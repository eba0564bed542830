"""In which order an epoch shows the tiles, as a pure function of its seed.

In: a number of tiles in memory, or record files; the epoch's seed. Out: a
tf.data pipeline of numbers, or of serialised tiles, each once.

Nothing here has a state of its own. With op determinism on, tf.data makes
every map and prefetch of a pipeline sequential that shuffles by a stateful op
inside `flat_map`; and as tiles are shuffled before they are decoded, memory
holds PNG files, not pixels, and no machine decodes the tiles of another.
"""

from collections.abc import Sequence

import tensorflow as tf

from histogan_tf.data.remote import Place
from histogan_tf.models import noise
from histogan_tf.models.noise import Stream

# Records that are shuffled among each other, and files that they come from:
# two windows of tiles of 1024 px are about a gigabyte.
_WINDOW, _FILES = 256, 8
# AutoGraph takes seconds to read functions that have nothing for it.
_as_is = tf.autograph.experimental.do_not_convert


def of_numbers(count: int, seed: tf.Tensor) -> tf.data.Dataset:
    """0, 1, ... `count` - 1 in any order: int32 scalars.

    `seed` is an int64 scalar.
    """
    return tf.data.Dataset.from_tensor_slices(_order(count, seed))


def of_records(shards: Sequence[Place], seed: tf.Tensor) -> tf.data.Dataset:
    """Serialised tiles of record files: string scalars.

    The files come in any order, some at once; so many as fit into a window
    are mixed. `seed` is an int64 scalar.
    """
    order = _order(len(shards), seed)
    paths = tf.gather(tf.constant([str(p) for p in shards]), order)
    records = tf.data.Dataset.from_tensor_slices(paths).interleave(
        tf.data.TFRecordDataset,
        cycle_length=_FILES,
        block_length=1,
    )

    @_as_is
    def mixed(window):
        order = _order(_WINDOW, seed)
        order = tf.boolean_mask(order, order < tf.size(window))
        return tf.data.Dataset.from_tensor_slices(tf.gather(window, order))

    return records.batch(_WINDOW).prefetch(1).flat_map(mixed)


def _order(count: int, seed: tf.Tensor) -> tf.Tensor:
    rank = noise.uniform(seed[None], Stream.EPOCH_ORDER, count)[0]
    return tf.argsort(rank, stable=True)
