"""serving.classify: labels and scores, and a text of TF Serving a test."""

import numpy as np
import pytest
from serving_doubles import FunctionServable, OneModel, signature
from serving_examples import examples, two_heads
from tensorflow_serving.apis import classification_pb2

from serving.classify import classify
from serving.limits import RequestLimits
from serving.status import ServingError

LIMITS = RequestLimits()
STRING, REAL = "DT_STRING", "DT_FLOAT"


def ask(*values, name=""):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "m"
    request.model_spec.signature_name = name
    request.input.example_list.examples.extend(examples(*values))
    return request


def fails(servable, request, **settings):
    with pytest.raises(ServingError) as caught:
        classify(OneModel(servable), request, LIMITS, **settings)
    return caught.value.code.name, caught.value.message


def heads(inputs, outputs, arrays, method="tensorflow/serving/classify"):
    made = {"serving_default": signature(inputs, outputs, method)}
    found = {f"{alias}:0": value for alias, value in arrays.items()}
    return FunctionServable(made, lambda feeds: found)


def test_answer():
    found = classify(OneModel(two_heads()), ask(0.25, 0.5), LIMITS)
    assert found.model_spec.name == "m"
    assert found.model_spec.signature_name == "serving_default"
    assert found.model_spec.version.value == 7
    rows = [
        [(one.label, one.score) for one in row.classes]
        for row in found.result.classifications
    ]
    assert rows == [
        [("small", 0.75), ("large", 0.25)],
        [("small", 0.5), ("large", 0.5)],
    ]


def test_scores_alone():
    scores = np.array([[1, 2, 3]], np.float32)
    servable = heads({"inputs": STRING}, {"scores": REAL}, {"scores": scores})
    found = classify(OneModel(servable), ask(1), LIMITS)
    classes = found.result.classifications[0].classes
    assert [(one.label, one.score) for one in classes] == [
        ("", 1),
        ("", 2),
        ("", 3),
    ]


def test_a_context_is_part_of_every_example():
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "m"
    listed = request.input.example_list_with_context
    listed.context.CopyFrom(examples(0.5)[0])
    listed.examples.add()  # without features of its own
    listed.examples.extend(examples(0.25))
    found = classify(OneModel(two_heads()), request, LIMITS)
    scores = [row.classes[1].score for row in found.result.classifications]
    assert scores == [0.5, 0.25]


def test_empty_input():
    request = ask(1)
    request.input.Clear()
    for empty in (request, ask()):
        found = fails(two_heads(), empty)
        assert found == ("INVALID_ARGUMENT", "Input is empty.")


def test_no_spec_and_unknown_signature():
    empty = classification_pb2.ClassificationRequest()
    text = "Missing ModelSpec"
    assert fails(two_heads(), empty) == ("INVALID_ARGUMENT", text)
    text = "No signature was found with the name: nope"
    found = fails(two_heads(), ask(1, name="nope"))
    assert found == ("INVALID_ARGUMENT", text)


def test_method_names_are_checked_on_demand():
    servable = two_heads()
    servable.signatures["serving_default"].method_name = "other"
    classify(OneModel(servable), ask(1), LIMITS)
    found = fails(servable, ask(1), check_method_name=True)
    assert found == (
        "INVALID_ARGUMENT",
        "Expected classification signature method_name to be"
        " tensorflow/serving/classify. Was: other",
    )


@pytest.mark.parametrize(
    ("inputs", "outputs", "code", "text"),
    [
        (
            {"inputs": STRING, "more": STRING},
            {"scores": REAL},
            "INVALID_ARGUMENT",
            "Expected one input Tensor.",
        ),
        (
            {"inputs": STRING},
            {"a": REAL, "b": REAL, "c": REAL},
            "INVALID_ARGUMENT",
            "Expected one or two output Tensors, found 3",
        ),
        (
            {"x": STRING},
            {"scores": REAL},
            "FAILED_PRECONDITION",
            "No classification inputs found in SignatureDef: ",
        ),
        (
            {"inputs": STRING},
            {"a": REAL},
            "FAILED_PRECONDITION",
            "Expected classification signature outputs to contain at least one"
            ' of "classes" or "scores". Signature was: ',
        ),
    ],
)
def test_signatures_for_something_else(inputs, outputs, code, text):
    found = fails(heads(inputs, outputs, {}), ask(1))
    assert found[0] == code and found[1].startswith(text)


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        (
            {"scores": np.zeros(1, np.float32)},
            "Expected Tensor shape: [batch_size num_classes] but got [1]",
        ),
        (
            {"scores": np.zeros((1, 2))},
            "Expected scores Tensor of DT_FLOAT. Got: DT_DOUBLE",
        ),
        (
            {"scores": np.zeros((3, 2), np.float32)},
            "Expected scores output batch size of 1. Got: 3",
        ),
        (
            {"classes": np.zeros((1, 2), np.float32)},
            "Expected classes Tensor of DT_STRING. Got: DT_FLOAT",
        ),
        (
            {
                "classes": np.array([[b"a"]], object),
                "scores": np.zeros((1, 2), np.float32),
            },
            "Tensors class and score should match in dim_size(1). Got 1 vs. 2",
        ),
    ],
)
def test_outputs_of_another_form(arrays, text):
    kinds = {"scores": REAL, "classes": STRING}
    outputs = {alias: kinds[alias] for alias in arrays}
    found = fails(heads({"inputs": STRING}, outputs, arrays), ask(1))
    assert found == ("INVALID_ARGUMENT", text)
