"""serving.status: codes and texts of failures."""

import pytest
from grpc import StatusCode

from serving.status import ServingError

# As in TensorFlow Serving.
HTTP = {
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
    "UNAUTHENTICATED": 401,
}


@pytest.mark.parametrize(("name", "expected"), HTTP.items())
def test_http_statuses(name, expected):
    assert ServingError(StatusCode[name], "").http_status == expected


def test_no_code_is_left_out():
    assert {code.name for code in StatusCode} == {"OK", *HTTP}


def test_texts_are_cut_for_grpc():
    error = ServingError(StatusCode.UNKNOWN, "x" * 1024)
    assert error.text == error.message == "x" * 1024
    error = ServingError(StatusCode.UNKNOWN, "x" * 1025)
    assert error.text == "x" * 1024 + "...TRUNCATED"
    assert error.message == "x" * 1025
