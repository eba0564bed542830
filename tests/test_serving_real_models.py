"""Requests to SavedModels of both styles, with and without batching.

The other tests of inference have functions for models; here TensorFlow runs.
"""

from concurrent import futures

import numpy as np
import pytest
import serving_models
import tensorflow as tf
from serving_doubles import OneModel
from serving_examples import examples
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    predict_pb2,
    regression_pb2,
)

from serving import inference, servable
from serving.batch_parameters import BatchParameters
from serving.batching import Batcher
from serving.classify import classify
from serving.limits import RequestLimits
from serving.multi_inference import multi_inference
from serving.predict import predict
from serving.regress import regress
from serving.status import ServingError

LIMITS = RequestLimits()
THREADS = servable.Threads(1, 1)


@pytest.fixture(scope="module")
def half_plus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("half") / "1"
    made = servable.load(serving_models.half_plus(folder), THREADS)
    yield made
    made.close()


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heads") / "1"
    made = servable.load(serving_models.heads(folder), THREADS)
    yield made
    made.close()


def ask(model, name="", **inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "m"
    request.model_spec.signature_name = name
    for alias, value in inputs.items():
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
    found = predict(OneModel(model), request, LIMITS)
    return {a: tf.make_ndarray(proto) for a, proto in found.outputs.items()}


def fails(model, name="", **inputs):
    with pytest.raises(ServingError) as caught:
        ask(model, name, **inputs)
    return caught.value.code.name, caught.value.message


def test_numbers_and_nan(half_plus):
    values = np.array([4, np.nan, -np.inf], np.float32)
    found = ask(half_plus, x=values)["y"]
    np.testing.assert_array_equal(found, np.float32([4, np.nan, -np.inf]))


def test_two_inputs(half_plus):
    a = np.ones((2, 4, 3), np.float32)
    found = ask(half_plus, "two", a=a, b=np.float32([1, 2]))
    assert found["sum"].tolist() == [13, 14]
    assert found["shape"].tolist() == [[2, 4, 3]] * 2


def test_strings(half_plus):
    found = ask(half_plus, "text", text=[b"a\xff", b""])
    assert found["upper_bytes"].tolist() == [b"A\xff", b""]
    assert found["length"].tolist() == [2, 0]


def test_wrong_type_shape_and_value(half_plus):
    code, text = fails(half_plus, x=np.array([1]))
    assert code == "INVALID_ARGUMENT"
    assert text == "Expects arg[0] to be float but int64 is provided"
    flat = np.float32([1, 2])
    code, text = fails(half_plus, "two", a=flat, b=flat)
    assert code == "INVALID_ARGUMENT"
    code, text = fails(half_plus, "positive", x=np.float32([1, -1]))
    assert code == "INVALID_ARGUMENT" and "x is negative" in text


def test_classify_and_regress(heads):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "m"
    request.input.example_list.examples.extend(examples(0.25))
    found = classify(OneModel(heads), request, LIMITS, check_method_name=True)
    classes = found.result.classifications[0].classes
    assert [(one.label, one.score) for one in classes] == [
        ("low", 0.75),
        ("high", 0.25),
    ]
    request.model_spec.signature_name = "classes_only"
    found = classify(OneModel(heads), request, LIMITS)
    classes = found.result.classifications[0].classes
    assert [(one.label, one.score) for one in classes] == [
        ("low", 0),
        ("high", 0),
    ]
    request = regression_pb2.RegressionRequest(input=request.input)
    request.model_spec.name = "m"
    request.model_spec.signature_name = "regress"
    found = regress(OneModel(heads), request, LIMITS, check_method_name=True)
    assert [one.value for one in found.result.regressions] == [2.125]


def test_multi_inference(heads):
    request = inference_pb2.MultiInferenceRequest()
    for name, method in (
        ("classify", inference.CLASSIFY),
        ("regress", inference.REGRESS),
    ):
        task = request.tasks.add(method_name=method)
        task.model_spec.name = "m"
        task.model_spec.signature_name = name
    request.input.example_list.examples.extend(examples(0.5))
    found = multi_inference(OneModel(heads), request, LIMITS)
    assert found.results[1].regression_result.regressions[0].value == 2.25


@pytest.fixture
def batched(half_plus):
    # A batch of four goes because it is full, long before its timeout.
    parameters = BatchParameters(4, 10_000_000, num_batch_threads=1)
    records = []
    batcher = Batcher(parameters, observe=records.append)
    yield batcher.wrap(half_plus, None), records
    batcher.close()


def test_four_callers_share_a_run(batched):
    model, records = batched
    values = [np.float32([i]) for i in range(4)]
    with futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda x: ask(model, x=x)["y"].tolist(), values))
    assert found == [[2], [2.5], [3], [3.5]]
    assert [record.input_sizes for record in records] == [(1, 1, 1, 1)]


def test_one_bad_value_is_everyones_error(batched):
    model, _ = batched
    values = [np.float32([i]) for i in (1, 2, -1, 3)]
    with futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda x: fails(model, "positive", x=x), values))
    assert {code for code, _ in found} == {"INVALID_ARGUMENT"}
    assert all("x is negative" in text for _, text in found)


def test_what_cannot_be_batched(batched):
    model, _ = batched
    code, text = fails(model, "scalar", x=np.float32(1))
    assert code == "INVALID_ARGUMENT"
    assert text == (
        "Batching Run() input tensors must have at least one dimension"
    )
    a = np.ones((2, 4, 3), np.float32)
    code, text = fails(model, "two", a=a, b=np.float32([1]))
    assert (code, text) == (
        "INVALID_ARGUMENT",
        "Batching Run() input tensors must have equal 0th-dimension size",
    )
