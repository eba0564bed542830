"""trainer.augment: pairs, their records, what was dropped, bad input."""

import json

import cv2
import numpy as np
import pytest
from programs import run_program
from small_training import ingest_small


@pytest.fixture(scope="module")
def records(phantom_files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("augment") / "records"
    ingest_small(phantom_files, folder)
    return folder


@pytest.fixture
def augment(random_run, records, tmp_path, capsys, monkeypatch):
    def run(**values):
        defaults = {
            "run_dir": random_run,
            "data": records,
            "output": tmp_path / "out",
            "count": 4,
            "consistency": 0,
        }
        return run_program(
            "trainer.augment", capsys, monkeypatch, **(defaults | values)
        )

    return run


def test_pairs_and_their_records(augment, tmp_path):
    from histogan_tf.data import manifest

    recipes = "resampled,warped,recombined,predicted"
    code, out, _ = augment(recipes=recipes)
    assert code == 0 and "4 pairs kept, 0 dropped" in out
    folder = tmp_path / "out"
    told = json.loads((folder / "augment.json").read_text())
    assert [p["recipe"] for p in told["pairs"]] == recipes.split(",")
    for pair in told["pairs"]:
        image = cv2.imread(str(folder / "images" / pair["file"]))
        mask = cv2.imread(str(folder / "masks" / pair["file"]), -1)
        assert image.shape[:2] == mask.shape and mask.max() < 3
        assert 0 <= pair["consistency"] <= 1
    made = manifest.load(folder / "records")
    images = made.split("train").labelled.images
    assert len(images) == 4 and {i.mpp for i in images} == {5.0}
    total = np.zeros(3, int)
    for pair in told["pairs"]:
        mask = cv2.imread(str(folder / "masks" / pair["file"]), -1)
        total += np.bincount(mask.ravel(), minlength=3)
    assert made.class_pixels("train") == tuple(total)


def test_consistency_is_the_judges_dice_and_drops_pairs(
    augment, random_run, tmp_path
):
    from histogan_tf import run_dir
    from histogan_tf.evaluation import trained

    augment(count=3)
    told = json.loads((tmp_path / "out" / "augment.json").read_text())
    judge = trained.open_trained(run_dir.open_run(random_run)).judge
    for pair in told["pairs"]:
        image = cv2.imread(str(tmp_path / "out" / "images" / pair["file"]))
        mask = cv2.imread(str(tmp_path / "out" / "masks" / pair["file"]), -1)
        found = judge(image[..., ::-1]).argmax(-1)
        dice = [
            2 * ((found == c) & (mask == c)).sum()
            / ((found == c).sum() + (mask == c).sum())
            for c in range(3)
            if (found == c).any() or (mask == c).any()
        ]  # fmt: skip
        assert pair["consistency"] == pytest.approx(np.mean(dice), abs=1e-4)
    low, high = sorted(p["consistency"] for p in told["pairs"])[:2]
    # Not a pair's own, which the file gives rounded.
    between = (low + high) / 2
    assert low < between < high
    code, out, _ = augment(
        count=1, consistency=between, output=tmp_path / "some"
    )
    assert code == 0
    some = json.loads((tmp_path / "some" / "augment.json").read_text())
    assert all(p["consistency"] >= between for p in some["pairs"])
    assert all(p["consistency"] < between for p in some["dropped_pairs"])
    assert f"{some['dropped']} dropped" in out


def test_an_ignored_mask_is_dropped_and_its_consistency_null(
    augment, tmp_path, monkeypatch
):
    from histogan_tf import mask_recipes

    blank = mask_recipes.NamedMask("blank", np.full((32, 32), 255, np.uint8))
    plain, calls = mask_recipes.resampled, []

    def draw(masks, rng):
        calls.append(len(masks))
        return blank if len(calls) == 1 else plain(masks, rng)

    monkeypatch.setitem(mask_recipes.RECIPES, "resampled", draw)
    code, out, _ = augment(count=1, recipes="resampled")
    assert code == 0 and "1 pairs kept, 1 dropped" in out
    told = json.loads((tmp_path / "out" / "augment.json").read_text())
    (dropped,) = told["dropped_pairs"]
    assert dropped["mask"] == "blank" and dropped["consistency"] is None


def test_masks_without_a_known_pixel_are_not_drawn_from(
    augment, tmp_path, monkeypatch
):
    from histogan_tf.evaluation import tiles

    def tile(name, value):
        mask = np.full((32, 32), value, np.uint8)
        return tiles.EvaluationTile(name, None, mask, None)

    given = [tile("blank", 255), tile("known", 1)]
    monkeypatch.setattr(tiles, "each", lambda *_: iter(given))
    assert augment(recipes="resampled")[0] == 0
    told = json.loads((tmp_path / "out" / "augment.json").read_text())
    names = {p["mask"].partition(",")[0] for p in told["pairs"]}
    assert names == {"known"} and told["dropped"] == 0
    del given[1]
    code, _, err = augment(recipes="resampled", output=tmp_path / "other")
    assert code == 2 and "the training masks are ignored all over" in err


def test_no_good_pair(augment, tmp_path):
    code, _, err = augment(count=1, consistency=0.999)
    assert code == 2 and "5 pairs were dropped and none kept" in err
    assert not list(tmp_path.iterdir())


def test_too_few_good_pairs_are_written_all_the_same(
    augment, tmp_path, monkeypatch
):
    from histogan_tf.metrics import segmentation

    found = iter([0.9] + 20 * [0.1])
    monkeypatch.setattr(segmentation, "mean_present", lambda dice: next(found))
    code, out, err = augment(count=2, consistency=0.5)
    # Four times two may be dropped; the next one ends it.
    assert code == 0 and len(list(found)) == 11
    assert "only 1 of 2 pairs" in err and "1 pairs kept, 9 dropped" in out
    told = json.loads((tmp_path / "out" / "augment.json").read_text())
    assert (told["wanted"], told["kept"], told["dropped"]) == (2, 1, 9)


def test_gaps_of_a_mask_are_painted_as_the_judge_reads_them(random_run):
    from histogan_tf import run_dir
    from histogan_tf.evaluation import trained

    opened = trained.open_trained(run_dir.open_run(random_run))
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (32, 40, 3), np.uint8)
    mask = np.full((32, 40), 255, np.uint8)
    mask[:4, :4] = 2
    found = opened.known_mask(image, mask)
    wanted = opened.judge(image).argmax(-1)
    wanted[:4, :4] = 2
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("here", ["file", "folder"])
def test_an_output_that_exists_is_refused_first(augment, tmp_path, here):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("")
    out = out / "mine" if here == "file" else out
    code, _, err = augment(output=out, recipes="bent")
    assert code == 2 and f"{out}: exists already" in err


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"recipes": ""}, "--recipes ''; allowed: resampled"),
        ({"recipes": "bent"}, "--recipes 'bent'; allowed: resampled"),
        ({"count": 0}, "--count"),
        ({"run_dir": "/nowhere"}, "/nowhere/config.json"),
    ],
)
def test_bad_input(augment, values, message):
    code, _, err = augment(**values)
    assert code == 2 and message in err and "Traceback" not in err


