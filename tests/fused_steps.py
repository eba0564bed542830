"""A batch that a step can be traced with, and what XLA compiles of it."""

import numpy as np
import tensorflow as tf


def compiled(graph):
    """How many functions of a graph XLA compiles."""
    return sum(
        function.attr["_XlaMustCompile"].b
        for function in graph.as_graph_def().library.function
    )


def batch():
    rng = np.random.default_rng(3)
    labels = np.eye(3)[rng.integers(0, 3, (4, 8, 8))]
    labels[2:] = 0
    return {
        "image": tf.constant(rng.uniform(-1, 1, (4, 8, 8, 3)), tf.float32),
        "labels": tf.constant(labels, tf.float32),
        "style": tf.constant(rng.normal(size=(4, 6)), tf.float32),
        "seed": tf.constant([3, 4, 5, 6], tf.int64),
    }
