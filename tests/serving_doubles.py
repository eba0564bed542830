"""A model and a manager made of a Python function, for tests without files.

They have the interfaces of serving.servable and serving.manager, and keep
what they were asked.
"""

import contextlib
import types

from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from serving import status


def signature(inputs, outputs, method="tensorflow/serving/predict"):
    """A SignatureDef; `inputs` and `outputs` map alias to DataType name.

    The tensor of alias `a` is `a:0`.
    """
    made = meta_graph_pb2.SignatureDef(method_name=method)
    for side, infos in ((made.inputs, inputs), (made.outputs, outputs)):
        for alias, kind in infos.items():
            side[alias].name = f"{alias}:0"
            side[alias].dtype = getattr(types_pb2, kind)
    return made


class FunctionServable:
    """Runs `function(feeds) -> {tensor name: array}`."""

    def __init__(self, signatures, function):
        self.signatures, self.function = signatures, function
        self.calls, self.closed = [], False

    def run(self, feeds, fetches, timeout=None):
        self.calls.append((feeds, fetches, timeout))
        found = self.function(feeds)
        return [found[name] for name in fetches]

    def close(self):
        self.closed = True


class OneModel:
    """A manager of version 7 of the model `m`."""

    def __init__(self, servable):
        self.servable = servable

    @contextlib.contextmanager
    def handle(self, spec):
        if not spec.name:
            raise status.invalid("ModelSpec has no name specified.")
        if spec.name != "m":
            text = f"Servable not found for request: Latest({spec.name})"
            raise status.not_found(text)
        yield types.SimpleNamespace(servable=self.servable, name="m", version=7)
