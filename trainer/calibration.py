"""Statistics of a trained segmenter's batch norms, taken from whole tiles.

In: the averaged segmenter of a trained phase; tiles at its scale. Out: its
moving means and variances are those of whole tiles as they are, which is what
it will be asked to read; while it trained they followed augmented crops, a
good part of whose features feel the crop's edge. A stage above 0 will read
them with a coarser stage's opinion; as stages are independent, its own first
reading, averaged 2x2, stands for that.

No label is needed, so tiles that nobody labelled take part, which fits the
network to slides that its labels know nothing of.

Sources: precise batch norm, Wu & Johnson 2021 (arXiv:2105.07576); statistics
of unlabelled images, Li et al. 2018 (AdaBN, Pattern Recognition 80).
"""

from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow as tf

from histogan_tf import preprocess
from histogan_tf.canvas import padding, segmenter_border
from histogan_tf.data import dataset
from histogan_tf.models import batch_norm
from histogan_tf.models.segmenter import Segmenter, no_opinion, read_twice
from trainer.training_data import TrainingData

# Bounds the time and the memory that large sets take.
_TILES, _SIDE = 64, 1024


def images(source: TrainingData, mpp: float) -> Iterator[np.ndarray]:
    """Up to 64 training tiles that the run knows, spread over all of them.

    Yields:
      uint8 [H, W, 3] at `mpp`, 1024 px a side at most.
    """
    train, scale = source.manifest.split("train"), source.scale(mpp)
    kinds = source.known_kinds()
    counts = [len(getattr(train, kind).images) for kind in kinds]
    every, place = -(-sum(counts) // _TILES), 0
    for kind, count in zip(kinds, counts, strict=True):
        shards = source.manifest.shard_paths("train", kind)
        if count:
            tiles = dataset.every_nth(shards, scale, every, -place % every)
            for tile in tiles.as_numpy_iterator():
                yield tile["image"][:_SIDE, :_SIDE]
        place += count


def calibrate(
    network: Segmenter, tiles: Iterable[np.ndarray], refines: bool = False
) -> None:
    """Sets the network's moving means and variances, of any strategy.

    Args:
      network: built; each of several workers must call this alike.
      tiles: one or more uint8 images [H, W, 3]; all weigh the same.
      refines: whether it is to read them with a coarser opinion.
    """
    twin = _twin(network)
    norms = _norms(twin)
    for norm in norms:
        norm.momentum = 0.0  # what the last image has, is kept

    # Nothing here is for AutoGraph, which doubles the time of tracing.
    @tf.function(
        input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8)],
        autograph=False,
    )
    def read(image):
        stride = max(2, twin.stride)
        pad = padding(tf.shape(image)[1:], stride, segmenter_border(stride))
        padded = preprocess.to_unit(pad.pad(image, 1))
        if refines:
            return read_twice(twin, padded, training=True)
        return twin(padded, no_opinion(padded, twin.classes), training=True)

    sums = [[0.0, 0.0] for _ in norms]
    count = 0
    for image in tiles:
        read(image[None])
        count += 1
        for both, norm in zip(sums, norms, strict=True):
            mean = norm.moving_mean.numpy().astype(np.float64)
            both[0] += mean
            both[1] += norm.moving_variance.numpy() + mean**2
    for (mean, square), norm in zip(sums, _norms(network), strict=True):
        mean = mean / count
        norm.moving_mean.assign(mean)
        norm.moving_variance.assign(np.maximum(square / count - mean**2, 0))


def _twin(network: Segmenter) -> Segmenter:
    """The same weights on one device, without the strategy's replicas."""
    twin = Segmenter(network.config, network.classes, network.patch)
    twin.make_variables()
    pairs = zip(
        twin.trainable_variables, network.trainable_variables, strict=True
    )
    for old, new in pairs:
        old.assign(new.numpy())
    return twin


def _norms(network: Segmenter) -> list[batch_norm.BatchNorm]:
    """In an order that only the network's shape decides."""
    kind = batch_norm.BatchNorm
    return [part for part in network.submodules if isinstance(part, kind)]
