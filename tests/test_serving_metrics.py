"""serving.metrics and logs: what the server tells about itself."""

import io
import json
import logging

import pytest

from serving import logs, metrics
from serving.batching import BatchRecord
from serving.logs import Bridge, Log

NAME = ":tensorflow:serving:"


def lines(found):
    return found.page().decode().splitlines()


def test_requests_are_counted_and_timed():
    found = metrics.Metrics()
    for seconds in (9e-6, 20e-6, 0.5):
        found.request("m", "Predict", "GRPC", "OK", seconds)
    found.request("m", "Predict", "GRPC", "NOT_FOUND", 1.0)
    page = lines(found)
    assert f"# TYPE {NAME}request_count counter" in page
    assert f'{NAME}request_count{{model_name="m",status="OK"}} 3' in page
    assert f'{NAME}request_count{{model_name="m",status="NOT_FOUND"}} 1' in page
    labels = 'model_name="m",API="Predict",entrypoint="GRPC"'
    latency = f"{NAME}request_latency"
    assert f"# TYPE {latency} histogram" in page
    # Microseconds; 9 is below 10, 20 below 32.4.
    assert f'{latency}_bucket{{{labels},le="10"}} 1' in page
    assert f'{latency}_bucket{{{labels},le="18"}} 1' in page
    assert f'{latency}_bucket{{{labels},le="32.4"}} 2' in page
    assert f'{latency}_bucket{{{labels},le="+Inf"}} 3' in page
    assert f"{latency}_count{{{labels}}} 3" in page
    assert f"{latency}_sum{{{labels}}} 500029" in page
    assert not any("_created" in line for line in page)


def test_latencies_have_33_buckets():
    limits = metrics.exponential(10, 1.8, 33)
    assert limits[:4] == pytest.approx([10, 18, 32.4, 58.32])
    # "About 20 minutes" in tensorflow/serving's comment.
    assert limits[-1] / 1e6 / 60 == pytest.approx(24.5, abs=0.5)


def test_runs_examples_warmup_and_batches():
    found = metrics.Metrics()
    with found.runtime("m", "Predict"):
        pass
    found.examples("m", 3)
    found.warmup("/b/1", "OK", 0.1)
    found.batch(BatchRecord((1, 2), 4, 1, (2e-4, 0.01)), "pool")
    page = lines(found)
    labels = 'model_name="m",API="Predict",runtime="TF1"'
    assert f"{NAME}runtime_latency_count{{{labels}}} 1" in page
    assert f'{NAME}request_example_count_total{{model="m"}} 3' in page
    assert f'{NAME}request_example_counts_bucket{{model="m",le="4"}} 1' in page
    assert f'{NAME}request_example_counts_bucket{{model="m",le="2"}} 0' in page
    labels = 'model_path="/b/1",status="OK"'
    assert f"{NAME}model_warmup_latency_count{{{labels}}} 1" in page
    batching = f"{NAME}batching_session:"
    assert f"{batching}wrapped_run_count{{}} 1" in page
    assert f"{batching}input_batch_size_sum{{}} 3" in page
    assert f"{batching}processed_batch_size_sum{{}} 4" in page
    assert f"{batching}padding_size_sum{{}} 1" in page
    queued = f"{batching}queuing_latency"
    assert f'{queued}_count{{thread_pool_name="pool"}} 2' in page


def test_labels_are_escaped():
    found = metrics.Metrics()
    found.request('a"b\\c\nd', "Predict", "REST", "NOT_FOUND", 0)
    expected = 'model_name="a\\"b\\\\c\\nd",status="NOT_FOUND"'
    assert f"{NAME}request_count{{{expected}}} 1" in lines(found)


def test_lines_of_the_log():
    stream = io.StringIO()
    Log("json", stream).info("request", model='a"\nb', ms=1.5)
    assert stream.getvalue().count("\n") == 1
    found = json.loads(stream.getvalue())
    assert found["model"] == 'a"\nb' and found["ms"] == 1.5
    assert found["level"] == "info" and found["time"].endswith("+00:00")
    stream = io.StringIO()
    Log("text", stream).error("request", model="a\nlevel=info", ms=1)
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().endswith(
        ' error request model="a\\nlevel=info" ms=1\n'
    )


def test_long_values_are_cut():
    stream = io.StringIO()
    Log("json", stream).info("e", model="x" * 10**6)
    assert len(stream.getvalue()) < 5000


def test_a_closed_stream_fails_nobody():
    stream = io.StringIO()
    log = Log("json", stream)
    stream.close()
    log.info("e")


def test_messages_of_modules():
    stream = io.StringIO()
    logger = logging.getLogger("serving_test_of_logs")
    logger.addHandler(Bridge(Log("json", stream)))
    try:
        raise ValueError("why")
    except ValueError:
        logger.exception("%s failed", "it")
    found = json.loads(stream.getvalue())
    assert found["level"] == "error" and "it failed" in found["text"]
    assert "ValueError: why" in found["text"]


def test_request_ids():
    assert logs.request_id("abc-1.2:3_Z") == "abc-1.2:3_Z"
    for offered in (None, "", "a b", "a\n", "x" * 65, "ä"):
        made = logs.request_id(offered)
        assert len(made) == 16 and made != logs.request_id(offered)
