"""What one request may ask for, checked before memory is taken for it.

In: sizes that a request claims, and the strings that it sends. Out: nothing,
or INVALID_ARGUMENT that names the limit and the value found.

TensorFlow Serving has no such limits but the message size. A few bytes can
claim much: a tensor shape (values that were left out repeat the last one),
and an image (10 kB of PNG can decode to 2 GB). With these limits the memory
of a request grows with the bytes that were sent, and images are bounded.
"""

import dataclasses
from collections.abc import Iterable

from serving import image_fields, image_headers, status
from serving.image_fields import TooManyFieldsError


@dataclasses.dataclass(frozen=True, kw_only=True)
class RequestLimits:
    """Limits of one request; each is at least 1.

    `message_bytes`: of the whole request. `tensor_elements`: of one input
    tensor. `repeated_elements`: of one input tensor, elements that were not
    sent and stand for copies of the last one; `repeated_strings` the same of
    strings. `decoded_pixels`: of all images in one input tensor, all frames of
    animations included. `fields`: of one string with images in it, as a
    tf.Example has them.
    """

    message_bytes: int = 2**28
    tensor_elements: int = 2**26
    repeated_elements: int = 2**20
    repeated_strings: int = 64
    decoded_pixels: int = 2**26
    fields: int = 2**18

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value < 1:
                raise ValueError(f"{field.name}: {value}; must be at least 1")

    def check_message(self, count: int) -> None:
        """Raises INVALID_ARGUMENT when a message has too many bytes."""
        if count > self.message_bytes:
            raise status.invalid(
                f"The request has {count} bytes; the limit message_bytes is"
                f" {self.message_bytes}"
            )

    def check_elements(self, alias: str, count: int) -> None:
        """Raises INVALID_ARGUMENT when a tensor claims too many elements."""
        if count > self.tensor_elements:
            raise status.invalid(
                f"Input {alias} has {count} elements; the limit"
                f" tensor_elements is {self.tensor_elements}"
            )

    def check_repeated(
        self, alias: str, count: int, strings: bool = False
    ) -> None:
        """Raises INVALID_ARGUMENT when too many elements were not sent.

        `strings` may be images, each of which is work.
        """
        name, most = "repeated_elements", self.repeated_elements
        if strings:
            name, most = "repeated_strings", self.repeated_strings
        if count > most:
            raise status.invalid(
                f"Input {alias} leaves out {count} elements of its shape; the"
                f" limit {name} is {most}"
            )

    def check_images(self, alias: str, values: Iterable[bytes]) -> None:
        """Raises INVALID_ARGUMENT when images would decode to too much.

        Args:
          alias: name of the input, for the text.
          values: strings of one tensor: image files, serialised tf.Examples
            with image files in their features, or anything else.
        """
        try:
            total = sum(self._pixels(value) for value in values)
        except TooManyFieldsError as error:
            raise status.invalid(
                f"Input {alias} has a string with images and more than"
                f" {self.fields} fields, the limit fields"
            ) from error
        if total > self.decoded_pixels:
            raise status.invalid(
                f"The images of input {alias} decode to {total} pixels; the"
                f" limit decoded_pixels is {self.decoded_pixels}"
            )

    def _pixels(self, value: bytes) -> int:
        # A message may begin as an image does, and be read as a message.
        found = [value, *image_fields.images(value, self.fields)]
        return sum(image_headers.decoded_pixels(one) or 0 for one in found)


# Of what is the operator's or the model's own. All fields, also later ones.
UNLIMITED = RequestLimits(
    **{field.name: 2**62 for field in dataclasses.fields(RequestLimits)}
)
