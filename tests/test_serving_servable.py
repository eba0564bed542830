"""Loaded models: values, TensorFlow's own errors, threads, timeouts."""

import gc
import threading
import time
import weakref

import numpy as np
import pytest
import serving_models
import tensorflow as tf
from grpc import StatusCode

from serving import servable
from serving.status import ServingError

THREADS = servable.Threads(1, 1)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folder of one version 1 of each toy model."""
    base = tmp_path_factory.mktemp("models")
    serving_models.half_plus(base / "half_plus" / "1")
    serving_models.half_plus(base / "slow" / "1", wait=1.0)
    serving_models.table(base / "table" / "1")
    serving_models.tf1(base / "tf1" / "1")
    serving_models.heads(base / "heads" / "1")
    return base


@pytest.fixture
def load(models):
    opened = []

    def open_one(name):
        opened.append(servable.load(models / name / "1", THREADS))
        return opened[-1]

    yield open_one
    for model in opened:
        model.close()


def call(model, signature, timeout=None, **inputs):
    """Outputs of a signature, by alias."""
    found = model.signatures[signature]
    feeds = {found.inputs[k].name: np.asarray(v) for k, v in inputs.items()}
    aliases = sorted(found.outputs)
    fetches = [found.outputs[alias].name for alias in aliases]
    return dict(zip(aliases, model.run(feeds, fetches, timeout), strict=True))


def strings(*values):
    return np.array(values, object)


def floats(*values):
    return np.array(values, np.float32)


@pytest.mark.parametrize("name", ["half_plus", "tf1"])
def test_values_of_both_styles(load, name):
    found = call(load(name), "serving_default", x=floats(1, 3, -4))
    np.testing.assert_array_equal(found["y"], floats(2.5, 3.5, 0))
    assert found["y"].dtype == np.float32


@pytest.mark.parametrize(
    ("name", "signature"), [("table", "serving_default"), ("tf1", "look_up")]
)
def test_assets_and_initialisers(load, name, signature):
    found = call(load(name), signature, word=strings(b"stroma", b"?", b"gland"))
    np.testing.assert_array_equal(found["place"], [2, -1, 0])
    assert found["place"].dtype == np.int64


def test_strings_and_several_inputs(load):
    model = load("half_plus")
    found = call(model, "text", text=strings(b"a\x00\xff", b""))
    assert found["upper_bytes"].tolist() == [b"A\x00\xff", b""]
    assert found["upper_bytes"].dtype == object
    assert found["length"].tolist() == [3, 0]
    found = call(model, "two", a=np.ones((2, 5, 3), "f"), b=floats(1, 2))
    np.testing.assert_array_equal(found["sum"], floats(16, 17))
    np.testing.assert_array_equal(found["shape"], [[2, 5, 3]] * 2)


def test_scalars_are_arrays(load):
    found = call(load("half_plus"), "scalar", x=np.float32(3))["y"]
    assert isinstance(found, np.ndarray) and found.shape == ()
    assert found == 3.5


def test_same_tensor_fetched_twice(load):
    model = load("half_plus")
    signature = model.signatures["serving_default"]
    feed, fetch = signature.inputs["x"].name, signature.outputs["y"].name
    results = model.run({feed: floats(2)}, [fetch, fetch])
    assert [result.tolist() for result in results] == [[3], [3]]
    with pytest.raises(ServingError, match="is both fed and fetched"):
        model.run({feed: floats(2)}, [feed])


def test_examples(load):
    feature = tf.train.Feature(float_list=tf.train.FloatList(value=[0.25]))
    example = tf.train.Example(
        features=tf.train.Features(feature={"x": feature})
    )
    model = load("heads")
    text = strings(example.SerializeToString())
    found = call(model, "classify", inputs=text)
    assert found["classes"].tolist() == [[b"low", b"high"]]
    assert found["scores"].tolist() == [[0.75, 0.25]]
    assert call(model, "regress", inputs=text)["outputs"].tolist() == [[2.125]]


def fails(code, text, model, signature, **inputs):
    with pytest.raises(ServingError) as caught:
        call(model, signature, **inputs)
    assert caught.value.code == code
    assert text in caught.value.message
    assert "Cannot feed value" not in caught.value.message


def test_errors_are_the_runtimes_own(load):
    model = load("half_plus")
    bad = StatusCode.INVALID_ARGUMENT
    fails(bad, "x is negative", model, "positive", x=floats(-1))
    text = "Expects arg[0] to be float but int32 is provided"
    fails(bad, text, model, "serving_default", x=np.ones(3, np.int32))
    fails(
        bad,
        "Incompatible shapes: [2] vs. [3]",
        model,
        "two",
        a=np.ones((2, 1, 3), np.float32),
        b=floats(1, 2, 3),
    )
    fails(
        bad,
        "Could not parse example input",
        load("heads"),
        "classify",
        inputs=strings(b"no example"),
    )
    # The model is none the worse for it.
    assert call(model, "positive", x=floats(1))["x"] == 1


@pytest.mark.parametrize("name", ["no_such:0", "x", "a b:0", "", ":", "x:99"])
def test_unknown_tensors(load, name):
    with pytest.raises(ServingError) as caught:
        load("half_plus").run({}, [name])
    assert caught.value.code == StatusCode.INVALID_ARGUMENT
    assert caught.value.message.startswith(f"Tensor {name}, specified in")


def test_timeout(load):
    model = load("slow")
    before = time.monotonic()
    with pytest.raises(ServingError) as caught:
        call(model, "serving_default", timeout=0.05, x=floats(1))
    assert caught.value.code == StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - before < 0.9
    found = call(model, "serving_default", timeout=20.0, x=floats(1))
    assert found["y"] == 2.5
    with pytest.raises(ServingError, match="Timed out"):
        call(model, "serving_default", timeout=0.0, x=floats(1))


def test_many_threads_each_get_their_own_answer(load):
    model, wrong = load("half_plus"), []

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(40):
            x = rng.normal(size=rng.integers(1, 9)).astype(np.float32)
            found = call(model, "serving_default", x=x)["y"]
            if not np.array_equal(found, x * np.float32(0.5) + 2):
                wrong.append((x, found))

    workers = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_models_share_nothing(load, tmp_path):
    other = serving_models.half_plus(tmp_path / "2", offset=100.0)
    second = servable.load(other, THREADS)
    first = load("half_plus")
    assert call(second, "serving_default", x=floats(2))["y"] == 101
    assert call(first, "serving_default", x=floats(2))["y"] == 3
    second.close()
    assert call(first, "serving_default", x=floats(2))["y"] == 3


def test_closed(models):
    model = servable.load(models / "half_plus" / "1", THREADS)
    graph = weakref.ref(model._session.graph)
    gc.disable()
    try:
        model.close()
        assert graph() is None
    finally:
        gc.enable()
    model.close()
    with pytest.raises(ServingError) as caught:
        call(model, "serving_default", x=floats(1))
    assert caught.value.code == StatusCode.UNAVAILABLE


def refused(path, code, text):
    with pytest.raises(ServingError) as caught:
        servable.load(path, THREADS)
    assert caught.value.code == code
    assert text in caught.value.message and str(path) in caught.value.message


def test_what_cannot_be_loaded(tmp_path):
    text = "Could not find SavedModel .pb or .pbtxt"
    refused(tmp_path / "none", StatusCode.NOT_FOUND, text)
    (tmp_path / "half" / "variables").mkdir(parents=True)
    refused(tmp_path / "half", StatusCode.NOT_FOUND, text)
    bad = serving_models.corrupt(tmp_path / "bad")
    refused(bad, StatusCode.DATA_LOSS, "saved_model.pb")


def test_variables_that_are_missing_or_cut(tmp_path):
    folder = serving_models.half_plus(tmp_path / "1")
    data = folder / "variables" / "variables.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:3])
    with pytest.raises(ServingError):
        servable.load(folder, THREADS)
    (folder / "variables" / "variables.index").unlink()
    with pytest.raises(ServingError):
        servable.load(folder, THREADS)


def test_wrong_tag(models):
    with pytest.raises(ServingError, match="tag"):
        servable.load(models / "tf1" / "1", THREADS, ("gpu",))


def test_threads_are_checked():
    with pytest.raises(ValueError, match="intra_op: -1"):
        servable.Threads(0, -1)
