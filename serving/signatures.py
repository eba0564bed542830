"""A trained run as a SavedModel with signatures.

In: a run directory. Out: graphs by signature name, and the SavedModel of a
`tf.Module` with them. They hold stock TensorFlow ops only and give float32,
uint8 and bytes, whatever precision the run was trained in.

    serving_default = segment, segment_tensor, segment_float, examples
                                           (`segment_signatures.py`)
    generate, generate_window              (`generate_signatures.py`)
    about: the model card as JSON, so that clients need no file of the server
"""

import os
from dataclasses import dataclass

import tensorflow as tf

from histogan_tf import halo, run_dir
from histogan_tf.canvas import Canvas, Reader
from histogan_tf.data.dataset import Scale
from histogan_tf.run_dir import RunDir
from serving.generate_signatures import GenerateSignatures
from serving.graphs import STRINGS, GraphFunction, graph
from serving.reach import Reach
from serving.segment_signatures import SegmentSignatures

DEFAULT = "segment"


@dataclass(frozen=True)
class Networks:
    """A run's networks, built, with the library's own functions."""

    canvas: Canvas
    reader: Reader
    scale: Scale

    @property
    def paint_reach(self) -> Reach:
        """Of `generate_window`; its halo is whole strides."""
        pyramid = self.canvas.pyramid
        pixels = halo.paint_halo(pyramid.config)
        return Reach(halo.rounded(pixels, pyramid.multiple), pyramid.multiple)

    @property
    def read_reach(self) -> Reach:
        """Of the segmenting signatures; its halo is whole strides."""
        settings = self.canvas.pyramid.config.segmenter
        pixels = halo.read_halo(settings.network, settings.patch)
        stride = self.reader.network.stride
        return Reach(halo.rounded(pixels, stride), stride)

    def variables(self) -> list[tf.Variable]:
        """Every weight."""
        networks = [self.reader.network]
        networks += [s.generator for s in self.canvas.pyramid.stages]
        return [v for network in networks for v in network.variables]


class Weights(tf.Module):
    """What is saved beside the signatures: the variables that they use."""

    def __init__(self, networks: Networks):
        """Tracks weights, not Keras models, which would add own graphs."""
        super().__init__()
        self.weights = networks.variables()


def graphs_of(networks: Networks, max_pixels: int) -> dict[str, GraphFunction]:
    """Every signature but `about`, by name; nothing is traced yet.

    Args:
      networks: of `open_networks`.
      max_pixels: larger images are refused before they are decoded.
    """
    segment = SegmentSignatures(networks.reader, networks.scale, max_pixels)
    generate = GenerateSignatures(
        networks.canvas, networks.paint_reach.halo, max_pixels
    )
    graphs = segment.graphs() | generate.graphs()
    return graphs | {"serving_default": graphs[DEFAULT]}


_QUESTIONS = 64


def about(card: str) -> GraphFunction:
    """The signature that answers the model card, whatever it is asked."""

    def answer(question: tf.Tensor) -> dict[str, tf.Tensor]:
        # Shapes are cheap to send, and each row is a copy of the card.
        few = tf.debugging.Assert(
            tf.size(question) <= _QUESTIONS,
            [f"question: up to {_QUESTIONS} rows are allowed"],
        )
        with tf.control_dependencies([few]):
            return {"model_card": tf.fill(tf.shape(question), card)}

    return graph(answer, question=STRINGS)


def save(
    folder: str | os.PathLike,
    networks: Networks,
    graphs: dict[str, GraphFunction],
) -> None:
    """Writes a SavedModel of the graphs and the networks' weights."""
    tf.saved_model.save(
        Weights(networks),
        os.fspath(folder),
        {name: g.get_concrete_function() for name, g in graphs.items()},
    )


def open_networks(run: RunDir) -> Networks:
    """Loads the pyramid and the final segmenter.

    Raises:
      InputError: a phase has no checkpoint, or one of other networks.
    """
    config, classes = run.config(), run.classes().count
    network, pyramid = run_dir.load_segmenter(run), run_dir.load_pyramid(run)
    return Networks(
        Canvas(pyramid),
        Reader(network),
        Scale(config.finest_mpp, config.stage_mpp(0), classes),
    )
