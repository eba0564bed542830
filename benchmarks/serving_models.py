"""Models to load a server with: toys whose cost is known, and our own.

In: a folder. Out: SavedModels and requests for them. The toys show where
batching pays: `dense` reads 168 MB of weights, more than any cache holds, for
one row or for eight; `tiny` does nothing at all, so a request is overhead;
`convolution` has work enough in one image for all cores.
"""

import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from benchmarks.serving_process import MODEL
from histogan_tf import presets, run_dir, run_progress
from histogan_tf.data import classes, phantom, png
from histogan_tf.data.phantom_settings import PhantomSettings
from histogan_tf.models.segmenter_model import SegmenterModel
from histogan_tf.models.stage import StageModel


def predict_request(signature: str, **inputs) -> bytes:
    """A packed PredictRequest for MODEL."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = MODEL
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request.SerializeToString()


def save_toy(
    folder: pathlib.Path, shape: tuple[int, ...], layers: Callable
) -> bytes:
    """Saves `{"x": float32 [batch, *shape]} -> {"y"}`; returns a request."""
    model = tf.Module()
    model.layers = layers()

    @tf.function(
        input_signature=[tf.TensorSpec([None, *shape], tf.float32, "x")]
    )
    def serving_default(x):
        for layer in model.layers:
            x = layer(x)
        return {"y": x}

    model.serving_default = serving_default
    signatures = {"serving_default": serving_default}
    tf.saved_model.save(model, str(folder), signatures)
    row = np.random.default_rng(0).random((1, *shape), np.float32)
    return predict_request("", x=row)


def dense() -> list:
    """A classifier on embeddings of tiles: 2048 -> 3 x 4096 -> 16.

    42 million weights, 84 MFLOP a row: by itself, a row waits for memory.
    """
    layers = [tf.keras.layers.Dense(4096, "relu") for _ in range(3)]
    return [*layers, tf.keras.layers.Dense(16)]


def tiny() -> list:
    """16 -> 16: as good as nothing."""
    return [tf.keras.layers.Dense(16)]


def convolution() -> list:
    """Three convolutions of 3x3 and 16 channels: 5,000 weights."""
    return [
        tf.keras.layers.Conv2D(16, 3, padding="same", activation="relu")
        for _ in range(3)
    ]


TOYS = {
    "dense": ((2048,), dense),
    "tiny": ((16,), tiny),
    "convolution": ((96, 96, 3), convolution),
}


def tissue(side: int) -> bytes:
    """A phantom image as PNG, 2.5 um/px."""
    painted = phantom.paint(PhantomSettings(side, side, 2.5), 0)
    return png.encode(painted.image)


def untrained_run(folder: pathlib.Path, preset: str) -> pathlib.Path:
    """A run of random weights: its speed and size are a trained one's."""
    config = presets.PRESETS[preset]()
    table = classes.load(phantom.CLASSES_FILE)
    rng = np.random.default_rng(0)
    styles = [{"name": "train_0", "style": rng.normal(size=6).tolist()}]
    data = {"hash": "0" * 64, "styles": styles}
    run = run_dir.create_run(folder, config, table, data)
    weights = [1.0] * table.count
    models = {
        run_dir.stage_name(place): StageModel(config, place, weights)
        for place in range(len(config.stages))
    }
    models["segmenter"] = SegmenterModel(
        config.segmenter, config.optimizer, table.count, ()
    )
    steps = run_progress.wanted(config)
    for name, model in models.items():
        checkpoint = tf.train.Checkpoint(model=model, step=tf.Variable(0))
        target = run.phase(name) / "checkpoints"
        manager = tf.train.CheckpointManager(checkpoint, str(target), 1)
        manager.save(checkpoint_number=steps[name])
    return run.root
