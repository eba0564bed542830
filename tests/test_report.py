"""The page stands alone, escapes what it is told and names what is missing."""

import base64
import dataclasses
import html.parser
import re

import cv2
import numpy as np
import pytest
import tensorflow as tf

from histogan_tf import presets, run_dir
from histogan_tf.data import classes
from histogan_tf.errors import InputError
from histogan_tf.metrics import segmentation
from histogan_tf.report import gallery, markup
from histogan_tf.report.facts import (
    Curve,
    PhaseCurves,
    ReportFacts,
    Row,
    StageGrid,
)
from histogan_tf.report.page import build
from histogan_tf.report.write import write

EVIL = "gland <script>alert('1')</script> & \"x\""
TABLE = classes.from_json(
    {
        "classes": [
            {"id": 0, "name": "stroma", "color": [1, 2, 3]},
            {"id": 1, "name": EVIL, "color": [200, 0, 100]},
        ]
    },
    "test",
)
DATA = {
    "hash": "ab12cd",
    "folder": "/data & <more>",
    "images": {"train/labelled": ["a"] * 7, "train/unlabelled": ["b"] * 31},
    "groups": {"train": ["p<1>"]},
}


def image(height, width, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), np.uint8)


def metrics():
    one = segmentation.score(np.array([[[8, 2], [0, 10]]])).to_json()
    scores = one | {"classes": list(TABLE.names), "protocol": "whole & <all>"}
    return {
        "protocol": {"command": "python -m trainer.evaluate --x", "seed": 3},
        "segmentation": {"segmenter": scores, "stage 0": scores},
        "objects": {"segmenter": {"object_f1": 0.8125, "capped": 4}},
        "sliced_wasserstein": [
            {
                "stage": 1,
                "mpp": 5.0,
                "distances": [12.0, 30.0],
                "floor": [6.0, 10.0],
                "ratio": [2.0, 3.0],
                "protocol": "128 patches",
            }
        ],
        "mask_consistency": scores,
        "fid": {"value": 31.25, "network": "/n", "protocol": "square 299"},
        "kid": {"mean": 0.0125, "deviation": 0.001, "subsets": 100},
    }


def facts(**changes):
    losses = Curve(tuple(range(1, 401)), tuple(1 / n for n in range(1, 401)))
    score = Curve((250, 500), (0.5, 0.75))
    whole = ReportFacts(
        name="run <1>",
        commands=("python -m trainer.train --data 'a & <b>'",),
        config=presets.tiny(),
        classes=TABLE,
        data=DATA,
        phases=(
            PhaseCurves(
                "Stage 0",
                10.0,
                {
                    "loss/critic/classes": losses,
                    f"validation/dice/{EVIL}": score,
                    "speed/images_per_second": score,
                },
            ),
        ),
        grids=(
            StageGrid(0, 10.0, (Row("real <r>", (image(24, 30),)),), (EVIL,)),
            StageGrid(None, 5.0, (Row("real", (image(300, 320),)),)),
        ),
        metrics=metrics(),
    )
    return dataclasses.replace(whole, **changes)


@pytest.fixture(scope="module")
def page():
    return build(facts())


