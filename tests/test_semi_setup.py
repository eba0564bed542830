"""What the semi-supervised benchmark tells of its protocol."""

import subprocess
from dataclasses import replace

import pytest
from small_training import small_config

from benchmarks import (
    machine,
    semi_cells,
    semi_protocols,
    semi_setup,
    semi_supervised,
)
from benchmarks.semi_cells import Cell, Places
from histogan_tf import config_json

READING = {"threshold": 0.5, "image_side_px": None}
IMAGES = {"x": {"dice": 0.5, "counts": [1, 1, 1]}}


def values(**changes):
    return config_json.to_dict(replace(small_config(2), **changes))


def plain(**changes):
    alone = replace(small_config().segmenter.alone(), restain=0.0, **changes)
    return values(segmenter=alone)


def result(method, seed, config, own=(), labels=2):
    return {
        "protocol": "native",
        "method": method,
        "labels": labels,
        "seed": seed,
        "images": IMAGES,
        "names": {
            "labelled": ["a", f"b{seed}"],
            "unlabelled": ["c", "d", "e"],
            "validation": ["v"],
        },
        "setup": semi_setup.setup(config, dict(own), ["13", "4"], READING),
    }


def test_setup_of_a_rival_has_no_pyramid():
    found = semi_setup.setup(plain(), {"cross": 1.5}, ["13", "4", "4"], READING)
    assert found["um_per_px"] == 5.0 and found["threshold"] == 0.5
    assert found["validation_patients"] == ["4", "13"]
    assert found["segmenter"]["steps"] == 4
    assert found["optimizer"]["segmenter_rate"] == 2e-3
    assert "critic_rate" not in found["optimizer"]
    assert found["method"] == {"cross": 1.5}
    assert not {"stages", "judge", "losses"} & found.keys()


def test_setup_of_the_pyramid_has_its_stages():
    found = semi_setup.setup(values(), {}, [], READING)
    assert [s["reduced_by"] for s in found["stages"]] == [2, 1]
    assert [s["crop"] for s in found["stages"]] == [8, 8]
    assert found["judge"]["labelled_share"] == 1.0
    assert found["optimizer"]["critic_rate"] == 4e-4
    small = READING | {"image_side_px": 128}
    assert semi_setup.setup(values(), {}, [], small)["um_per_px"] is None


def test_paragraph_tells_rotation_where_there_is_one():
    turned = replace(small_config().segmenter.augment, rotation=45.0)
    results = [
        result("supervised", 0, plain()),
        result("cps", 0, plain(augment=turned)),
    ]
    # A cell of before there was rotation.
    del results[0]["setup"]["segmenter"]["augment"]["rotation"]
    flat = " ".join(" ".join(semi_setup.paragraph(results, "native")).split())
    assert "Augmentation: flips, scale 1.15, warp" in flat
    assert "stain 0.15 (supervised). Augmentation: flips, rotation 45" in flat
    assert "rotation 45 degrees, scale 1.15, warp" in flat


def test_paragraph_names_who_differs():
    longer = plain(steps=9)
    results = [
        result("supervised", 0, plain()),
        result("supervised", 1, longer),
        result("cps", 0, plain(), {"cross": 1.5}),
        result("histogan", 0, values()),
    ]
    text = "\n".join(semi_setup.paragraph(results, "native"))
    flat = " ".join(text.split())
    for wanted in (
        "protocol native Images labelled + unlabelled: 2 + 3; validation 1,"
        " test 1 a cell. Validation patients: 4, 13. Images at 5.0 um/px,"
        " threshold 0.5. Selection: last averaged weights after a fixed number"
        " of steps; nothing is chosen.",
        "batch 2, 9 steps, Adam at 0.002 (falls to 0 over the last 30%)",
        "widths 4, patch 1 (supervised labels/seed 2/1).",
        "patch 1 (supervised labels/seed 2/0, cps, histogan).",
        "Of its own: cross 1.5 (cps).",
        "8 x 2 x 4 at 1/2, thin 1; 8 x 2 x 4 at 1/1, thin 1; painted tissue"
        " weighs 0.5, thin 1 (histogan).",
        "2 labels, seed 0: a b0 2 labels, seed 1: a b1",
    ):
        assert wanted in flat
    assert max(map(len, text.splitlines())) < 80
    del results[0]["setup"]
    text = "\n".join(semi_setup.paragraph(results, "native"))
    assert "1 cells do not tell their settings" in text
    lines = semi_setup.paragraph(results[:1], "native")
    assert list(lines)[-1] == "no cell tells its settings"


@pytest.fixture
def cell(phantom_files, tmp_path, monkeypatch):
    """Runs one whose method trains nothing; gives its result."""
    from benchmarks import semi_data
    from histogan_tf.data import pairs, phantom

    def fold(data, labels, seed):
        one, two, *_ = pairs.pair(
            str(data / "images"), str(data / "masks"), lambda path: "p7"
        )
        return semi_data.Fold((one,), (), (two,), (two,))

    tiny = replace(
        semi_protocols.NATIVE,
        mpp=2.5,
        classes=phantom.CLASSES_FILE,
        fold=fold,
        config=lambda seed: small_config(),
        score=lambda read, sources, target: IMAGES,
    )
    monkeypatch.setitem(semi_protocols.PROTOCOLS, "native", tiny)
    places = Places(phantom_files, tmp_path / "out", tmp_path / "results")

    def run(method):
        return semi_cells.run(
            Cell("native", "cps", 1, 0), places, method=method
        )

    return run


def untrained(work):
    longer = replace(work.config.segmenter, steps=77)
    work.source(replace(work.config, segmenter=longer), work.folder)


def test_a_cell_tells_what_it_was_trained_with(cell):
    found = cell(untrained)
    assert found["setup"]["segmenter"]["steps"] == 77
    # A batch all labelled, as this data set has nothing else.
    assert found["setup"]["labelled_share"] == 1.0
    assert found["setup"]["validation_patients"] == ["p7"]
    assert found["setup"]["method"] == {"cross": 1.5, "ramp": 0.4}
    short = semi_supervised._short(found)
    assert short["setup"] == found["setup"]
    assert short["names"]["validation"] == found["names"]["validation"]
    assert "setup_source" not in short
    assert "validation" not in short


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A committed tree, in place of the project's; gives its `git`."""
    root = tmp_path / "tree"
    root.mkdir()
    author = ("-c", "user.name=a", "-c", "user.email=a@b")

    def git(*words):
        command = ["git", "-C", str(root), *author, *words]
        done = subprocess.run(command, check=True, capture_output=True)
        return done.stdout.decode().strip()

    git("init", "-q")
    for name in ("a.py", "b.py", "c.json"):
        (root / name).write_text("1")
    git("add", ".")
    git("commit", "-qm", "first")
    monkeypatch.setattr(machine, "ROOT", root)
    machine.code.cache_clear()
    yield root, git
    machine.code.cache_clear()


def test_a_cell_tells_the_code_it_started_with(cell, tree):
    root, git = tree
    first = git("rev-parse", "HEAD")
    # One tracked source has changed; data and new files do not count.
    for name in ("a.py", "c.json", "new.py"):
        (root / name).write_text("2")

    def others_commit(work):
        untrained(work)
        (root / "b.py").write_text("3")
        git("commit", "-qam", "second")

    found = cell(others_commit)
    assert found["git"] == {"commit": first, "changed_files": 1}
    assert found["commit"] == first != git("rev-parse", "HEAD")
    assert semi_supervised._short(found)["git"] == found["git"]
