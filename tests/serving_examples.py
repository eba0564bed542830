"""A model with a Classify and a Regress head, and requests for it."""

import numpy as np
import tensorflow as tf
from serving_doubles import FunctionServable, signature

from serving.inference import CLASSIFY, REGRESS


def examples(*values):
    """tf.Examples with a feature x each."""
    return [
        tf.train.Example(
            features=tf.train.Features(
                feature={
                    "x": tf.train.Feature(
                        float_list=tf.train.FloatList(value=[value])
                    )
                }
            )
        )
        for value in values
    ]


def parsed(serialized):
    """What a graph reads: x of every example."""
    features = {"x": tf.io.FixedLenFeature([], tf.float32)}
    return tf.io.parse_example(list(serialized), features)["x"].numpy()


def two_heads():
    """Classes small and large with scores 1-x and x; regress gives 2x."""

    def function(feeds):
        x = parsed(feeds["inputs:0"])
        labels = np.array([[b"small", b"large"]] * len(x), object)
        return {
            "classes:0": labels,
            "scores:0": np.stack([1 - x, x], axis=1),
            "outputs:0": 2 * x[:, None],
        }

    string, real = "DT_STRING", "DT_FLOAT"
    classify = signature(
        {"inputs": string}, {"classes": string, "scores": real}, CLASSIFY
    )
    regress = signature({"inputs": string}, {"outputs": real}, REGRESS)
    return FunctionServable(
        {"serving_default": classify, "classify": classify, "regress": regress},
        function,
    )
