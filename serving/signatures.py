"""A trained run as a `tf.Module` with signatures, ready to be saved.

In: a run directory. Out: `ServedRun`, whose graphs hold stock TensorFlow ops
only and take and give float32, uint8, int64 and bytes, whatever precision
the run was trained in.

    serving_default = segment, segment_tensor, segment_float, examples
                                           (`segment_signatures.py`)
    generate, generate_window              (`generate_signatures.py`)
    about: the model card as JSON, so that clients need no file of the server

The module tracks the networks' weights, not the Keras models, which would
add graphs of their own to what is saved.
"""

from dataclasses import dataclass

import tensorflow as tf

from histogan_tf import halo, run_dir
from histogan_tf.canvas import Canvas, Reader, segment_with
from histogan_tf.data.dataset import Scale
from histogan_tf.run_dir import RunDir
from serving.generate_signatures import GenerateSignatures
from serving.graphs import STRINGS, GraphFunction, graph
from serving.segment_signatures import SegmentSignatures

DEFAULT = "segment"


@dataclass(frozen=True)
class Window:
    """How to cut windows: pixels around them, and what they divide by."""

    halo: int
    multiple: int


@dataclass(frozen=True)
class Networks:
    """A run's networks, built, with the library's own functions."""

    canvas: Canvas
    reader: Reader
    scale: Scale

    @property
    def paint_window(self) -> Window:
        """Windows of `generate_window`."""
        pyramid = self.canvas.pyramid
        reach = halo.paint_halo(pyramid.config)
        return Window(halo.rounded(reach, pyramid.multiple), pyramid.multiple)

    @property
    def read_window(self) -> Window:
        """Windows of the segmenting signatures."""
        settings = self.canvas.pyramid.config.segmenter
        reach = halo.read_halo(settings.network, settings.patch)
        stride = self.reader.network.stride
        return Window(halo.rounded(reach, stride), stride)

    def variables(self) -> list[tf.Variable]:
        """Every weight."""
        networks = [self.reader.network]
        networks += [s.generator for s in self.canvas.pyramid.stages]
        return [v for network in networks for v in network.variables]


class ServedRun(tf.Module):
    """The weights and the signatures' graphs by name."""

    def __init__(self, networks: Networks, max_pixels: int):
        """Traces nothing yet."""
        super().__init__()
        self.weights = networks.variables()
        segment = SegmentSignatures(networks.reader, networks.scale, max_pixels)
        generate = GenerateSignatures(
            networks.canvas, networks.paint_window.halo, max_pixels
        )
        self.graphs = segment.graphs() | generate.graphs()

    def add_about(self, card: str) -> None:
        """Adds the signature `about`, which answers the model card."""

        def about(question: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"model_card": tf.fill(tf.shape(question), card)}

        self.graphs["about"] = graph(about, question=STRINGS)

    def signatures(self) -> dict[str, GraphFunction]:
        """What `tf.saved_model.save` takes."""
        found = {
            name: function.get_concrete_function()
            for name, function in self.graphs.items()
        }
        return found | {"serving_default": found[DEFAULT]}


def open_networks(run: RunDir) -> Networks:
    """Loads and builds the pyramid and the final segmenter.

    Raises:
      InputError: a phase has no checkpoint.
    """
    config, classes = run.config(), run.classes().count
    network, pyramid = run_dir.load_segmenter(run), run_dir.load_pyramid(run)
    networks = Networks(
        Canvas(pyramid),
        segment_with(network, classes),
        Scale(config.finest_mpp, config.stage_mpp(0), classes),
    )
    # Restored weights arrive when a network is first called.
    side = pyramid.multiple
    pyramid.paint(
        tf.zeros([1, side, side, classes]),
        tf.zeros([1, 6]),
        tf.zeros([1], tf.int64),
    )
    stride = network.stride
    network(
        tf.zeros([1, stride, stride, 3]), tf.zeros([1, stride, stride, classes])
    )
    return networks