def contents(folder):
    """All files; of the record what does not name the folder."""
    found = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    told = json.loads(found.pop("augment.json"))
    return found | {"pairs": told["pairs"], "dropped": told["dropped_pairs"]}


def test_an_interrupted_command_goes_on(augment, tmp_path, monkeypatch):
    from histogan_tf.canvas import Canvas
    from histogan_tf.data import images, ingest

    def stop(*_):
        raise KeyboardInterrupt

    # The random judge reads 0.06, 0.06, 0.05, 0.06, 0.02 and 0.07.
    given, whole = {"count": 5, "consistency": 0.04}, images.write_png

    def fifth(path, image):
        (stop if path.name == "00004.png" else whole)(path, image)

    with monkeypatch.context() as patch:
        patch.setattr(images, "write_png", fifth)
        assert augment(**given)[0] == 130
    assert not (tmp_path / "out").exists()
    code, _, err = augment(count=5, consistency=0.2)
    assert code == 2 and "work of another consistency: 0.04 there, 0.2" in err
    painted, paint = [], Canvas.synthesise
    monkeypatch.setattr(
        Canvas, "synthesise", lambda *a: painted.append(a) or paint(*a)
    )
    with monkeypatch.context() as patch:
        # When the records are there already.
        make = ingest.ingest
        patch.setattr(ingest, "ingest", lambda *a: stop(make(*a)))
        assert augment(**given)[0] == 130
    assert len(painted) == 1
    assert augment(**given)[0] == 0
    assert len(painted) == 1
    assert augment(**given, output=tmp_path / "whole")[0] == 0
    assert len(painted) == 7
    made = contents(tmp_path / "out")
    assert made == contents(tmp_path / "whole") and len(made["pairs"]) == 5
    assert len(made["dropped"]) == 1
    assert len(list((tmp_path / "out").iterdir())) == 5
    assert not [path for path in tmp_path.iterdir() if path.name[0] == "."]
