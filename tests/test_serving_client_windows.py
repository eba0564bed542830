"""Limits that are learnt, and windows of one version only."""

import grpc
import pytest

from serving import client_windows
from serving.client_channel import RequestError
from serving.client_windows import Windows

INVALID = grpc.StatusCode.INVALID_ARGUMENT
FULL = grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (
            INVALID,
            "The images of input image_bytes decode to 900 pixels; the limit"
            " decoded_pixels is 400",
            400,
        ),
        (INVALID, "Input masks has 9 elements; the limit tensor_elements is 4",
         4),
        (INVALID, "assertion failed: [image of 30 x 30 pixels (height x"
         " width); 1 to 100 pixels are allowed, send larger ones]", 100),
        (INVALID, "The request has 9 bytes; the limit message_bytes is 4",
         None),
        # A fifth of room for windows that need more bytes a pixel.
        (FULL, "the request of 2000 bytes is above the server's limit of 500;"
         " send less at once (--tile_pixels)", 180),
        (FULL, "the message of 2000 bytes is above the client's limit of 500",
         None),
        (grpc.StatusCode.INTERNAL, "the limit decoded_pixels is 400", None),
    ],
)  # fmt: skip
def test_stated_limits(code, text, expected):
    error = RequestError(code, text, "host:1")
    assert client_windows.stated_limit(error, 900) == expected


def test_our_servers_own_text_is_understood():
    from serving.limits import RequestLimits
    from serving.status import ServingError

    with pytest.raises(ServingError) as caught:
        RequestLimits(tensor_elements=12).check_elements("masks", 13)
    error = RequestError(caught.value.code, caught.value.text, "host:1")
    assert client_windows.stated_limit(error, 900) == 12


def test_the_limit_is_learnt_once():
    asked = []

    def work(pixels, versions):
        asked.append(pixels)
        if pixels > 100:
            raise RequestError(
                INVALID, "the limit decoded_pixels is 100", "host:1"
            )
        versions.add(1)
        return "done"

    windows = Windows(900)
    assert windows.run(work) == windows.run(work) == ("done", 1)
    assert asked == [900, 100, 100]


def test_a_limit_that_does_not_help_ends():
    def work(pixels, versions):
        raise RequestError(INVALID, "the limit decoded_pixels is 100", "a:1")

    with pytest.raises(RequestError, match="decoded_pixels is 100"):
        Windows(900).run(work)


def test_an_image_of_two_versions_is_read_again():
    answers = [{1, 2}, {2}]

    def work(pixels, versions):
        versions.update(answers.pop(0))
        return len(answers)

    assert Windows(1).run(work) == (0, 2)
    answers += [{1, 2}] * 3
    with pytest.raises(RequestError, match="ABORTED: the model was swapped 3"):
        Windows(1).run(work)
