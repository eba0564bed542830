"""The requests of infra validation: what is sent, and what must come back.

In: an export, its warm-up records (assets.extra), a client of a server that
has it. Out: how many requests were answered as the SavedModel answers in this
process; else `AnswerError`, which names record, output and difference.
"""

import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from serving.client_api import ServingClient

WARM_UP = "assets.extra/tf_serving_warmup_requests"


class AnswerError(Exception):
    """The server does not answer as the SavedModel does."""


def check_answers(
    export: pathlib.Path, client: ServingClient, tolerance: float
) -> int:
    """Sends every record and compares.

    Args:
      export: BASE/<version>; called in this process.
      client: of a server that serves it.
      tolerance: for floats, absolute and relative.

    Returns:
      Number of requests.

    Raises:
      AnswerError: an answer is another, or there is nothing to send.
      RequestError: the server refuses a request.
    """
    model = tf.saved_model.load(str(export))
    count = 0
    for place, request in enumerate(_requests(export)):
        name = request.model_spec.signature_name
        inputs = {k: tf.make_ndarray(v) for k, v in request.inputs.items()}
        found = client.predict(name, inputs).outputs
        call = model.signatures[name or "serving_default"]
        expected = call(**{k: tf.constant(v) for k, v in inputs.items()})
        values = {k: v.numpy() for k, v in expected.items()}
        _compare(found, values, tolerance, f"warm-up record {place} ({name})")
        count += 1
    if not count:
        raise AnswerError(f"{export / WARM_UP}: no Predict request to send")
    return count


def _requests(export: pathlib.Path) -> Iterator[predict_pb2.PredictRequest]:
    path = export / WARM_UP
    if not path.is_file():
        return
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        if log.HasField("predict_log"):
            yield log.predict_log.request


def _compare(
    found: dict[str, np.ndarray],
    expected: dict[str, np.ndarray],
    tolerance: float,
    where: str,
) -> None:
    if set(found) != set(expected):
        raise AnswerError(
            f"{where}: outputs {', '.join(sorted(found))}; expected"
            f" {', '.join(sorted(expected))}"
        )
    for name, value in expected.items():
        got = found[name]
        if (got.shape, got.dtype) != (value.shape, value.dtype):
            raise AnswerError(
                f"{where}: {name} is {got.dtype} {got.shape}; expected"
                f" {value.dtype} {value.shape}"
            )
        if value.dtype.kind != "f":
            if not np.array_equal(got, value):
                raise AnswerError(f"{where}: {name} differs")
        elif not np.allclose(got, value, tolerance, tolerance, equal_nan=True):
            most = np.abs(got - value).max()
            raise AnswerError(f"{where}: {name} differs by up to {most:.3g}")
