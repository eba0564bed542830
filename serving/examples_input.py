"""The examples of a Classify, Regress or MultiInference request.

In: an Input: a list of tf.Examples, with or without a context that all of
them share. Out: a string tensor of serialised tf.Examples, and what a model
makes of it. Texts are those of tensorflow/serving's servables/tensorflow/
util.cc.
"""

import numpy as np
from tensorflow_serving.apis import input_pb2

from serving import status
from serving.limits import RequestLimits


def serialized(
    request_input: input_pb2.Input, limits: RequestLimits
) -> np.ndarray:
    """The examples as an object array of bytes [number of examples].

    A shared context comes before each example's own bytes, so that its
    features are merged into every example, and an example's own ones win.

    Raises:
      ServingError: INVALID_ARGUMENT: no examples, or beyond the limits.
    """
    kind = request_input.WhichOneof("kind")
    # Without a kind its default stands in: a list of nothing.
    chosen = getattr(request_input, kind or "example_list")
    if not chosen.examples:
        raise status.invalid("Input is empty.")
    limits.check_elements("examples", len(chosen.examples))
    context = b""
    if kind == "example_list_with_context":
        context = chosen.context.SerializeToString()
    found = np.empty(len(chosen.examples), object)
    for place, example in enumerate(chosen.examples):
        found[place] = context + example.SerializeToString()
    limits.check_images("examples", found)
    return found
