"""The model card's page: every fact that a reader needs, in words."""

import pytest

from serving import model_card_page

CARD = {
    "name": "tissue",
    "version": 7,
    "created": "2026-11-24T00:00:00+00:00",
    "project": {"name": "p", "version": "0.1", "source_sha256": "ab" * 32},
    "classes": [{"id": 1, "name": "gland", "color": [255, 0, 16]}],
    "mpp": {"finest": 2.5, "coarsest": 10.0},
    "stages": [{"stage": 0, "mpp": 10.0}, {"stage": 1, "mpp": 5.0}],
    "precision": "bfloat16",
    "training_data": {"hash": "cd" * 32, "images": {"train/labelled": 10}},
    "steps": {"stages/0": (30000, 30000), "segmenter": (10, 3000)},
    "commands": ["python -m trainer.train --seed 1"],
    "metrics": None,
    "licence": {"weights": "W inherit.", "data": "research only"},
    "signatures": {
        "segment": {
            "inputs": {"image_bytes": {"dtype": "string", "shape": [-1]}},
            "outputs": {"areas": {"dtype": "float32", "shape": [-1, 2]}},
        }
    },
    "windows": {"generate": {"halo": 224, "multiple": 16}},
    "limits": {"max_pixels": 1000},
    "warm_up": [[64, 48]],
}


@pytest.mark.parametrize(
    "text",
    [
        "# tissue, version 7\n",
        "**2.5 um/px**",
        "| 1 | gland | #ff0010 |",
        "| segment | image_bytes: string [-1] | areas: float32 [-1, 2] |",
        "| generate | 224 | 16 |",
        "1000 pixels. Warmed up for 64x48.",
        "Steps: stages/0 30,000, segmenter 10 of 3,000.",
        "Stages: 0 at 10 um/px, 1 at 5 um/px; bfloat16.",
        "cd" * 32 + "`: 10 train/labelled.",
        "python -m trainer.train --seed 1",
        "`trainer.evaluate` had not been run",
        "W inherit.",
        "licence: research only.",
    ],
)
def test_facts(text):
    assert text in model_card_page.to_markdown(CARD)


def test_scores():
    scores = {"images": 6, "mean_dice": 0.87654, "mpp": 2.5}
    metrics = {
        "protocol": {"split": "test"},
        "segmentation": {
            "segmenter": scores,
            "stage 0": scores | {"mean_dice": None},
        },
    }
    page = model_card_page.to_markdown(CARD | {"metrics": metrics})
    assert "Split `test`." in page
    assert "| segmenter | 6 | 0.877 | 2.5 |" in page
    assert "| stage 0 | 6 | undefined | 2.5 |" in page


def test_nothing_to_warm_up():
    page = model_card_page.to_markdown(CARD | {"warm_up": []})
    assert "Warmed up for no size." in page
