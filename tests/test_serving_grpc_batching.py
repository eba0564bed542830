"""Batching over gRPC and REST, as TensorFlow Serving does it."""

import threading
import time

import numpy as np
import pytest
import serving_models
from serving_running import error_of, predict_request, running, tensor

PARAMETERS = """
max_batch_size { value: 4 }
batch_timeout_micros { value: 1000 }
max_enqueued_batches { value: 1 }
num_batch_threads { value: 1 }
thread_pool_name { value: "pool" }
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    serving_models.half_plus(folder / "m" / "1", wait=1.0)
    (folder / "batching.txt").write_text(PARAMETERS)
    (folder / "monitoring.txt").write_text("prometheus_config {enable: true}")
    with running(
        model_name="m",
        model_base_path=str(folder / "m"),
        enable_batching=True,
        batching_parameters_file=str(folder / "batching.txt"),
        monitoring_config_file=str(folder / "monitoring.txt"),
        rest_api_timeout_in_ms=300,
    ) as found:
        yield found


def ask(**inputs):
    name = "two" if "a" in inputs else "serving_default"
    return predict_request(signature_name=name, inputs=inputs)


INVALID = "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("values", "signature", "text"),
    [
        (
            {"x": np.zeros(5)},
            "positive",
            "Task size 5 is larger than maximum input batch size 4",
        ),
        (
            {"x": np.float32(1)},
            "scalar",
            "Batching Run() input tensors must have at least one dimension",
        ),
        (
            {"a": np.zeros((2, 1, 3)), "b": np.zeros(1)},
            "two",
            "Batching Run() input tensors must have equal 0th-dimension size",
        ),
    ],
)
def test_what_cannot_be_batched(server, values, signature, text):
    request = predict_request(signature_name=signature, inputs=values)
    assert error_of(server.predictions.Predict, request) == (INVALID, text)


def in_thread(call, results, *args, **kwargs):
    def work():
        results.append(error_of(call, *args, **kwargs))

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def busy(server):
    """Occupies the only batch thread for about a second."""
    sent = server.predictions.Predict.future(ask(x=[1.0]), timeout=60)
    time.sleep(0.4)
    return sent


def test_images_of_different_sizes(server):
    first, results = busy(server), []
    threads = [
        in_thread(
            server.predictions.Predict,
            results,
            ask(a=np.zeros((1, side, 3)), b=np.zeros(1)),
        )
        for side in (1, 2)
    ]
    for thread in threads:
        thread.join()
    first.result()
    for code, text in results:
        assert code == "FAILED_PRECONDITION"
        assert text.startswith("Tensors with name '")
        # Their source has no space between the two sentences.
        assert (
            " from different tasks have different shapes and padding is turned"
            " off.Set pad_variable_length_inputs to true, "
        ) in text
    assert len(results) == 2


def test_a_full_queue(server):
    first = busy(server)
    queued = server.predictions.Predict.future(ask(x=np.ones(4)), timeout=60)
    time.sleep(0.2)
    assert error_of(server.predictions.Predict, ask(x=[1.0])) == (
        "UNAVAILABLE",
        "The batch scheduling queue to which this task was submitted is full;"
        " currently 1 batches enqueued and max_enqueued_batches is 1",
    )
    np.testing.assert_array_equal(first.result().outputs["y"].float_val, [2.5])
    assert list(queued.result().outputs["y"].float_val) == [2.5] * 4


def test_too_long_in_the_queue(server):
    first = busy(server)
    code, answer = server.json(
        "/v1/models/m:predict",
        {"signature_name": "positive", "instances": [1.0]},
    )
    text = "Run() timeout exceeded while waiting in batching queue"
    assert (code, answer) == (429, {"error": text})
    first.result()


def test_requests_share_a_run_and_are_counted(server):
    first = busy(server)
    both = [
        server.predictions.Predict.future(
            predict_request(
                signature_name="positive", inputs={"x": tensor([value])}
            ),
            timeout=60,
        )
        for value in (3.0, 4.0)
    ]
    first.result()
    assert [b.result().outputs["x"].float_val[0] for b in both] == [3.0, 4.0]
    page = server.http("GET", "/monitoring/prometheus/metrics")[2].decode()
    name = ":tensorflow:serving:batching_session:"
    assert f'{name}processed_batch_size_bucket{{le="2"}}' in page
    assert f'{name}queuing_latency_count{{thread_pool_name="pool"}}' in page
    runs = page.split(f"{name}wrapped_run_count{{}} ")[1].split("\n")[0]
    assert int(runs) >= 2
