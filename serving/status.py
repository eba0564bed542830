"""How a request fails: a status code and TensorFlow Serving's own text.

In: what went wrong. Out: `ServingError`, which gRPC and REST turn into their
answers. Texts and codes are those of tensorflow/serving; clients match on
them, so not a letter may differ.
"""

from grpc import StatusCode

LIMIT = 1024  # characters of a text, as in TensorFlow Serving's ToGRPCStatus
_CUT = "...TRUNCATED"

_HTTP = {
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.OUT_OF_RANGE: 400,
    StatusCode.NOT_FOUND: 404,
    StatusCode.ABORTED: 409,
    StatusCode.ALREADY_EXISTS: 409,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.UNAUTHENTICATED: 401,
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.DEADLINE_EXCEEDED: 504,
    StatusCode.CANCELLED: 499,
}


class ServingError(Exception):
    """A request that cannot be answered."""

    def __init__(self, code: StatusCode, message: str):
        super().__init__(message)
        self.code, self.message = code, message

    @property
    def text(self) -> str:
        """The message, cut to what a gRPC status carries."""
        if len(self.message) <= LIMIT:
            return self.message
        return self.message[:LIMIT] + _CUT

    @property
    def http_status(self) -> int:
        """The REST answer's status: 500 for codes without one."""
        return _HTTP.get(self.code, 500)


def invalid(message: str) -> ServingError:
    """INVALID_ARGUMENT with a text."""
    return ServingError(StatusCode.INVALID_ARGUMENT, message)


def not_found(message: str) -> ServingError:
    """NOT_FOUND with a text."""
    return ServingError(StatusCode.NOT_FOUND, message)


def failed_precondition(message: str) -> ServingError:
    """FAILED_PRECONDITION with a text."""
    return ServingError(StatusCode.FAILED_PRECONDITION, message)


def unavailable(message: str) -> ServingError:
    """UNAVAILABLE with a text; clients may try again."""
    return ServingError(StatusCode.UNAVAILABLE, message)


def exhausted(message: str) -> ServingError:
    """RESOURCE_EXHAUSTED with a text."""
    return ServingError(StatusCode.RESOURCE_EXHAUSTED, message)


def unimplemented(message: str) -> ServingError:
    """UNIMPLEMENTED with a text."""
    return ServingError(StatusCode.UNIMPLEMENTED, message)


def internal(message: str) -> ServingError:
    """INTERNAL with a text: a fault of the server or the model."""
    return ServingError(StatusCode.INTERNAL, message)
