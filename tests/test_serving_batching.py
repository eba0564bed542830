"""serving.batching: concurrent runs become one, and share its fate."""

import threading
from concurrent import futures

import numpy as np
import pytest
from serving_doubles import FunctionServable, signature

from serving import status
from serving.batch_parameters import MODEL_FILE, BatchParameters
from serving.batching import Batcher, BatchingServable
from serving.status import ServingError

# Long enough that a batch of four goes because it is full.
FOUR = {"max_batch_size": 4, "batch_timeout_micros": 10_000_000}


def half_plus_two(feeds):
    x = feeds["x:0"]
    if (x < 0).any():
        raise status.invalid("negative")
    return {"y:0": x / 2 + 2, "square:0": x**2, "total:0": x.sum()}


@pytest.fixture
def make(request):
    """Makes a BatchingServable; ends it after the test."""
    records, made = [], []

    def function(model=half_plus_two, **values):
        outputs = (["y"], ["y", "square"], ["total"])
        signatures = {
            "+".join(names): signature(
                {"x": "DT_FLOAT"}, dict.fromkeys(names, "DT_FLOAT")
            )
            for names in outputs
        }
        wrapped = FunctionServable(signatures, model)
        batcher = Batcher(
            BatchParameters(num_batch_threads=2, **values),
            observe=records.append,
        )
        servable = batcher.wrap(wrapped, None)
        assert isinstance(servable, BatchingServable)
        made.append((batcher, servable))
        return servable, wrapped, records

    yield function
    for batcher, servable in made:
        servable.close()
        batcher.close()


def ask(servable, *values, fetches=("y:0",), timeout=None):
    feeds = {"x:0": np.array(values, np.float32)}
    return servable.run(feeds, list(fetches), timeout)


def together(servable, *calls, **settings):
    """Results or errors of concurrent calls, in their order."""
    with futures.ThreadPoolExecutor(len(calls)) as pool:
        waiting = [pool.submit(ask, servable, *c, **settings) for c in calls]
        return [one.exception() or one.result() for one in waiting]


def test_four_calls_are_one_run(make):
    servable, wrapped, records = make(**FOUR)
    found = together(servable, [2], [4], [6], [8])
    assert [one[0].tolist() for one in found] == [[3], [4], [5], [6]]
    assert len(wrapped.calls) == 1
    assert sorted(wrapped.calls[0][0]["x:0"].tolist()) == [2, 4, 6, 8]
    assert records[0].input_sizes == (1, 1, 1, 1)
    assert (records[0].size, records[0].padding) == (4, 0)
    assert all(wait >= 0 for wait in records[0].waits)
    assert servable.signatures is wrapped.signatures


def test_calls_of_several_rows(make):
    servable, wrapped, _ = make(**FOUR)
    first, second = together(servable, [2, 4, 6], [8])
    assert first[0].tolist() == [3, 4, 5] and second[0].tolist() == [6]
    assert len(wrapped.calls) == 1


def test_each_signature_has_a_queue(make):
    servable, wrapped, records = make(max_batch_size=4)
    found = ask(servable, 3, fetches=["square:0", "y:0", "square:0"])
    assert [one.tolist() for one in found] == [[9], [3.5], [9]]
    assert ask(servable, 3)[0].tolist() == [3.5]
    assert [call[1] for call in wrapped.calls] == [
        ["square:0", "y:0"],
        ["y:0"],
    ]
    assert len(records) == 2


def test_what_no_signature_has_is_not_batched(make):
    servable, wrapped, records = make(max_batch_size=4)
    (found,) = ask(servable, 1, 2, 3, 4, 5, fetches=["square:0"])
    assert found.tolist() == [1, 4, 9, 16, 25]
    assert len(wrapped.calls) == 1 and not records


def test_batches_are_filled_up_to_an_allowed_size(make):
    sizes = (2, 4)
    servable, wrapped, records = make(
        max_batch_size=4, allowed_batch_sizes=sizes
    )
    assert ask(servable, 2, 4, 6)[0].tolist() == [3, 4, 5]
    assert wrapped.calls[0][0]["x:0"].tolist() == [2, 4, 6, 2]
    assert (records[0].size, records[0].padding) == (4, 1)


