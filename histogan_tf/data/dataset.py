"""From records to training batches, as a pure function of the step.

In: record files (`records.py`) and a manifest. Out: tf.data pipelines of
batches: image float32 [B, c, c, 3] in [-1, 1], labels float32 [B, c, c, N]
(soft one-hot, zero = no label), style float32 [B, 6], seed int64 [B].

Tiles are decoded once, averaged to the stage's um/px and kept in memory as
uint8 (`tile_memory.py`), if that has room for all of them; else they are
decoded whenever they are drawn. Each epoch is shuffled by a seed of its own
(`epochs.py`), so a pipeline that starts at step n gives what an uninterrupted
one gives from step n on.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from histogan_tf.config import AugmentConfig
from histogan_tf.data import augment, colour, epochs, records, tile_memory
from histogan_tf.data.remote import Place
from histogan_tf.preprocess import to_uint8, to_unit

_FOREVER = 1 << 60
# AutoGraph takes seconds to read functions that have nothing for it.
_as_is = tf.autograph.experimental.do_not_convert


@dataclass(frozen=True)
class Scale:
    """um/px of the crops, and of the tile's style (the coarsest stage's)."""

    mpp: float
    style_mpp: float
    classes: int


@dataclass(frozen=True)
class Draw:
    """How training reaches tiles.

    `epoch` of a seed gives references to all of them in any order, `fetch`
    the tile of one.
    """

    epoch: Callable[[tf.Tensor], tf.data.Dataset]
    fetch: Callable[[tf.Tensor], dict[str, tf.Tensor]]


@dataclass(frozen=True)
class Tiles:
    """A repeatable set of tiles at one scale, and how many there are.

    `draw` is None where nothing is trained on them.
    """

    dataset: tf.data.Dataset
    count: int
    draw: Draw | None = None


@dataclass(frozen=True)
class CropSettings:
    """Crops of a batch: `batch` in all, `labelled` of them labelled."""

    size: int
    batch: int
    labelled: int
    seed: int
    augment: AugmentConfig


def load_tiles(
    shards: Sequence[Place], count: int, scale: Scale, cache: bool
) -> Tiles:
    """Tiles of record files, decoded and averaged to a scale.

    Args:
      shards: TFRecord files, in order; `count` tiles in all.
      scale: see `Scale`.
      cache: keep the decoded tiles in memory.
    """
    tiles = every_nth(shards, scale, 1)
    if cache:
        return kept(tiles.as_numpy_iterator(), count)
    draw = Draw(functools.partial(epochs.of_records, shards), _decoder(scale))
    return Tiles(tiles, count, draw)


def every_nth(
    shards: Sequence[Place], scale: Scale, step: int, first: int = 0
) -> tf.data.Dataset:
    """Tiles `first`, `first + step`, ... of record files, averaged to a scale.

    No other tile is decoded, and none is kept.
    """
    files = tf.data.TFRecordDataset([str(p) for p in shards])
    return (
        files.skip(first)
        .shard(step, 0)
        .map(
            _decoder(scale),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
    )


@functools.cache
def _decoder(scale: Scale) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """From a record to a tile, traced once: a run has a dozen such pipelines.

    A quarter of the ops that it traced were theirs.
    """
    traced = tf.function(
        lambda text: at_scale(records.decode(text), scale),
        input_signature=[tf.TensorSpec([], tf.string)],
        autograph=False,
    )
    return _as_is(traced)


def kept(tiles: Iterable[dict[str, np.ndarray]], count: int) -> Tiles:
    """The same tiles, kept in memory."""
    fetch = _as_is(tile_memory.keep(tiles).fetch)
    draw = Draw(functools.partial(epochs.of_numbers, count), fetch)
    return Tiles(tf.data.Dataset.range(count).map(fetch), count, draw)


def styles(
    shards: Sequence[Place], mpp: float
) -> list[tuple[str, np.ndarray, float]]:
    """Name, style (float32 [6]) and share of tissue of each stored tile."""

    @_as_is
    def measure(serialized):
        tile = records.decode(serialized)
        small = to_unit(resample(tile["image"], tile["mpp"], mpp))
        share = colour.tissue_share(small)
        return tile["name"], colour.style_of(small), share

    files = tf.data.TFRecordDataset([str(p) for p in shards])
    measured = files.map(measure, tf.data.AUTOTUNE, deterministic=True)
    return [
        (name.decode(), style, float(share))
        for name, style, share in measured.as_numpy_iterator()
    ]


def at_scale(tile: dict[str, tf.Tensor], scale: Scale) -> dict[str, tf.Tensor]:
    """A decoded tile, averaged to `scale`.

    Returns:
      image uint8 [h, w, 3], labels uint8 [h, w, N] (255 = whole pixel),
      style float32 [6].
    """
    image = resample(tile["image"], tile["mpp"], scale.mpp)
    small = resample(tile["image"], tile["mpp"], scale.style_mpp)
    labels = tf.one_hot(tile["mask"], scale.classes, on_value=255.0)
    labels = resample(labels, tile["mpp"], scale.mpp)
    return {
        "image": to_uint8(image),
        "labels": to_uint8(labels),
        "style": colour.style_of(to_unit(small)),
    }


def resampled_side(side: int, mpp: float, target: float) -> int:
    """How many px `resample` makes of a side: rounded in float32, as there."""
    exact = np.float32(side) * np.float32(mpp) / np.float32(target)
    return max(1, int(np.round(exact)))


def resample(image: tf.Tensor, mpp: tf.Tensor, target: float) -> tf.Tensor:
    """Area average of [H, W, C] from `mpp` to `target` um/px, float32."""
    size = tf.cast(tf.shape(image)[:2], tf.float32) * mpp / target
    size = tf.maximum(tf.cast(tf.round(size), tf.int32), 1)
    resized = tf.image.resize(image[None], size, "area")
    return tf.ensure_shape(resized[0], [None, None, image.shape[-1]])


def labelled_count(batch: int, share: float) -> int:
    """Labelled images in a batch: the share, but one of each kind at least."""
    most = batch if share == 1 else batch - 1
    return max(1, min(most, round(batch * share)))


def training_batches(
    labelled: Tiles,
    unlabelled: Tiles | None,
    settings: CropSettings,
    start: int = 0,
    rows: range | None = None,
) -> tf.data.Dataset:
    """Endless batches of augmented crops, beginning at step `start`.

    Labelled crops come first in a batch.

    Args:
      labelled: tiles with masks.
      unlabelled: tiles without; None when the batch is all labelled.
      settings: sizes, seed, augmentation.
      start: number of batches already used.
      rows: one piece of every batch, as for one machine of several; only its
        crops are cut. All by default.
    """
    rows, border = rows or range(settings.batch), settings.labelled
    first = range(rows.start, min(rows.stop, border))
    last = range(max(rows.start, border) - border, rows.stop - border)
    streams = []
    if first:
        streams.append(_crops(labelled, settings, border, start, 0, first))
    if last:
        if unlabelled is None:
            raise ValueError("a batch with unlabelled crops needs such tiles")
        rest = settings.batch - border
        streams.append(_crops(unlabelled, settings, rest, start, 1, last))
    batches = tf.data.Dataset.zip(tuple(streams)).map(
        _as_is(lambda *parts: augment.augment(_join(parts), settings.augment)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    # Strategies ask no other machine whether there is a next batch, then.
    endless = tf.data.experimental.assert_cardinality(
        tf.data.INFINITE_CARDINALITY
    )
    return batches.apply(endless).prefetch(tf.data.AUTOTUNE)


def _join(parts: tuple[dict[str, tf.Tensor], ...]) -> dict[str, tf.Tensor]:
    return {k: tf.concat([p[k] for p in parts], axis=0) for k in parts[0]}


def _crops(tiles, settings, count, start, stream, rows):
    """Of batches of `count` crops from one set of tiles, these rows."""
    first, draw = start * count, tiles.draw
    if draw is None:
        raise ValueError("tiles that are trained on need a way to draw them")
    base = _spread(settings.seed)

    @_as_is
    def mine(position, _):
        row = position % count
        return (rows.start <= row) & (row < rows.stop)

    @_as_is
    def cut(position, drawn):
        # The place in the stream is the seed: nothing else is random.
        seed = base + position * 2 + stream
        tile = draw.fetch(drawn)
        return augment.crop(tile, seed, settings.size, settings.augment.scale)

    positions = tf.data.Dataset.range(first, _FOREVER)
    epoch, offset = divmod(first, tiles.count)
    shuffled = _epochs(draw, settings.seed * 2 + stream, epoch).skip(offset)
    chosen = tf.data.Dataset.zip((positions, shuffled))
    if len(rows) < count:
        chosen = chosen.filter(mine)
    return chosen.map(
        cut, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    ).batch(len(rows), drop_remainder=True)


def _spread(seed: int) -> int:
    """A start in [0, 2**62) for each seed, far from its neighbours'."""
    return seed * 0x9E3779B97F4A7C15 % (1 << 62)


def _epochs(draw: Draw, seed: int, first: int) -> tf.data.Dataset:
    """Endless passes over the tiles, each in an order of its own.

    Out: what `draw.fetch` takes.
    """
    numbers = tf.data.Dataset.range(first, _FOREVER)
    return numbers.flat_map(
        _as_is(lambda n: draw.epoch(n * 1_000_003 + seed + 1))
    )
