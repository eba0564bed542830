"""Ops of an export against those of a plain TensorFlow."""

import sys

import pytest
from tensorflow.core.protobuf import saved_model_pb2

from histogan_tf.errors import InputError
from serving import stock_ops


def test_an_export_holds_stock_ops_only(random_export):
    names = stock_ops.operations(random_export)
    assert {"Conv2D", "DecodePng", "EncodePng", "Assert"} <= names
    # A process of its own: this one has imported Addons.
    assert "tensorflow_addons" in sys.modules
    stock_ops.check(random_export)


def save(folder, *ops, in_function=()):
    model = saved_model_pb2.SavedModel()
    graph = model.meta_graphs.add().graph_def
    for op in ops:
        graph.node.add(op=op, name=op)
    function = graph.library.function.add()
    function.signature.name = "mine"
    for op in in_function:
        function.node_def.add(op=op, name=op)
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())
    return folder


def test_foreign_ops_are_named_wherever_they_are(tmp_path):
    folder = save(
        tmp_path / "bad",
        "NoOp",
        "mine",  # a call of the function
        "Addons>Resampler",
        in_function=["IO>DecodeTiff", "Add"],
    )
    found = stock_ops.operations(folder)
    assert found == {"NoOp", "Add", "Addons>Resampler", "IO>DecodeTiff"}
    with pytest.raises(InputError) as caught:
        stock_ops.check(folder)
    text = str(caught.value)
    assert text.startswith(f"{folder}: ops that TensorFlow Serving does not")
    assert text.endswith(": Addons>Resampler, IO>DecodeTiff")


def test_what_addons_registers_does_not_pass_here(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_io", sys)
    with pytest.raises(AssertionError, match="tensorflow_io"):
        stock_ops.foreign(["NoOp"])


@pytest.mark.parametrize("data", [None, b"no protobuf"])
def test_no_saved_model(tmp_path, data):
    if data:
        (tmp_path / "saved_model.pb").write_bytes(data)
    with pytest.raises(InputError, match="no SavedModel"):
        stock_ops.operations(tmp_path)
