"""How to batch: TensorFlow Serving's BatchingParameters text files.

In: the file of --batching_parameters_file, or `batching_params.pbtxt` in a
version's folder. Out: a checked BatchParameters with the same defaults.
Texts are those of tensorflow/serving's bundle_factory_util and TensorFlow's
SharedBatchScheduler, which find a bad value only when a model is loaded.
"""

import dataclasses
import os
import pathlib
from typing import Any

from google.protobuf import text_format

from histogan_tf.errors import InputError
from serving import status
from serving.batch_scheduler import QueueSettings
from serving.protos import session_bundle_config_pb2

MODEL_FILE = "batching_params.pbtxt"
Proto = session_bundle_config_pb2.BatchingParameters


@dataclasses.dataclass(frozen=True)
class BatchParameters:
    """Batching of one model, or of all.

    `max_batch_size`: rows that a request, and without splitting a batch, may
    have. `allowed_batch_sizes`: ascending, ends in `max_batch_size`; batches
    are filled up to the next one with copies. `max_execution_batch_size`:
    rows of a batch when requests are split; 0: `max_batch_size`.

    Raises:
      ServingError: INVALID_ARGUMENT: a value out of its range.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = os.cpu_count() or 1
    thread_pool_name: str = "batch_threads"
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool = False
    max_execution_batch_size: int = 0

    def __post_init__(self):
        for name, value in (
            ("num_batch_threads", self.num_batch_threads),
            ("input_batch_size_limit", self.max_batch_size),
        ):
            if value < 1:
                raise status.invalid(f"{name} must be positive; was {value}")
        if self.batch_timeout_micros < 0:
            raise status.invalid(
                "batch_timeout_micros must be non-negative; was"
                f" {self.batch_timeout_micros}"
            )
        # Without splitting, 0 is an old spelling of 1.
        if self.max_enqueued_batches < int(self.splitting):
            raise status.invalid(
                "max_enqueued_batches must be positive; was"
                f" {self.max_enqueued_batches}"
            )
        if self.splitting and not (
            0 <= self.max_execution_batch_size <= self.max_batch_size
        ):
            # Word for word; the original, too, runs its numbers together.
            raise status.invalid(
                "When enable_large_batch_splitting is true,"
                " input_batch_size_limit must be greater than or equal to"
                " max_execution_batch_size.1"
                f"{self.max_batch_size}{self.max_execution_batch_size}"
            )
        self._check_allowed()

    def _check_allowed(self) -> None:
        sizes = self.allowed_batch_sizes
        if not sizes:
            return
        if sizes[-1] != self.max_batch_size:
            raise status.invalid(
                "Last entry in allowed_batch_sizes must match max_batch_size;"
                f" last entry was {sizes[-1]}; expected {self.max_batch_size}"
            )
        if sizes[0] < 1 or list(sizes) != sorted(set(sizes)):
            raise status.invalid(
                "allowed_batch_sizes entries must be monotonically increasing"
            )

    @property
    def splitting(self) -> bool:
        """Whether requests that the open batch cannot hold are split."""
        return self.enable_large_batch_splitting

    @property
    def execution_size(self) -> int:
        """Rows of the largest batch."""
        if self.splitting and self.max_execution_batch_size:
            return self.max_execution_batch_size
        return self.max_batch_size

    def queue_settings(self) -> QueueSettings:
        """For the queue of one signature."""
        return QueueSettings(
            largest_task=self.max_batch_size,
            largest_batch=self.execution_size,
            timeout=self.batch_timeout_micros / 1e6,
            batches=max(1, self.max_enqueued_batches),
            splitting=self.splitting,
        )


def from_proto(proto: Proto) -> BatchParameters:
    """Parameters that are set; the others keep their defaults.

    Raises:
      ServingError: INVALID_ARGUMENT: a value out of its range.
    """
    values: dict[str, Any] = {}
    for field, value in proto.ListFields():
        if field.label == field.LABEL_REPEATED:
            values[field.name] = tuple(value)
        else:
            values[field.name] = getattr(value, "value", value)
    return BatchParameters(**values)


def read(path: str | os.PathLike) -> BatchParameters:
    """Reads the file of --batching_parameters_file.

    Raises:
      InputError: no such file, or what is wrong with it.
    """
    path = pathlib.Path(path)
    try:
        return _read(path)
    except status.ServingError as error:
        raise InputError(f"{path}: {error.message}") from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error


def read_model(folder: pathlib.Path) -> BatchParameters | None:
    """A model version's own parameters; None: it has none.

    Raises:
      ServingError: INVALID_ARGUMENT: what is wrong with them.
    """
    path = folder / MODEL_FILE
    return _read(path) if path.exists() else None


def _read(path: pathlib.Path) -> BatchParameters:
    proto = Proto()
    try:
        text_format.Parse(path.read_text(encoding="utf-8"), proto)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise status.invalid(
            f"Invalid protobuf file: '{path}': {error}"
        ) from error
    return from_proto(proto)
