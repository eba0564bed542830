"""serving.regress: numbers, and a text of TF Serving a test."""

import numpy as np
import pytest
from serving_doubles import FunctionServable, OneModel, signature
from serving_examples import examples, two_heads
from tensorflow_serving.apis import regression_pb2

from serving.limits import RequestLimits
from serving.regress import regress
from serving.status import ServingError

LIMITS = RequestLimits()
STRING, REAL = "DT_STRING", "DT_FLOAT"


def ask(*values, name="regress"):
    request = regression_pb2.RegressionRequest()
    request.model_spec.name = "m"
    request.model_spec.signature_name = name
    request.input.example_list.examples.extend(examples(*values))
    return request


def fails(servable, request, **settings):
    with pytest.raises(ServingError) as caught:
        regress(OneModel(servable), request, LIMITS, **settings)
    return caught.value.code.name, caught.value.message


def head(inputs, outputs, array=None):
    made = {"regress": signature(inputs, outputs, "tensorflow/serving/regress")}
    return FunctionServable(made, lambda feeds: {"outputs:0": array})


def test_answer():
    found = regress(OneModel(two_heads()), ask(0.25, 3), LIMITS)
    assert found.model_spec.signature_name == "regress"
    assert found.model_spec.version.value == 7
    assert [one.value for one in found.result.regressions] == [0.5, 6]


def test_no_spec_no_examples_and_unknown_signature():
    empty = regression_pb2.RegressionRequest()
    assert fails(two_heads(), empty)[1] == "Missing ModelSpec"
    assert fails(two_heads(), ask()) == ("INVALID_ARGUMENT", "Input is empty.")
    text = "No signature was found with the name: nope"
    found = fails(two_heads(), ask(1, name="nope"))
    assert found == ("INVALID_ARGUMENT", text)


def test_method_names_are_checked_on_demand():
    found = fails(two_heads(), ask(1, name="classify"), check_method_name=True)
    assert found == (
        "INVALID_ARGUMENT",
        "Expected regression signature method_name to be"
        " tensorflow/serving/regress. Was: tensorflow/serving/classify",
    )


@pytest.mark.parametrize(
    ("inputs", "outputs", "code", "text"),
    [
        (
            {"inputs": STRING, "more": STRING},
            {"outputs": REAL},
            "INVALID_ARGUMENT",
            "Expected one input Tensor.",
        ),
        (
            {"inputs": STRING},
            {"outputs": REAL, "b": REAL},
            "INVALID_ARGUMENT",
            "Expected one output Tensor.",
        ),
        (
            {"x": STRING},
            {"outputs": REAL},
            "FAILED_PRECONDITION",
            "No regression inputs found in SignatureDef: ",
        ),
        (
            {"inputs": STRING},
            {"x": REAL},
            "FAILED_PRECONDITION",
            "No regression outputs found in SignatureDef: ",
        ),
    ],
)
def test_signatures_for_something_else(inputs, outputs, code, text):
    found = fails(head(inputs, outputs), ask(1))
    assert found[0] == code and found[1].startswith(text)


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (
            np.zeros((2, 2), np.float32),
            "Expected output Tensor shape to be either [batch_size] or"
            " [batch_size, 1] but got [2,2]",
        ),
        (
            np.zeros(3, np.float32),
            "Input batch size did not match output batch size: 2 vs. 3",
        ),
        (
            np.zeros(2),
            "Expected output Tensor of DT_FLOAT.  Got: DT_DOUBLE",
        ),
    ],
)
def test_outputs_of_another_form(array, text):
    servable = head({"inputs": STRING}, {"outputs": REAL}, array)
    assert fails(servable, ask(1, 2)) == ("INVALID_ARGUMENT", text)
