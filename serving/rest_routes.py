r"""Which call a REST path means.

In: method and path of a request, as they were sent. Out: a Route. The regular
expressions and texts are those of tensorflow/serving's http_rest_api_util.cc:

    POST /v1/models/NAME[/versions/N|/labels/L]:(classify|regress|predict)
    GET  /v1/models/NAME[/versions/N|/labels/L][/metadata]

Case is ignored up to the names, which are percent-decoded; a decoded name is
looked up in the table of models and never becomes part of a path.
"""

import re
import urllib.parse
from dataclasses import dataclass

from tensorflow_serving.apis import model_pb2

from serving import status

_VERSION = r"(?:(?:/versions/(\d+))|(?:/labels/([^/:]+)))?"
_POST = re.compile(
    rf"/v1/models/([^/:]+){_VERSION}:(classify|regress|predict)",
    re.IGNORECASE | re.ASCII,
)
_GET = re.compile(
    rf"/v1/models(?:/([^/:]+))?{_VERSION}(?:/(metadata))?",
    re.IGNORECASE | re.ASCII,
)
_API = re.compile(r"/v1/.*", re.IGNORECASE | re.DOTALL)
_LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Route:
    """`action`: classify, regress, predict, status or metadata."""

    action: str
    spec: model_pb2.ModelSpec


def is_api(path: str) -> bool:
    """Whether a path is of the models' API."""
    return bool(_API.fullmatch(path))


def route(method: str, path: str) -> Route:
    """The call that a request means.

    Raises:
      ServingError: INVALID_ARGUMENT.
    """
    if method == "POST":
        found = _POST.fullmatch(path)
    elif method == "GET":
        found = _GET.fullmatch(path)
    else:
        found = None
    if not found:
        raise status.invalid(f"Malformed request: {method} {path}")
    name, version, label, action = found.groups()
    if method == "GET":
        action = "metadata" if action == "metadata" else "status"
    if not name:
        raise status.invalid("Missing model name in request.")
    spec = model_pb2.ModelSpec(name=_decode(name, "model name"))
    if version:
        # Python converts no more than 4,300 digits.
        digits = version.lstrip("0")[:20] or "0"
        if int(digits) > _LARGEST:
            raise status.invalid(
                f"Failed to convert version: {version} to numeric."
            )
        spec.version.value = int(digits)
    if label:
        spec.version_label = _decode(label, "model version label")
    # They compare in lower case, and know no other spelling.
    if action not in ("classify", "regress", "predict", "status", "metadata"):
        raise status.invalid(f"Malformed request: {method} {path}")
    return Route(action, spec)


def _decode(text: str, what: str) -> str:
    try:
        return urllib.parse.unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise status.invalid(f"Failed to decode {what}:{text}") from error
