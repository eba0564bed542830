"""Any window of an image of any size: classes and their probabilities.

In: an image `Source` at the run's finest um/px and a window. Out: the window's
likeliest classes, and as asked all probabilities, the same as `canvas.Reader`
(the final segmenter alone) or `Canvas.segment` (the pyramid's, coarse to
fine) give for the whole, to 1e-4, in constant memory and whatever the grid of
windows.

Each stage reads what the next one needs (`regions.py`); the image is mirrored
beyond its border as far as those two do it.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from histogan_tf import canvas, halo, preprocess, regions, sources
from histogan_tf.config import SegmenterConfig
from histogan_tf.models import layers
from histogan_tf.models.segmenter import SegmentationNetwork
from histogan_tf.pyramid import Pyramid
from histogan_tf.regions import Box, Layout, Need
from histogan_tf.sources import Source
from histogan_tf.tensor_boxes import cut, start_of


class WindowReader:
    """Segmenters that read windows; two graphs serve all.

    They take the int64 [stages, 3, 4] boxes of `regions.to_array`, the
    image's origin int64 [2] and the image uint8 [h, w, 3], and give the
    finest stage's result box.
    """

    def __init__(self, networks: Sequence[SegmentationNetwork], layout: Layout):
        """Traces nothing yet; networks and needs are coarsest first."""
        self.networks, self.layout = networks, layout
        signature = [
            tf.TensorSpec([len(networks), 3, 4], tf.int64),
            tf.TensorSpec([2], tf.int64),
            tf.TensorSpec([None, None, 3], tf.uint8),
        ]
        # Nothing here is for AutoGraph, which doubles the time of tracing.
        self._label_graph = tf.function(
            self._labels, input_signature=signature, autograph=False
        )
        self._graph = tf.function(
            self._labels_and_probabilities,
            input_signature=signature,
            autograph=False,
        )

    def surroundings(self, source: Source, window: Box) -> np.ndarray:
        """The image that a window's stages see, uint8 [h, w, 3], mirrored.

        Raises:
          InputError: the window is empty or leaves the image.
        """
        sources.check_window(source, window)
        _, box = self.layout.plan(source.height, source.width, window)
        return sources.mirrored(source, box)

    def labels(
        self, source: Source, window: Box, image: np.ndarray
    ) -> np.ndarray:
        """The likeliest class of each pixel of a window, uint8 [h, w].

        Args:
          source: the whole image, at the finest um/px.
          window: of it, px.
          image: what `surroundings` gave, perhaps in another thread.
        """
        places = self._places(source, window)
        return self._label_graph(*places, image).numpy()

    def labels_and_probabilities(
        self, source: Source, window: Box, image: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same `labels`, and all probabilities, float32 [h, w, N]."""
        places = self._places(source, window)
        ids, probabilities = self._graph(*places, image)
        return ids.numpy(), probabilities.numpy()

    def _places(
        self, source: Source, window: Box
    ) -> tuple[np.ndarray, np.ndarray]:
        found, box = self.layout.plan(source.height, source.width, window)
        origin = np.array([box.top, box.left], np.int64)
        return regions.to_array(found), origin

    def _labels(self, boxes, origin, image):
        return self._labels_and_probabilities(boxes, origin, image)[0]

    def _labels_and_probabilities(self, boxes, origin, image):
        logits = self._logits(boxes, origin, image)
        ids = tf.cast(tf.argmax(logits, -1, tf.int32), tf.uint8)
        return ids, tf.nn.softmax(logits)

    def _logits(self, boxes, origin, image):
        count = len(self.networks)
        unit = preprocess.to_unit(image[None])
        images = layers.levels_of(unit, count)[::-1]
        logits: tf.Tensor | None = None
        for index, network in enumerate(self.networks):
            result, body, _ = tf.unstack(boxes[index])
            start = origin // 2 ** (count - 1 - index)
            seen = cut(images[index], start, body)
            opinion = None
            if logits is not None:
                before = 2 * start_of(boxes[index - 1, 0])
                coarse = tf.nn.softmax(logits)
                opinion = cut(layers.double(coarse), before, body)
            found = network(seen, opinion)
            logits = cut(found, start_of(body), result)
        assert logits is not None, self.networks
        return logits[0]


def of_segmenter(
    network: SegmentationNetwork, settings: SegmenterConfig
) -> WindowReader:
    """One segmenter alone, as `canvas.Reader` reads."""
    reach = halo.read_halo(settings.network, settings.patch)
    stride = network.stride
    border = canvas.segmenter_border(stride)
    layout = Layout((Need(stride, reach, reach),), stride, border)
    return WindowReader([network], layout)


def of_pyramid(pyramid: Pyramid) -> WindowReader:
    """The stages' segmenters, each refining the coarser one's result."""
    needs = []
    for stage in pyramid.config.stages:
        reach = halo.read_halo(stage.segmenter, stage.segmenter_patch)
        needs.append(Need(max(2, stage.stride("segmenter")), reach, reach))
    layout = Layout(
        tuple(needs), pyramid.multiple, canvas.border(len(pyramid.stages))
    )
    networks = [stage.segmenter for stage in pyramid.stages]
    return WindowReader(networks, layout)
