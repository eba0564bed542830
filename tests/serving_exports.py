"""Small exports of known scores, for the tests of push and its gates."""

import pathlib

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from histogan_tf.data import records
from histogan_tf.metrics.segmentation import confusion_tensor

CLASSES = 3


class Constant(tf.Module):
    """Takes every pixel for class `answer`; doubles floats."""

    def __init__(self, answer: int):
        super().__init__()
        self.answer = tf.Variable(answer, name="answer")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def examples(self, examples):
        """Serialised tiles -> confusion float32 [B, N, N]."""

        def confusion(serialized):
            truth = records.decode(serialized)["mask"]
            found = tf.fill(tf.shape(truth), self.answer)
            matrix = confusion_tensor(truth, found, CLASSES)
            return tf.cast(matrix, tf.float32)

        spec = tf.TensorSpec([CLASSES, CLASSES], tf.float32)
        return {
            "confusion": tf.map_fn(
                confusion, examples, fn_output_signature=spec
            )
        }

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.float32, "x"),
            tf.TensorSpec([None], tf.string, "text"),
        ]
    )
    def double(self, x, text):
        """Numbers and strings, each twice."""
        return {"twice": 2.0 * x, "text_bytes": text + text}


def constant(folder: pathlib.Path, answer: int) -> pathlib.Path:
    """Saves a Constant, with two warm-up records."""
    model = Constant(answer)
    tf.saved_model.save(
        model,
        str(folder),
        {"serving_default": model.double, "examples": model.examples},
    )
    write_warm_up(folder, [[1.0], [2.0, 3.0]])
    return folder


def write_warm_up(folder: pathlib.Path, rows) -> None:
    """Warm-up records for `double`, one for each row of numbers."""
    extra = folder / "assets.extra"
    extra.mkdir(exist_ok=True)
    path = extra / "tf_serving_warmup_requests"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in rows:
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.name = "any"
            request.model_spec.signature_name = "serving_default"
            request.inputs["x"].CopyFrom(tf.make_tensor_proto(row))
            text = [f"{n}" for n in row]
            request.inputs["text"].CopyFrom(tf.make_tensor_proto(text))
            writer.write(log.SerializeToString())
