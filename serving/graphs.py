"""A signature's graph: a function with named and typed inputs.

In: a Python function of tensors. Out: a `tf.function` whose inputs are named
as in the signature.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

# tf.function's own type is not public in TensorFlow 2.15.
GraphFunction = Any
STRINGS = tf.TensorSpec([None], tf.string)


def graph(
    function: Callable[..., dict[str, tf.Tensor]], **inputs: tf.TensorSpec
) -> GraphFunction:
    """One graph for all sizes; `inputs` by the function's argument names."""
    named = [tf.TensorSpec(s.shape, s.dtype, n) for n, s in inputs.items()]
    # AutoGraph would read every function below it and find nothing to do.
    return tf.function(function, input_signature=named, autograph=False)
