"""A run's networks and the SavedModel of its signatures."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf import run_dir
from histogan_tf.data import png
from serving import samples, signatures


def test_the_weights_are_those_that_the_library_loads(
    random_run, random_networks
):
    network = run_dir.load_segmenter(run_dir.open_run(random_run))
    image = tf.random.stateless_uniform([1, 8, 8, 3], [1, 2])
    coarse = tf.fill([1, 8, 8, 3], 1 / 3)
    network(image, coarse)
    for found, wanted in zip(
        random_networks.reader.network.variables,
        network.variables,
        strict=True,
    ):
        np.testing.assert_array_equal(found, wanted)
    assert random_networks.scale.mpp == 5.0
    assert random_networks.scale.style_mpp == 10.0


def test_windows_are_on_their_networks_grid(random_networks):
    paint, read = random_networks.paint_reach, random_networks.read_reach
    assert paint.multiple == random_networks.canvas.pyramid.multiple == 4
    assert read.multiple == random_networks.reader.network.stride == 2
    assert paint.halo % 4 == read.halo % 2 == 0


def test_every_signature_ends_in_the_librarys_own_graphs(random_networks):
    graphs = signatures.graphs_of(random_networks, 2**16)
    one = {
        "segment": "_read",
        "segment_tensor": "_read",
        "segment_float": "_read",
        "examples": "_read",
        "generate": "paint",
        "generate_window": "paint",
    }
    for name, inner in one.items():
        traced = graphs[name].get_concrete_function().graph.as_graph_def()
        called = [f.signature.name for f in traced.library.function]
        assert any(f"__inference_{inner}_" in n for n in called), name


def test_a_run_in_bfloat16_serves_float32(random_run, tmp_path):
    folder = shutil.copytree(random_run, tmp_path / "run")
    path = folder / "config.json"
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"precision": "bfloat16"})
    )
    networks = signatures.open_networks(run_dir.open_run(folder))
    assert {v.dtype for v in networks.variables()} == {tf.float32}
    probabilities = networks.reader.read(tf.zeros([1, 4, 4, 3]))
    assert probabilities.dtype == tf.float32
    graph = networks.reader.read.get_concrete_function().graph
    kinds = {t.dtype for op in graph.get_operations() for t in op.outputs}
    assert tf.bfloat16 not in kinds


def test_loaded_anew_it_needs_nothing_of_ours(random_export, random_networks):
    """By the session API, as TensorFlow Serving loads it."""
    image = samples.image_of(30, 20, 6)
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        found = tf.compat.v1.saved_model.load(
            session, ["serve"], str(random_export)
        )
        signature = found.signature_def["serving_default"]
        assert signature.method_name == "tensorflow/serving/predict"
        mask, areas = session.run(
            [signature.outputs[n].name for n in ("mask_bytes", "areas")],
            {signature.inputs["image_bytes"].name: [png.encode(image)]},
        )
    wanted = random_networks.reader(image).argmax(-1)
    np.testing.assert_array_equal(png.decode(mask[0]), wanted)
    assert areas.dtype == np.float32


def test_about_answers_its_card_to_every_question():
    about = signatures.about('{"a": 1}')
    with pytest.raises(tf.errors.InvalidArgumentError, match="up to 64 rows"):
        about(question=[b""] * 65)
    found = about(question=[b"", b"x"])
    assert found["model_card"].numpy().tolist() == [b'{"a": 1}'] * 2
