"""Replays the warm-up requests that lie in a model's folder, before it serves.

In: a loaded model and its folder with, or without, the TFRecords of
PredictionLog `assets.extra/tf_serving_warmup_requests`. Out: nothing; a
record that fails raises, so that the version does not come into service.
Codes and texts are those of tensorflow/serving's saved_model_warmup.cc.
"""

import contextlib
import logging
import pathlib
import time
from collections.abc import Callable, Iterator

import tensorflow as tf
from google.protobuf.message import DecodeError
from grpc import StatusCode
from tensorflow.python.lib.io import _pywrap_record_io
from tensorflow_serving.apis import model_pb2, prediction_log_pb2

from serving import servable as servables
from serving import status
from serving.classify import classify
from serving.export_layout import MOST_WARM_UP, WARM_UP
from serving.limits import UNLIMITED
from serving.manager import Handle
from serving.multi_inference import multi_inference
from serving.predict import predict
from serving.regress import regress
from serving.servable import Servable
from serving.status import ServingError

_LOG = logging.getLogger(__name__)
_METHODS: dict[str, Callable] = {
    "predict_log": predict,
    "classify_log": classify,
    "regress_log": regress,
    "multi_inference_log": multi_inference,
}


class _Only:
    """Stands for a manager that has this one model, whatever it is asked."""

    def __init__(self, servable: Servable):
        self._servable = servable

    @contextlib.contextmanager
    def handle(self, spec: model_pb2.ModelSpec) -> Iterator[Handle]:
        yield Handle(self._servable, spec.name, 0)


def warm_up(servable: Servable, path: pathlib.Path) -> None:
    """Runs every warm-up request of a version; without a file, none.

    Raises:
      ServingError: a record cannot be read, is of a kind that cannot be
        replayed, or fails; or there are more than MOST_WARM_UP.
    """
    file = path / WARM_UP
    if not file.is_file():
        _LOG.info("No warmup data file found at %s", file)
        return
    began, count = time.monotonic(), 0
    manager = _Only(servable)
    for record in _records(file):
        _replay(manager, record, file)
        count += 1
        if count > MOST_WARM_UP:
            raise status.invalid(
                f"Number of warmup records exceeds the maximum"
                f" ({MOST_WARM_UP}) at {file}"
            )
    _LOG.info(
        "Finished reading warmup data for model at %s. Number of warmup"
        " records read: %d. Elapsed time: %.3f s.",
        file,
        count,
        time.monotonic() - began,
    )


def _records(file: pathlib.Path) -> Iterator[bytes]:
    # Not tf.data: its threads and buffers are for more than a few records. Not
    # tf_record_iterator, which is this and a plain line amid those of JSON.
    try:
        yield from _pywrap_record_io.RecordIterator(str(file), "")
    except tf.errors.OpError as error:
        raise servables.from_op_error(error) from error


def _replay(manager: _Only, record: bytes, file: pathlib.Path) -> None:
    try:
        log = prediction_log_pb2.PredictionLog.FromString(record)
    except DecodeError as error:
        raise status.invalid(
            f"Failed to parse warmup record: {record[:80]!r} from {file}"
        ) from error
    kind = log.WhichOneof("log_type")
    if kind is None:  # passed over, as in TensorFlow Serving
        return
    if kind not in _METHODS:
        number = log.DESCRIPTOR.fields_by_name[kind].number
        raise ServingError(
            StatusCode.UNIMPLEMENTED,
            f"Unsupported log_type for warmup: {number}",
        )
    # The file is the operator's own: what TensorFlow takes is allowed.
    _METHODS[kind](manager, getattr(log, kind).request, UNLIMITED)
