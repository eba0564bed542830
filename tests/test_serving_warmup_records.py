"""Warm-up requests: all signatures, all sizes, as a server reads them."""

import numpy as np
import pytest
import serving_models
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from histogan_tf.data import png
from histogan_tf.errors import InputError
from serving import signatures, warmup_records

PLACE = "assets.extra/tf_serving_warmup_requests"


def test_the_file_is_what_tensorflow_serving_reads(random_export):
    logs = [
        prediction_log_pb2.PredictionLog.FromString(record)
        for record in tf.data.TFRecordDataset(
            str(random_export / PLACE)
        ).as_numpy_iterator()
    ]
    assert {log.WhichOneof("log_type") for log in logs} == {"predict_log"}
    found = [log.predict_log.request for log in logs]
    assert {r.model_spec.name for r in found} == {"tissue"}
    model = tf.saved_model.load(str(random_export))
    called = {r.model_spec.signature_name or "serving_default" for r in found}
    assert called == set(model.signatures)
    assert found == [*warmup_records.read(random_export)]


def shapes(networks, sizes):
    """Shapes of each request's largest input, by signature."""
    found = {}
    for request in warmup_records.requests(networks, sizes, "m"):
        values = {k: tf.make_ndarray(v) for k, v in request.inputs.items()}
        name = request.model_spec.signature_name
        for key in ("images", "masks"):
            if key in values:
                found.setdefault(name, []).append(values[key].shape)
        for key in ("image_bytes", "mask_bytes"):
            if key in values:
                pixels = png.decode(values[key][0])
                found.setdefault(name, []).append(pixels.shape)
    return found


def test_every_size_in_use(random_networks):
    found = shapes(random_networks, ((16, 24), (7, 9)))
    border = 2 * random_networks.paint_reach.halo
    assert random_networks.paint_reach.multiple == 4
    assert found == {
        "": [(16, 24, 3), (7, 9, 3)],
        "segment": [(16, 24, 3), (7, 9, 3)],
        "segment_tensor": [(1, 16, 24, 3), (1, 7, 9, 3)],
        "segment_float": [(1, 16, 24, 3), (1, 7, 9, 3)],
        # By style and by reference; 7 x 9 is enlarged to the windows' grid.
        "generate": [(16, 24), (16, 24), (7, 9), (7, 9)],
        "generate_window": [
            (1, 16 + border, 24 + border),
            (1, 8 + border, 12 + border),
        ],
    }


def test_the_same_sizes_give_the_same_bytes(random_networks, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made = warmup_records.requests(random_networks, ((8, 8),), "m")
        assert warmup_records.write(tmp_path / name, made) == 9
    one, two = ((tmp_path / n / PLACE).read_bytes() for n in ("one", "two"))
    assert one == two


def test_other_kinds_of_records_are_passed_over(tmp_path):
    assert [*warmup_records.read(tmp_path)] == []
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.name = "m"
    others = [prediction_log_pb2.PredictionLog(classify_log={}), type(log)()]
    serving_models.warmup_records(tmp_path, [others[0], log, others[1]])
    assert [*warmup_records.read(tmp_path)] == [log.predict_log.request]


def test_sizes_of_texts():
    found = warmup_records.parse_sizes(["64x48", " 512x512", "64x48"])
    assert found == ((64, 48), (512, 512))
    assert warmup_records.parse_sizes([]) == ()


@pytest.mark.parametrize("text", ["", "64", "64x", "axb", "1x2x3", "8.0x8"])
def test_texts_that_are_no_size(text):
    with pytest.raises(InputError, match="write HEIGHTxWIDTH"):
        warmup_records.parse_sizes([text])


def test_servers_read_1000_records(random_networks):
    sizes = [(8, n) for n in range(1, 200)]
    per_size = len([*warmup_records.requests(random_networks, [(8, 8)], "m")])
    most = 999 // (per_size - 1)  # one record belongs to no size
    limit = 2**30
    warmup_records.check_sizes(sizes[:most], random_networks, limit)
    with pytest.raises(InputError, match=f"{most} are allowed"):
        warmup_records.check_sizes(sizes[: most + 1], random_networks, limit)


def test_requests_fit_the_signatures(random_networks):
    graphs = signatures.graphs_of(random_networks, 2**16)
    graphs["about"] = signatures.about("")
    for request in warmup_records.requests(random_networks, [(8, 12)], "m"):
        graph = graphs[request.model_spec.signature_name or "serving_default"]
        for spec in graph.input_signature:
            value = tf.make_ndarray(request.inputs[spec.name])
            assert spec.shape.is_compatible_with(value.shape)
            assert np.dtype(spec.dtype.as_numpy_dtype) == value.dtype
        assert len(request.inputs) == len(graph.input_signature)
