"""serving.profiler: TensorFlow's own client traces the running server."""

import itertools
import threading
import time

import grpc
import pytest
import serving_models
import tensorflow as tf
from serving_running import error_of, predict_request, running
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from serving import profiler
from serving.protos import profiler_service_pb2 as protos

INVALID = "INVALID_ARGUMENT"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    serving_models.half_plus(folder / "m" / "1")
    return folder / "m"


@pytest.fixture(scope="module")
def server(base):
    with running(model_name="m", model_base_path=str(base)) as found:
        yield found


def method(server, name, answer):
    return server.channel.unary_unary(
        f"/tensorflow.ProfilerService/{name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=answer.FromString,
    )


@pytest.fixture
def profile(server):
    return method(server, "Profile", protos.ProfileResponse)


def request(root, ms=100, **values):
    names = {"session_id": "run", "host_name": "host:1"} | values
    found = protos.ProfileRequest(repository_root=str(root), **names)
    found.opts.duration_ms = ms
    return found


def names(path):
    """Of all events in a trace."""
    space = xplane_pb2.XSpace.FromString(path.read_bytes())
    return {
        plane.event_metadata[event.metadata_id].name
        for plane in space.planes
        for line in plane.lines
        for event in line.events
    }


def test_the_client_of_tensorflow_sees_the_models_work(server, tmp_path):
    done = threading.Event()

    def work():
        while not done.is_set():
            server.predictions.Predict(predict_request(inputs={"x": [1.0]}))

    worker = threading.Thread(target=work)
    worker.start()
    try:
        tf.profiler.experimental.client.trace(
            f"grpc://127.0.0.1:{server.settings.port}", str(tmp_path), 500
        )
    finally:
        done.set()
        worker.join()
    (trace,) = tmp_path.rglob("*.xplane.pb")
    assert trace.name == f"127.0.0.1_{server.settings.port}.xplane.pb"
    assert trace.relative_to(tmp_path).parts[:2] == ("plugins", "profile")
    # Ops of the model: x / 2 + 3.
    assert any("AddV2" in name for name in names(trace))


def test_a_trace_is_where_the_request_says(profile, server, tmp_path):
    start = time.monotonic()
    answer = profile(request(tmp_path, ms=300))
    assert 0.3 <= time.monotonic() - start < 30
    assert [path.name for path in (tmp_path / "run").iterdir()] == [
        "host_1.xplane.pb"
    ]
    empty = not names(tmp_path / "run" / "host_1.xplane.pb")
    assert answer.empty_trace is empty
    told = [row["path"] for row in server.log() if row["event"] == "profile"]
    assert f"{tmp_path}/run/host_1.xplane.pb" in told


def test_a_trace_begins_when_it_is_asked_to(profile, tmp_path):
    wanted = request(tmp_path, ms=0)
    wanted.opts.start_timestamp_ns = time.time_ns() + 400_000_000
    start = time.monotonic()
    profile(wanted)
    assert time.monotonic() - start >= 0.35


def test_one_at_a_time_until_it_is_terminated(profile, server, tmp_path):
    long = profile.future(request(tmp_path, ms=50_000))
    other = request(tmp_path, session_id="other")
    # The first may not have arrived; then the other is traced.
    for _ in itertools.takewhile(lambda _: not long.done(), range(100)):
        failed = profile.future(other).exception()
        if failed:
            break
    assert failed.code() is grpc.StatusCode.INTERNAL
    assert failed.details() == "Another profiler session active."
    stop = method(server, "Terminate", protos.TerminateResponse)
    stop(protos.TerminateRequest(session_id="nobody's"))
    assert not long.done()
    stop(protos.TerminateRequest(session_id="run"))
    long.result(timeout=30)
    assert (tmp_path / "run" / "host_1.xplane.pb").exists()


def test_a_client_that_goes_leaves_nothing(profile, tmp_path):
    left = profile.future(request(tmp_path, ms=50_000))
    time.sleep(0.3)
    left.cancel()
    for _ in range(100):
        again = profile.future(request(tmp_path, session_id="again"))
        if not again.exception():
            break
        time.sleep(0.1)
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "a\0b"])
@pytest.mark.parametrize("field", ["session_id", "host_name"])
def test_names_are_not_paths(profile, tmp_path, field, name):
    text = f"ProfileRequest.{field} must be a plain name: {name!r}"
    found = error_of(profile, request(tmp_path, **{field: name}))
    assert found == (INVALID, text) and not list(tmp_path.iterdir())


def test_no_trace_without_a_folder(profile):
    text = "ProfileRequest.repository_root is empty"
    assert error_of(profile, request("")) == (INVALID, text)


def test_no_trace_is_endless(profile, tmp_path):
    wanted = request(tmp_path, ms=profiler.LONGEST + 1)
    assert error_of(profile, wanted) == (
        INVALID,
        "ProfileOptions.duration_ms is 60001; at most 60000 are allowed",
    )
    wanted = request(tmp_path)
    wanted.opts.start_timestamp_ns = 2**63
    code, text = error_of(profile, wanted)
    assert code == INVALID and text.endswith("at most 60 are allowed")


def test_a_folder_that_cannot_be(profile, tmp_path):
    (tmp_path / "file").write_text("")
    code, text = error_of(profile, request(tmp_path / "file"))
    assert code == "INTERNAL" and "file" in text
    profile(request(tmp_path / "good"))


def test_there_is_no_monitor(server):
    monitor = method(server, "Monitor", protos.MonitorResponse)
    found = error_of(monitor, protos.MonitorRequest(duration_ms=1))
    assert found == ("UNIMPLEMENTED", "unimplemented.")


def test_it_can_be_turned_off(base, tmp_path):
    with running(
        model_name="m", model_base_path=str(base), enable_profiler=False
    ) as server:
        profile = method(server, "Profile", protos.ProfileResponse)
        assert error_of(profile, request(tmp_path))[0] == "UNIMPLEMENTED"
