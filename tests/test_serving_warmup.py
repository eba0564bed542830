"""Warm-up requests, replayed before a model serves."""

import struct

import numpy as np
import pytest
import serving_models
import tensorflow as tf
from serving_doubles import FunctionServable, signature
from serving_managers import (
    QUICK,
    ask,
    eventually,
    hidden,
    put,
    started,
    states,
)
from tensorflow.python.util import deprecation
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    predict_pb2,
    prediction_log_pb2,
    regression_pb2,
)

from serving import servable, warmup
from serving.status import ServingError

Log = prediction_log_pb2.PredictionLog


class Counted:
    """A servable that counts its runs."""

    def __init__(self, model):
        self.model, self.signatures, self.runs = model, model.signatures, 0

    def run(self, *args):
        self.runs += 1
        return self.model.run(*args)


@pytest.fixture
def heads(tmp_path):
    folder = serving_models.heads(tmp_path / "heads")
    model = servable.load(folder, servable.Threads(1, 1))
    yield Counted(model), folder
    model.close()


@pytest.fixture
def half(tmp_path):
    base = tmp_path / "half"
    put(base, 1)
    model = servable.load(base / "1", servable.Threads(1, 1))
    yield Counted(model), base / "1"
    model.close()


def predict_log(name="any name", signature="", x=(1.0, 2.0), alias="x"):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    request.inputs[alias].CopyFrom(tf.make_tensor_proto(x, tf.float32))
    return Log(predict_log={"request": request})


def example():
    value = tf.train.Feature(float_list=tf.train.FloatList(value=[0.5]))
    return tf.train.Example(features=tf.train.Features(feature={"x": value}))


def fill(request):
    """A request with a spec and one example, written over the wire."""
    request.model_spec.SetInParent()
    added = request.input.example_list.examples.add()
    added.ParseFromString(example().SerializeToString())
    return request


def refused(code, text, model, folder):
    with pytest.raises(ServingError) as caught:
        warmup.warm_up(model, folder)
    assert caught.value.code.name == code
    assert text in caught.value.message


def test_without_a_file(half):
    warmup.warm_up(*half)
    assert half[0].runs == 0


def test_predict(half):
    model, folder = half
    logs = [predict_log(), predict_log(""), predict_log("m", "serving_default")]
    serving_models.warmup_records(folder, logs)
    warmup.warm_up(model, folder)
    assert model.runs == 3


def test_tensorflow_adds_no_lines_to_the_log(half, caplog, monkeypatch):
    model, folder = half
    serving_models.warmup_records(folder, [predict_log()])
    # It tells of a deprecated function once in a process.
    monkeypatch.setattr(deprecation, "_PRINTED_WARNING", {})
    monkeypatch.setattr(tf.get_logger(), "propagate", True)
    caplog.set_level("INFO")
    warmup.warm_up(model, folder)
    assert [record.name for record in caplog.records] == ["serving.warmup"]


def test_other_kinds(heads):
    model, folder = heads
    classify = fill(classification_pb2.ClassificationRequest())
    regress = fill(regression_pb2.RegressionRequest())
    regress.model_spec.signature_name = "regress"
    multi = inference_pb2.MultiInferenceRequest(input=classify.input)
    task = multi.tasks.add(method_name="tensorflow/serving/classify")
    task.model_spec.name = "heads"
    logs = [
        Log(classify_log={"request": classify}),
        Log(regress_log={"request": regress}),
        Log(multi_inference_log={"request": multi}),
        Log(),  # of no kind: passed over
    ]
    serving_models.warmup_records(folder, logs)
    warmup.warm_up(model, folder)
    assert model.runs == 3


def test_failing_record(half):
    model, folder = half
    serving_models.warmup_records(
        folder, [predict_log(), predict_log(alias="y")]
    )
    refused("INVALID_ARGUMENT", "x", model, folder)
    serving_models.warmup_records(folder, [predict_log(signature="s")])
    text = 'Serving signature key "s" not found.'
    refused("FAILED_PRECONDITION", text, model, folder)


def test_records_may_ask_for_more_than_requests(tmp_path):
    model = FunctionServable(
        {"serving_default": signature({"x": "DT_STRING"}, {"y": "DT_INT64"})},
        lambda feeds: {"y:0": np.array([len(feeds["x:0"])])},
    )
    png = bytearray(tf.io.encode_png(np.zeros((2, 2, 1), np.uint8)).numpy())
    png[16:24] = struct.pack(">II", 2**14, 2**13)  # claims 2**27 pixels
    log = predict_log()
    # 100 copies are left out, which is more than 64, too.
    log.predict_log.request.inputs["x"].CopyFrom(
        tf.make_tensor_proto([bytes(png)], shape=[101])
    )
    serving_models.warmup_records(tmp_path, [log])
    warmup.warm_up(model, tmp_path)
    ((feeds, *_),) = model.calls
    assert feeds["x:0"].tolist() == [bytes(png)] * 101


def test_unsupported_kinds(half):
    model, folder = half
    start = "Unsupported log_type for warmup: "
    serving_models.warmup_records(folder, [Log(session_run_log={})])
    refused("UNIMPLEMENTED", start + "5", model, folder)
    serving_models.warmup_records(folder, [Log(predict_streamed_log={})])
    refused("UNIMPLEMENTED", start + "7", model, folder)


@pytest.mark.parametrize("count", [1000, 1001])
def test_most_records(half, count):
    model, folder = half
    path = serving_models.warmup_records(folder, [Log()] * count)
    if count == 1000:
        warmup.warm_up(model, folder)
    else:
        text = f"Number of warmup records exceeds the maximum (1000) at {path}"
        refused("INVALID_ARGUMENT", text, model, folder)


def test_broken_files(half):
    model, folder = half
    path = serving_models.warmup_records(folder, [predict_log()])
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    refused("DATA_LOSS", "truncated record", model, folder)
    path.write_bytes(b"x" * len(whole))
    refused("DATA_LOSS", "corrupted record", model, folder)
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(b"\xffmalformed")
    refused("INVALID_ARGUMENT", "Failed to parse warmup record", model, folder)


def test_failed_warm_up_keeps_the_old_version(tmp_path):
    base = tmp_path / "m"
    put(base, 1)
    with started(base, settings=QUICK, warm_up=warmup.warm_up) as manager:
        cold = hidden(base, 3)
        serving_models.warmup_records(cold, [predict_log(signature="s")])
        cold.rename(base / "3")
        eventually(lambda: states(manager, "m")[0] == (3, "END", 9))
        assert ask(manager, "m") == (1, 2.0)
        (base / "3").rename(base / ".3")
        serving_models.warmup_records(base / ".3", [predict_log()])
        manager.poll()
        (base / ".3").rename(base / "3")
        eventually(lambda: ask(manager, "m") == (3, 4.0))