def test_an_error_is_everyones(make):
    servable, wrapped, _ = make(**FOUR)
    found = together(servable, [1], [-1], [2], [3])
    assert len(wrapped.calls) == 1
    assert [one.message for one in found] == ["negative"] * 4
    assert len({id(one) for one in found}) == 4
    found = together(servable, [1], [2], [3], [4])  # the next is well
    assert found[0][0].tolist() == [2.5]


def test_a_bug_is_an_answer_too(make):
    def model(feeds):
        raise KeyError("bug")

    servable, _, _ = make(model, max_batch_size=4)
    with pytest.raises(ServingError, match="KeyError: 'bug'") as caught:
        ask(servable, 1)
    assert caught.value.code.name == "INTERNAL"


def test_an_output_that_is_no_batch(make):
    servable, _, _ = make(max_batch_size=4)
    with pytest.raises(ServingError, match="has 0 dimensions"):
        ask(servable, 1, fetches=["total:0"])


def test_scalars_and_too_many_rows(make):
    servable, wrapped, _ = make(max_batch_size=4)
    with pytest.raises(ServingError, match="at least one dimension"):
        servable.run({"x:0": np.float32(1)}, ["y:0"])
    with pytest.raises(ServingError, match="Task size 5 is larger than"):
        ask(servable, 1, 2, 3, 4, 5)
    assert not wrapped.calls


def test_timeouts(make):
    started, gate = threading.Event(), threading.Event()

    def slow(feeds):
        started.set()
        gate.wait(10)
        return half_plus_two(feeds)

    servable, wrapped, _ = make(slow, max_batch_size=1)
    with futures.ThreadPoolExecutor(4) as pool:
        busy = [pool.submit(ask, servable, 1) for _ in range(2)]
        assert started.wait(10)
        late = pool.submit(ask, servable, 1, timeout=0.05)
        threading.Timer(0.2, gate.set).start()
        error = late.exception()
        assert [one.result()[0].tolist() for one in busy] == [[2.5]] * 2
    assert error.code.name == "RESOURCE_EXHAUSTED"
    text = "Run() timeout exceeded while waiting in batching queue"
    assert error.message == text
    ask(servable, 1, timeout=5.0)
    assert 4 < wrapped.calls[-1][2] <= 5
    ask(servable, 1)
    assert wrapped.calls[-1][2] is None


def test_large_requests_are_split_on_demand(make):
    servable, wrapped, _ = make(
        max_batch_size=10,
        enable_large_batch_splitting=True,
        max_execution_batch_size=4,
    )
    found = ask(servable, *range(9))
    assert found[0].tolist() == [x / 2 + 2 for x in range(9)]
    assert sorted(len(call[0]["x:0"]) for call in wrapped.calls) == [1, 4, 4]


def test_a_split_request_fails_when_one_part_does(make):
    servable, wrapped, _ = make(
        max_batch_size=10,
        enable_large_batch_splitting=True,
        max_execution_batch_size=4,
    )
    with pytest.raises(ServingError, match="negative"):
        ask(servable, *range(8), -1)
    assert len(wrapped.calls) == 3
    assert ask(servable, 6)[0].tolist() == [5]


def test_parameters_of_the_model(tmp_path):
    batcher = Batcher(BatchParameters(num_batch_threads=1), per_model=True)
    one = signature({"x": "DT_FLOAT"}, {"y": "DT_FLOAT"})
    wrapped = FunctionServable({"s": one}, half_plus_two)
    assert batcher.wrap(wrapped, tmp_path) is wrapped
    (tmp_path / MODEL_FILE).write_text("max_batch_size { value: 2 }")
    servable = batcher.wrap(wrapped, tmp_path)
    with pytest.raises(ServingError, match="maximum input batch size 2"):
        ask(servable, 1, 2, 3)
    (tmp_path / MODEL_FILE).write_text("max_batch_size { value: -2 }")
    with pytest.raises(ServingError, match="must be positive; was -2"):
        batcher.wrap(wrapped, tmp_path)
    servable.close()
    assert wrapped.closed
    batcher.close()


def test_many_callers_each_get_their_own(make):
    servable, wrapped, _ = make(max_batch_size=8, max_enqueued_batches=100)
    calls = [[float(i), float(i + 1)] for i in range(200)]
    with futures.ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda c: ask(servable, *c)[0].tolist(), calls))
    assert found == [[a / 2 + 2, b / 2 + 2] for a, b in calls]
    assert len(wrapped.calls) <= 200
