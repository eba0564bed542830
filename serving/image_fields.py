"""Images in the fields of a serialised message, whatever its type.

In: bytes that may be a tf.Example, a tf.SequenceExample or anything else. Out:
those of its strings, in messages within messages, that begin as images do.

TensorFlow reads examples with parsers of its own. They pass over fields that
they do not know, mind no broken UTF-8, and keep one of two values of a name:
Python's would refuse or drop what a model sees. So every field of the
encoding is walked: https://protobuf.dev/programming-guides/encoding.
"""

from collections.abc import Iterator

from serving import image_headers

# SequenceExample, FeatureLists, its entry, FeatureList, Feature, BytesList.
_DEPTH = 6
_VARINT, _FIXED64, _BYTES, _OPEN, _CLOSE, _FIXED32 = range(6)


class TooManyFieldsError(Exception):
    """More fields than are allowed."""


def images(data: bytes, most: int) -> Iterator[bytes]:
    """Strings of a message that begin as images.

    Args:
      data: the message; if it is none, what can be read as one.
      most: fields that may be looked at.

    Raises:
      TooManyFieldsError: there are more.
    """
    seen = 0
    messages = [(0, len(data), 0)]
    while messages:
        start, end, depth = messages.pop()
        if depth == _DEPTH or not image_headers.may_hold_image(
            data, start, end
        ):
            continue
        for at, stop in _fields(data, start, end):
            seen += 1
            if seen > most:
                raise TooManyFieldsError
            if image_headers.begins_image(data, at, stop):
                yield data[at:stop]
            if at < stop:
                messages.append((at, stop, depth + 1))


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int]]:
    """Where each field's bytes lie, to the first that is broken.

    Numbers are fields without bytes; marks of groups, too, so that what is
    in a group is among the others.
    """
    while at < end:
        tag, at = _varint(data, at, end)
        kind, size = tag & 7, 0
        if kind == _BYTES:
            size, at = _varint(data, at, end)
        elif kind == _VARINT:
            _, at = _varint(data, at, end)
        elif kind == _FIXED64:
            at += 8
        elif kind == _FIXED32:
            at += 4
        elif kind not in (_OPEN, _CLOSE):
            return
        if at + size > end:
            return
        yield at, at + size
        at += size


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """A number and where it ends; beyond `end` if it is broken."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            # TensorFlow reads up to ten bytes and keeps 32 bits.
            return value & 0xFFFFFFFF, at
    return 0, end + 1