class Tags(html.parser.HTMLParser):
    """Collects elements and checks that they nest."""

    def __init__(self):
        super().__init__()
        self.open, self.found, self.texts = [], [], []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in ("img", "input", "meta"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def parsed(text):
    tags = Tags()
    tags.feed(text)
    tags.close()
    assert tags.open == []
    return tags


def test_refers_to_nothing_outside(page):
    tags = parsed(page)
    names = {name for name, _ in tags.found}
    assert not names & {"script", "link", "iframe", "object", "base"}
    for name, attributes in tags.found:
        for key in ("src", "href", "xlink:href"):
            target = attributes.get(key, "#")
            assert target.startswith(("#", "data:image/")), (name, key)
    assert "http" not in page
    assert not re.search(r"@import|url\((?!#)", page)


def test_links_inside_lead_somewhere(page):
    tags = parsed(page)
    ids = {a["id"] for _, a in tags.found if "id" in a}
    for _, attributes in tags.found:
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in ids
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= ids


def test_pictures_decode_and_are_enlarged(page):
    shapes = []
    for name, attributes in parsed(page).found:
        if name != "img":
            continue
        coded = attributes["src"].partition("base64,")[2]
        data = np.frombuffer(base64.b64decode(coded, validate=True), np.uint8)
        shapes.append((cv2.imdecode(data, cv2.IMREAD_COLOR), attributes))
    (small, first), (big, second) = shapes
    # 200 // 30 = 6; PNG, so each pixel is whole.
    assert small.shape == (144, 180, 3)
    assert (small[::6, ::6, ::-1] == image(24, 30)).all()
    assert (first["width"], first["height"]) == ("180", "144")
    assert big.shape == (300, 320, 3)
    assert second["src"].startswith("data:image/jpeg")
    assert page.count('class="zoom"') == 1


@pytest.mark.parametrize(("width", "times"), [(24, 8), (100, 2), (101, 1)])
def test_enlargement(width, times):
    assert gallery.factor(width) == times


def test_everything_is_escaped(page):
    assert "<script" not in page
    assert "<1>" not in page and "<b>'" not in page and "<all>" not in page
    texts = "".join(parsed(page).texts)
    for told in (EVIL, "run <1>", "'a & <b>'", "/data & <more>", "p<1>"):
        assert told in texts


def test_tells_the_facts(page):
    texts = " ".join(parsed(page).texts)
    for told in (
        "ab12cd", "10 µm/px", "float32", "7", "31", "#c80064",
        "trainer.evaluate --x", "whole & <all>", "128 patches", "square 299",
        "31.25", "0.01250", "0.812",
    ):  # fmt: skip
        assert told in texts, told
    # Dice of [[8, 2], [0, 10]]: 16 / 18 and 20 / 22.
    assert "0.889" in texts and "0.909" in texts and "0.899" in texts
    assert "2.00" in texts and "3.00" in texts and "3.0 \u00d7" in texts


def test_tells_what_networks_take_at_once(page):
    texts = " ".join(parsed(build(facts(config=presets.base()))).texts)
    # The last segmenter and the judge; stages 1 to 3's critics, and the
    # finest stage's segmenter.
    assert texts.count("2×2 px at once") == 2 + 3 + 1  # noqa: RUF001
    assert "at once" not in " ".join(parsed(page).texts)


def test_the_same_facts_give_the_same_page(page):
    assert build(facts()) == page


def test_missing_parts_are_named():
    phases = (PhaseCurves("Stage 1", 5.0, {}),)
    bare = facts(commands=(), phases=phases, grids=(), metrics=None)
    texts = "".join(parsed(build(bare)).texts)
    for what, program in (
        ("Command of the training", "train"),
        ("Curves of Stage 1", "train"),
        ("Pictures", "evaluate"),
        ("Metrics", "evaluate"),
    ):
        made = f"made by python -m trainer.{program}."
        assert f"{what}: not there yet; {made}" in texts


@pytest.mark.parametrize(
    ("key", "title"),
    [
        ("segmentation", "Segmentation of real images: not there yet"),
        ("objects", "Objects (GlaS challenge): not there yet"),
        ("sliced_wasserstein", "Sliced Wasserstein distance: not there yet"),
        ("mask_consistency", "Mask consistency: not there yet"),
        ("fid", "FID (needs a feature network's weights"),
        ("kid", "KID (needs a feature network's weights"),
        ("protocol", "Protocol of the metrics: not there yet"),
    ],
)
def test_a_missing_metric_is_named(key, title, page):
    some = metrics()
    del some[key]
    text = "".join(parsed(build(facts(metrics=some, phases=()))).texts)
    assert title in text
    assert title not in "".join(parsed(page).texts)


def test_absent_classes_have_a_dash():
    assert markup.number(None) == markup.number(float("nan")) == markup.DASH
    assert markup.number(0.12345) == "0.123"


def test_rows_of_a_grid_must_match():
    rows = (Row("a", (image(2, 2),)), Row("b", ()))
    with pytest.raises(InputError, match=r"\[0, 1\] examples"):
        StageGrid(0, 5.0, rows)
    with pytest.raises(InputError, match="float64"):
        StageGrid(0, 5.0, (Row("a", (np.zeros((2, 2, 3)),)),))


def test_write_reads_the_run(tmp_path):
    run = run_dir.create_run(tmp_path / "r", presets.tiny(), TABLE, DATA)
    run.command_path.write_text("python -m trainer.train --one\n", "utf-8")
    writer = tf.summary.create_file_writer(str(run.phase("judge") / "events"))
    with writer.as_default():
        tf.summary.scalar("loss/segmenter/labelled", 0.125, 7)
    writer.close()
    path = write(run, list(facts().grids), None)
    texts = "".join(parsed(path.read_text(encoding="utf-8")).texts)
    assert path == run.report_path
    for told in ("trainer.train --one", "Judge · 5 µm/px", "0.125"):
        assert told in texts
    for missing in ("Stage 0", "Stage 1", "Segmenter"):
        assert f"Curves of {missing}: not there yet" in texts
    assert not list(run.root.glob(".*"))
