"""What the client takes from a model card, and cards that lack something."""

import json

import pytest
from serving_fake_model import CARD

from histogan_tf.errors import InputError
from serving import client_card
from serving.reach import Reach


def test_the_fields_that_matter():
    found = client_card.parse(CARD, "host:1")
    assert found.classes == ("stroma", "epithelium", "lumen")
    assert (found.mpp, found.style_mpp) == (2.0, 8.0)
    assert found.read == found.paint == Reach(4, 4)
    assert found.styles["train_3"] == (3.0,) * 6
    assert found.max_pixels == 10**6


def test_a_card_of_a_real_export(random_export):
    path = random_export / "assets.extra" / "model_card.json"
    found = client_card.parse(json.loads(path.read_text()), "host:1")
    assert found.classes == ("stroma", "epithelium", "lumen")
    assert (found.mpp, found.style_mpp) == (5.0, 10.0)
    assert found.max_pixels == 2**16 and len(found.styles) == 4
    assert found.paint.halo % found.paint.multiple == 0 < found.read.halo


@pytest.mark.parametrize(
    "changes",
    [
        {"windows": {}},
        {"mpp": 2.0},
        {"classes": None},
        {"limits": {"max_pixels": "many"}},
        {"windows": {"segment": {"halo": 4}}},
    ],
)
def test_a_card_that_lacks_something(changes):
    with pytest.raises(InputError, match=r"^host:1: model card: "):
        client_card.parse(CARD | changes, "host:1")
