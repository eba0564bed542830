"""What a client must know of a model, from the model card that it serves.

In: the JSON that the signature `about` answers (`model_card.py`). Out: a
`Card`: scale, classes, and how to cut windows.
"""

from dataclasses import dataclass
from typing import Any

from histogan_tf.errors import InputError
from serving.client_api import ServingClient
from serving.reach import Reach


@dataclass(frozen=True)
class Card:
    """The parts of a model card that requests depend on.

    Attributes:
      classes: names, by class id.
      mpp: um/px of the images and masks that the model takes.
      style_mpp: um/px at which a style is measured.
      read, paint: reach of the segmenting and of the generating signature.
      styles: styles of training images, by name.
      max_pixels: of one image or mask, halo included.
    """

    classes: tuple[str, ...]
    mpp: float
    style_mpp: float
    read: Reach
    paint: Reach
    styles: dict[str, tuple[float, ...]]
    max_pixels: int


def ask(client: ServingClient) -> Card | None:
    """The card of the model in service; None if it tells none.

    Raises:
      InputError: it tells one that lacks something.
    """
    value = client.about()
    return None if value is None else parse(value, client.server)


def parse(value: dict[str, Any], source: str) -> Card:
    """A model card's JSON value as a `Card`.

    Raises:
      InputError: a field is missing or of another kind.
    """
    try:
        mpp = value["mpp"]
        return Card(
            tuple(info["name"] for info in value["classes"]),
            float(mpp["finest"]),
            float(mpp["coarsest"]),
            Reach(**value["windows"]["segment"]),
            Reach(**value["windows"]["generate"]),
            {s["name"]: tuple(s["style"]) for s in value["styles"]},
            int(value["limits"]["max_pixels"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{source}: model card: {error!r}") from error
