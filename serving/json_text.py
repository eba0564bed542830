"""JSON of requests: parsed and bounded, and quoted in errors.

In: the body of a POST. Out: its object, or INVALID_ARGUMENT with TensorFlow
Serving's texts, whose parser is RapidJSON with NaN and Infinity allowed.

Differences: of two equal keys the last one counts; numbers above double's
range become infinity; quoted values are cut.
"""

import codecs
import json
import re
from typing import Any

from serving import status

VALUES = 2**23
# Bytes that Python takes for a number, an array, an object of one member.
_NUMBER, _ARRAY, _OBJECT = 40, 96, 240
_QUOTED = 400  # characters of a value in an error

_REASONS = {
    "Expecting value": "Invalid value.",
    "Expecting property name enclosed in double quotes": (
        "Missing a name for object member."
    ),
    "Expecting ':' delimiter": "Missing a colon after a name of object member.",
    "Extra data": ("The document root must not be followed by other values."),
    "Unterminated string starting at": (
        "Missing a closing quotation mark in string."
    ),
    "Invalid \\escape": "Invalid escape character in string.",
    "Invalid \\uXXXX escape": (
        "Incorrect hex digit after \\u escape in string."
    ),
    "Invalid control character at": "Invalid encoding in string.",
}
_MARK = re.compile(r'\\.|["\[\]{}]', re.S)
_AFTER_MEMBER = "Missing a comma or } after an object member."
_AFTER_ELEMENT = "Missing a comma or ] after an array element."
_KINDS = {
    dict: "Object",
    list: "Array",
    str: "String",
    int: "Number",
    float: "Number",
    type(None): "Null",
}


def memory(body: bytes) -> int:
    """About how many bytes the values of a body take once it is parsed.

    That may be 20 times the body: `{"":0},` is 8 bytes here and 280 there.
    """
    return (
        _NUMBER * body.count(b",")
        + _ARRAY * body.count(b"[")
        + _OBJECT * body.count(b"{")
    )


def parse(body: bytes) -> dict[str, Any]:
    """The object that a body holds.

    Raises:
      ServingError: INVALID_ARGUMENT: no JSON, no object, or too much of it.
    """
    if not body:
        raise _error("The document is empty")
    count = sum(body.count(mark) for mark in (b",", b"[", b"{"))
    if count > VALUES:
        raise status.invalid(
            f"The JSON has {count} values; the limit is {VALUES}"
        )
    try:
        text = body.removeprefix(codecs.BOM_UTF8).decode()
        found = json.loads(text)
    except UnicodeDecodeError as error:
        raise _error("Invalid encoding in string.", error.start) from error
    except json.JSONDecodeError as error:
        raise _error(_reason(error), error.pos) from error
    except RecursionError as error:
        raise _error("Nested too deeply.") from error
    except ValueError as error:  # an integer of more than 4,300 digits
        raise _error("Number too big to be stored in double.") from error
    if not isinstance(found, dict):
        raise status.invalid(f"JSON Value: {quote(found)} Is not object")
    return found


def _error(reason: str, offset: int | None = None) -> status.ServingError:
    place = "" if offset is None else f" at offset: {offset}"
    return status.invalid(f"JSON Parse error: {reason}{place}")


def _reason(error: json.JSONDecodeError) -> str:
    if error.msg.startswith("Invalid \\escape"):
        return _REASONS["Invalid \\escape"]
    if error.msg == "Expecting ',' delimiter":
        return _missing_comma(error.doc[: error.pos])
    return _REASONS.get(error.msg, error.msg)


def _missing_comma(text: str) -> str:
    """The text for an object or for an array, whichever is open."""
    quoted, opened = False, list[str]()
    # Mark by mark: a pattern of whole strings remembers each character.
    for found in _MARK.finditer(text):
        mark = found[0]
        if mark == '"':
            quoted = not quoted
        elif quoted or mark[0] == "\\":
            continue
        elif mark in "[{":
            opened.append(mark)
        elif opened:
            opened.pop()
    return _AFTER_ELEMENT if opened[-1:] == ["["] else _AFTER_MEMBER


def is_integer(value: int) -> bool:
    """Whether RapidJSON reads these digits as one; else they are a real."""
    return -(2**63) <= value < 2**64


def kind(value: Any) -> str:
    """The kind of a value as errors call it: "Number", "True" ..."""
    if isinstance(value, bool):
        return str(value)
    return _KINDS[type(value)]


def quote(value: Any) -> str:
    """A value as errors show it, cut after some characters."""
    pieces, length = [], 0
    # In pieces, as the value may be a whole request.
    for piece in json.JSONEncoder(indent=4, ensure_ascii=False).iterencode(
        value
    ):
        pieces.append(piece)
        length += len(piece)
        if length > _QUOTED:
            return "".join(pieces)[:_QUOTED] + "..."
    return "".join(pieces)
