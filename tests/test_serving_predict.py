"""serving.predict: TensorFlow Serving's rules of Predict, one a test."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from serving_doubles import FunctionServable, OneModel, signature
from tensorflow_serving.apis import predict_pb2

from serving.limits import RequestLimits
from serving.predict import predict
from serving.status import ServingError

LIMITS = RequestLimits()


@pytest.fixture
def servable():
    signatures = {
        "serving_default": signature(
            {"a": "DT_FLOAT", "b": "DT_FLOAT"},
            {"sum": "DT_FLOAT", "difference": "DT_FLOAT"},
        ),
        "image": signature({"image": "DT_STRING"}, {"size": "DT_INT64"}),
    }

    def function(feeds):
        if "image:0" in feeds:
            return {"size:0": np.array([len(x) for x in feeds["image:0"]])}
        a, b = feeds["a:0"], feeds["b:0"]
        return {"sum:0": a + b, "difference:0": a - b}

    return FunctionServable(signatures, function)


def ask(name="", outputs=(), model="m", **inputs):
    request = predict_pb2.PredictRequest(output_filter=outputs)
    request.model_spec.name = model
    request.model_spec.signature_name = name
    for alias, value in inputs.items():
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
    return request


def fails(servable, request, **settings):
    with pytest.raises(ServingError) as caught:
        predict(OneModel(servable), request, LIMITS, **settings)
    return caught.value.code.name, caught.value.message


def test_answer(servable):
    found = predict(OneModel(servable), ask(a=[5.0, 6.0], b=[1.0, 2.0]), LIMITS)
    assert found.model_spec.name == "m"
    assert found.model_spec.signature_name == "serving_default"
    assert found.model_spec.version.value == 7
    assert set(found.outputs) == {"sum", "difference"}
    assert list(found.outputs["sum"].float_val) == [6, 8]
    assert not found.outputs["sum"].tensor_content
    assert list(found.outputs["difference"].float_val) == [4, 4]


def test_nan_passes_and_content_on_demand(servable):
    request = ask(a=[np.nan], b=[np.inf])
    found = predict(OneModel(servable), request, LIMITS, as_content=True)
    assert np.isnan(tf.make_ndarray(found.outputs["sum"])).all()
    assert len(found.outputs["sum"].tensor_content) == 4
    assert not found.outputs["sum"].float_val


def test_filter_keeps_its_order_and_timeout_arrives(servable):
    request = ask(outputs=["sum", "difference"], a=[1.0], b=[1.0])
    predict(OneModel(servable), request, LIMITS, timeout=3.5)
    assert servable.calls[0][1:] == (["sum:0", "difference:0"], 3.5)
    found = predict(
        OneModel(servable), ask(outputs=["sum"], a=[1.0], b=[1.0]), LIMITS
    )
    assert set(found.outputs) == {"sum"}


def test_no_spec_and_empty_name(servable):
    empty = predict_pb2.PredictRequest()
    assert fails(servable, empty) == ("INVALID_ARGUMENT", "Missing ModelSpec")
    text = "ModelSpec has no name specified."
    assert fails(servable, ask(model="")) == ("INVALID_ARGUMENT", text)


def test_unknown_signature(servable):
    text = 'Serving signature key "nope" not found.'
    assert fails(servable, ask("nope")) == ("FAILED_PRECONDITION", text)


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (
            {"a": [1.0]},
            "input size does not match signature: 1!=2 len({a}) != len({a,b})."
            " Sent extra: {}. Missing but required: {b}.",
        ),
        (
            {"a": [1.0], "c": [1.0], "b": [1.0]},
            "input size does not match signature: 3!=2 len({a,b,c}) !="
            " len({a,b}). Sent extra: {c}. Missing but required: {}.",
        ),
        (
            {"a": [1.0], "c": [1.0]},
            "Signature input alias: b(feed name: b:0) not found in request and"
            " no default value provided. Inputs expected to be in the request"
            " {a,c}, or default input alias set: ",
        ),
        (
            {"a": [1.0], "b": [1]},
            "Expects arg[1] to be float but int32 is provided",
        ),
        (
            {"a": [b"text"], "b": [1.0]},
            "Expects arg[0] to be float but string is provided",
        ),
    ],
)
def test_wrong_inputs(servable, sent, text):
    assert fails(servable, ask(**sent)) == ("INVALID_ARGUMENT", text)
    assert not servable.calls


def test_an_input_with_a_default_may_be_left_out(servable):
    default = servable.signatures["serving_default"].defaults["b"]
    default.CopyFrom(tf.make_tensor_proto([10.0]))
    found = predict(OneModel(servable), ask(a=[1.0]), LIMITS)
    assert list(found.outputs["sum"].float_val) == [11]
    found = predict(OneModel(servable), ask(a=[1.0], b=[2.0]), LIMITS)
    assert list(found.outputs["sum"].float_val) == [3]
    text = (
        "Inputs contains invalid name. Used request inputs: a, request"
        " input: a,c"
    )
    request = ask(a=[1.0], c=[2.0])
    assert fails(servable, request) == ("INVALID_ARGUMENT", text)


def test_broken_tensor(servable):
    request = ask(a=[1.0], b=[1.0, 2.0])
    request.inputs["b"].tensor_content = b"123"
    text = "tensor parsing error: b"
    assert fails(servable, request) == ("INVALID_ARGUMENT", text)


def test_output_filter(servable):
    request = ask(outputs=["nope"], a=[1.0], b=[1.0])
    text = (
        "output tensor alias not found in signature: nope Outputs expected to"
        " be in the set {difference,sum}."
    )
    assert fails(servable, request) == ("INVALID_ARGUMENT", text)
    request = ask(outputs=["sum", "sum"], a=[1.0], b=[1.0])
    text = "duplicate output tensor alias: sum"
    assert fails(servable, request) == ("INVALID_ARGUMENT", text)


def test_limits_come_before_the_model(servable):
    png = tf.io.encode_png(np.zeros((20, 20, 1), np.uint8)).numpy()
    limits = RequestLimits(decoded_pixels=399)
    with pytest.raises(ServingError, match="image decode to 400 pixels"):
        predict(OneModel(servable), ask("image", image=[png]), limits)
    limits = RequestLimits(tensor_elements=1)
    with pytest.raises(ServingError, match="b has 2 elements") as caught:
        predict(OneModel(servable), ask(a=[1.0], b=[1.0, 2.0]), limits)
    assert caught.value.code == grpc.StatusCode.INVALID_ARGUMENT
    assert not servable.calls


def test_method_names_are_checked_on_demand(servable):
    servable.signatures["serving_default"].method_name = "other"
    request = ask(a=[1.0], b=[1.0])
    predict(OneModel(servable), request, LIMITS)
    code, text = fails(servable, request, check_method_name=True)
    assert code == "INTERNAL"
    assert text == (
        "Expected prediction signature method_name to be one of"
        " {tensorflow/serving/predict, tensorflow/serving/classify,"
        " tensorflow/serving/regress}. Was: other"
    )
