"""serving.batch_parameters: files of TensorFlow Serving, good and bad."""

import os

import pytest

from histogan_tf.errors import InputError
from serving import batch_parameters
from serving.batch_parameters import BatchParameters
from serving.status import ServingError


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / batch_parameters.MODEL_FILE
        path.write_text(text)
        return path

    return write


def test_a_file_as_tensorflow_serving_reads_it(file):
    found = batch_parameters.read(
        file(
            """
            # a comment
            max_batch_size { value: 128 }
            batch_timeout_micros { value: 2500 }
            max_enqueued_batches { value: 0 }
            num_batch_threads { value: 3 }
            thread_pool_name { value: "mine" }
            allowed_batch_sizes: 8
            allowed_batch_sizes: 128
            pad_variable_length_inputs: true
            """
        )
    )
    assert found == BatchParameters(
        128, 2500, 0, 3, "mine", (8, 128), pad_variable_length_inputs=True
    )
    settings = found.queue_settings()
    assert (settings.largest_task, settings.largest_batch) == (128, 128)
    assert settings.timeout == 0.0025
    assert settings.batches == 1  # as the original reads 0


def test_defaults(file):
    found = batch_parameters.read(file(""))
    assert found == BatchParameters(1000, 0, 10, os.cpu_count())
    assert found.execution_size == 1000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "max_batch_size { value: 16 } allowed_batch_sizes: [4, 8]",
            "Last entry in allowed_batch_sizes must match max_batch_size; last"
            " entry was 8; expected 16",
        ),
        (
            "allowed_batch_sizes: [4, 8]",
            "Last entry in allowed_batch_sizes must match max_batch_size; last"
            " entry was 8; expected 1000",
        ),
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: [4, 4, 8]",
            "allowed_batch_sizes entries must be monotonically increasing",
        ),
        (
            "num_batch_threads { value: 0 }",
            "num_batch_threads must be positive; was 0",
        ),
        (
            "max_batch_size { value: 0 }",
            "input_batch_size_limit must be positive; was 0",
        ),
        (
            "batch_timeout_micros { value: -1 }",
            "batch_timeout_micros must be non-negative; was -1",
        ),
        (
            "max_enqueued_batches { value: -2 }",
            "max_enqueued_batches must be positive; was -2",
        ),
        (
            "max_enqueued_batches { value: 0 }"
            " enable_large_batch_splitting { value: true }",
            "max_enqueued_batches must be positive; was 0",
        ),
        (
            "max_batch_size { value: 8 }"
            " enable_large_batch_splitting { value: true }"
            " max_execution_batch_size { value: 9 }",
            "When enable_large_batch_splitting is true,"
            " input_batch_size_limit must be greater than or equal to"
            " max_execution_batch_size.189",
        ),
    ],
)
def test_values_that_do_not_fit(file, text, message):
    path = file(text)
    with pytest.raises(InputError) as at_start:
        batch_parameters.read(path)
    assert str(at_start.value) == f"{path}: {message}"
    with pytest.raises(ServingError) as at_load:
        batch_parameters.read_model(path.parent)
    assert at_load.value.message == message
    assert at_load.value.code.name == "INVALID_ARGUMENT"


def test_files_that_do_not_parse(file, tmp_path):
    path = file("max_batch: 3")
    with pytest.raises(InputError, match="Invalid protobuf file: '"):
        batch_parameters.read(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="Invalid protobuf file"):
        batch_parameters.read(path)
    with pytest.raises(InputError, match="nowhere: No such file"):
        batch_parameters.read(tmp_path / "nowhere")


def test_a_model_may_have_none(tmp_path):
    assert batch_parameters.read_model(tmp_path) is None


SPLIT = """
max_batch_size { value: 100 }
max_execution_batch_size { value: 8 }
enable_large_batch_splitting { value: %s }
"""


@pytest.mark.parametrize(("state", "rows"), [("true", 8), ("false", 100)])
def test_batches_smaller_than_requests(file, state, rows):
    found = batch_parameters.read(file(SPLIT % state))
    assert found.splitting is (state == "true")
    settings = found.queue_settings()
    assert settings.splitting is (state == "true")
    assert (settings.largest_task, settings.largest_batch) == (100, rows)


def test_splitting_into_batches_as_large_as_requests(file):
    text = "enable_large_batch_splitting { value: true }"
    found = batch_parameters.read(file(text)).queue_settings()
    assert found.splitting
    assert (found.largest_task, found.largest_batch) == (1000, 1000)


def test_field_numbers_of_tensorflow_serving():
    # Binary, as in the `.pb` that other tools write.
    packed = b"\x42\x02\x08\x01" + b"\x4a\x02\x08\x05"
    proto = batch_parameters.Proto.FromString(packed)
    assert proto.enable_large_batch_splitting.value
    assert proto.max_execution_batch_size.value == 5
