"""serving.multi_inference: two heads in one run."""

import pytest
from serving_doubles import OneModel, signature
from serving_examples import examples, two_heads
from tensorflow_serving.apis import inference_pb2

from serving.inference import CLASSIFY, REGRESS
from serving.limits import RequestLimits
from serving.multi_inference import multi_inference
from serving.status import ServingError

LIMITS = RequestLimits()


def ask(*tasks):
    """A request of tasks (model, signature, method) on two examples."""
    request = inference_pb2.MultiInferenceRequest()
    for model, name, method in tasks:
        task = request.tasks.add(method_name=method)
        task.model_spec.name = model
        task.model_spec.signature_name = name
    request.input.example_list.examples.extend(examples(0.25, 1))
    return request


def test_one_run_answers_all_tasks():
    servable = two_heads()
    request = ask(("m", "regress", REGRESS), ("m", "", CLASSIFY))
    found = multi_inference(OneModel(servable), request, LIMITS)
    assert len(servable.calls) == 1
    first, second = found.results
    values = [one.value for one in first.regression_result.regressions]
    assert values == [0.5, 2]
    rows = second.classification_result.classifications
    assert [row.classes[1].score for row in rows] == [0.25, 1]
    assert first.model_spec.signature_name == "regress"
    assert second.model_spec.signature_name == "serving_default"
    assert second.model_spec.version.value == 7


@pytest.mark.parametrize(
    ("tasks", "code", "text"),
    [
        ([], "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (
            [("m", "", CLASSIFY), ("", "regress", REGRESS)],
            "INVALID_ARGUMENT",
            "Found ModelSpec with an empty model name.",
        ),
        (
            [("m", "", CLASSIFY), ("n", "regress", REGRESS)],
            "INVALID_ARGUMENT",
            "All ModelSpecs in a MultiInferenceRequest must access the same"
            " model name.",
        ),
        (
            [("m", "", CLASSIFY), ("m", "serving_default", CLASSIFY)],
            "INVALID_ARGUMENT",
            "Duplicate evaluation of signature: serving_default",
        ),
        (
            [("m", "nope", CLASSIFY)],
            "INVALID_ARGUMENT",
            "Requested signature not found in model graph: nope",
        ),
        (
            [("m", "", "tensorflow/serving/predict")],
            "UNIMPLEMENTED",
            "Unsupported signature method_name: tensorflow/serving/predict",
        ),
        (
            [("m", "", CLASSIFY), ("m", "other", REGRESS)],
            "INVALID_ARGUMENT",
            "Input tensor must be the same for all Signatures.",
        ),
    ],
)
def test_requests_that_do_not_fit(tasks, code, text):
    servable = two_heads()
    other = signature({"inputs": "DT_STRING"}, {"outputs": "DT_FLOAT"})
    other.inputs["inputs"].name = "elsewhere:0"
    servable.signatures["other"] = other
    with pytest.raises(ServingError) as caught:
        multi_inference(OneModel(servable), ask(*tasks), LIMITS)
    assert (caught.value.code.name, caught.value.message) == (code, text)
    assert not servable.calls
