"""The serving benchmark: its clients, its percentiles, its verdicts."""

import time

import numpy as np
import pytest
import tensorflow as tf
from serving_fake import Fake, serve
from tensorflow_serving.apis import predict_pb2

from benchmarks import serving_load, serving_models, serving_report
from benchmarks.serving_load import Clients, Load


def predict(packed):
    found = predict_pb2.PredictResponse.FromString(packed)
    return tf.make_ndarray(found.outputs["y"]).tolist()


@pytest.fixture
def request_():
    return serving_models.predict_request("half", x=np.float32([4.0]))


def half(x):
    return {"y": x / 2}


def test_percentiles_by_hand():
    seconds = np.arange(101) / 1000
    assert serving_load.percentiles(seconds) == [50, 95, 99]
    assert serving_load.percentiles(np.array([])) == [None] * 3


def test_summary():
    load = Load(np.array([0.001, 0.003]), {"UNAVAILABLE: x": 2}, 4.0)
    found = load.summary()
    assert found["per_second"] == 0.5 and found["p50_ms"] == 2
    assert found["requests"] == 2 and found["failed"] == 2


def test_clients_ask_until_they_are_stopped(request_):
    with serve(Fake({"half": half})) as address:
        answer = serving_load.answer(address, request_)
        assert predict(answer) == [2]
        running = Clients(address, request_, 3).start()
        end = time.monotonic() + 10
        while running.done() < 30 and time.monotonic() < end:
            time.sleep(0.01)
        load = running.stop()
        assert len(load.latencies) >= 30 and not load.failures
        assert (load.latencies > 0).all()
        assert load.latencies.sum() <= 3 * load.seconds


def test_failures_and_wrong_answers_are_told_apart(request_):
    def check(answer):
        if predict(answer) != [3]:
            raise serving_load.WrongAnswerError("not 3")

    with serve(Fake({"half": half}, failures=2)) as address:
        running = Clients(address, request_, 1, check).start()
        end = time.monotonic() + 10
        while running.failed() < 5 and time.monotonic() < end:
            time.sleep(0.01)
        load = running.stop()
    assert load.failures["UNAVAILABLE: not now"] == 2
    assert load.failures["answer: not 3"] >= 3
    assert not len(load.latencies)


def test_toys_answer_what_they_were_asked(tmp_path):
    folder = tmp_path / "tiny" / "1"
    packed = serving_models.save_toy(folder, *serving_models.TOYS["tiny"])
    request = predict_pb2.PredictRequest.FromString(packed)
    x = tf.make_ndarray(request.inputs["x"])
    assert x.shape == (1, 16)
    function = tf.saved_model.load(str(folder)).signatures["serving_default"]
    assert function(x=x)["y"].shape == (1, 16)


SPEED = {
    "per_second": 10.0,
    "p50_ms": 1.0,
    "p95_ms": 2.0,
    "p99_ms": 3.0,
    "memory_mib": 100.0,
    "failed": 0,
}


def swapped(failed, ratio):
    return SPEED | {
        "requests": 10_000,
        "failed": failed,
        "clients": 8,
        "swaps": 5,
        "rollbacks": 1,
        "versions_that_answered": [1, 2],
        "memory_before_mib": 100.0,
        "memory_most_mib": 200.0,
        "memory_after_mib": 100.0 * ratio,
        "memory_ratio": ratio,
    }


def test_verdicts_of_swaps():
    table = serving_report.table
    assert "MISS" not in table({"swaps": swapped(0, 1.1)})
    assert "1 failed  MISS" in table({"swaps": swapped(1, 1.0)})
    assert "1.101x  MISS" in table({"swaps": swapped(0, 1.101)})


def test_verdicts_of_overhead():
    def row(side, ratio, more):
        return {
            "side": side,
            "in_process_ms": [1.0, 2.0, 3.0],
            "server_ms": [1.0, 2.0, 3.0],
            "p50_ratio": ratio,
            "p50_difference_ms": more,
        }

    good = {"overhead": [row(64, 5.0, 3.0), row(512, 1.1, 90.0)]}
    assert serving_report.table(good).count("PASS") == 2
    bad = {"overhead": [row(64, 1.0, 3.01), row(512, 1.11, 0.0)]}
    assert serving_report.table(bad).count("MISS") == 2


def test_verdict_of_batching_and_the_chart(tmp_path):
    rows = [
        {"model": "a", "off": SPEED, "on": SPEED, "ratio": 0.8},
        {"model": "b", "off": SPEED, "on": SPEED, "ratio": 1.3},
    ]
    found = serving_report.table({"batching": rows})
    assert "best ratio 1.30  PASS" in found
    assert "MISS" in serving_report.table({"batching": rows[:1]})
    path = tmp_path / "chart.png"
    serving_report.chart(path, {"batching": rows})
    assert path.read_bytes().startswith(b"\x89PNG")
