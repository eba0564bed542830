"""The model card: what it says is so, in the file and from the server."""

import hashlib
import json
import shlex

import numpy as np
import pytest
import tensorflow as tf

from histogan_tf import halo, run_dir
from serving import card_commands, model_card, signatures
from serving.model_card import Export


@pytest.fixture(scope="module")
def card(random_run, random_networks):
    graphs = signatures.graphs_of(random_networks, 1000)
    graphs["about"] = signatures.about("")
    return model_card.card_of(
        run_dir.open_run(random_run),
        random_networks,
        graphs,
        Export("tissue", 3, 1000, ((8, 9),), {"a": 1}, "CC BY 4.0"),
    )


def test_what_the_run_says(card):
    assert [c["name"] for c in card["classes"]] == [
        "stroma",
        "epithelium",
        "lumen",
    ]
    assert [c["id"] for c in card["classes"]] == [0, 1, 2]
    assert card["mpp"] == {"finest": 5.0, "coarsest": 10.0}
    assert card["stages"] == [
        {"stage": 0, "mpp": 10.0},
        {"stage": 1, "mpp": 5.0},
    ]
    assert card["training_data"] == {"hash": "0" * 64, "images": {}}
    assert card["precision"] == "float32"
    assert card["steps"]["segmenter"] == (1000, 1000)
    assert [len(s["style"]) for s in card["styles"]] == [6] * 4
    # Names of training images may be names of patients.
    assert "train_0" not in json.dumps(card)


def test_what_the_export_says(card):
    assert (card["name"], card["version"]) == ("tissue", 3)
    assert card["limits"] == {"max_pixels": 1000}
    assert card["warm_up"] == [[8, 9]]
    assert card["metrics"] == {"a": 1}
    assert card["licence"]["data"] == "CC BY 4.0"
    assert "inherit" in card["licence"]["weights"]


def test_windows(card, random_networks):
    config = random_networks.canvas.pyramid.config
    reach = halo.paint_halo(config)
    found = card["windows"]["generate"]
    assert found["multiple"] == 4 and found["halo"] % 4 == 0
    assert reach <= found["halo"] < reach + 4
    network = config.segmenter.network
    found = card["windows"]["segment"]
    assert found["multiple"] == 2
    assert halo.read_halo(network) <= found["halo"]


def test_signatures_are_those_of_the_saved_model(random_export):
    path = random_export / "assets.extra" / "model_card.json"
    stated = json.loads(path.read_text())["signatures"]
    model = tf.saved_model.load(str(random_export))
    assert stated.keys() == model.signatures.keys()
    for name, function in model.signatures.items():
        inputs = function.structured_input_signature[1]
        for side, specs in (
            ("inputs", inputs),
            ("outputs", function.structured_outputs),
        ):
            assert stated[name][side] == {
                key: {
                    "dtype": spec.dtype.name,
                    "shape": [-1 if n is None else n for n in spec.shape],
                }
                for key, spec in specs.items()
            }
    assert stated["segment"] == stated["serving_default"]


def test_the_server_answers_the_same_card(random_export):
    text = (random_export / "assets.extra" / "model_card.json").read_bytes()
    model = tf.saved_model.load(str(random_export))
    asked = tf.constant([b"", b"anything"])
    found = model.signatures["about"](question=asked)["model_card"].numpy()
    assert found.tolist() == [text, text]


def test_commands_are_the_runs_without_folders(
    random_run, random_networks, tmp_path
):
    run = run_dir.RunDir(tmp_path)
    for name in ("config.json", "classes.json", "data.json"):
        (tmp_path / name).write_bytes((random_run / name).read_bytes())
    typed = "one --data=/home/anna/records --seed=3\ntwo\n"
    run.command_path.write_text(typed)
    metrics = {"protocol": {"command": "three --data /home/anna/r", "seed": 1}}
    made = model_card.card_of(
        run, random_networks, {}, Export("m", 1, 1000, (), metrics)
    )
    assert made["commands"] == ["one --data=records --seed=3", "two"]
    stated = made["metrics"]["protocol"]
    assert stated == {"command": "three --data r", "seed": 1}
    assert "anna" not in model_card.to_text(made)
    # The run's own record stays.
    assert run.command_path.read_text() == typed
    assert "/home/anna/r" in metrics["protocol"]["command"]


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("python -m a.b --seed=3 --rate=1e-4", None),
        ("x --set=optimizer.rate=0.1 --nojit -v", None),
        ("x --data=/home/anna/r --out=runs/a", "x --data=r --out=a"),
        ("x --data /home/anna/r runs/a", "x --data r a"),
        ("x --in='/home/an na/*.svs'", "x '--in=*.svs'"),
        ("x '--in=/home/a, b/r'", "x --in=r"),
        ("x --in=/home/a/r,/home/a/s", "x --in=s"),
        ("x --in=name=~/a/r/", "x --in=r"),
        ("x -- --a/b=c/d / .", "x -- d / ."),
        ("x '/home/anna/half", "x half"),
        ("x --in=/home/anna/é", "x --in=é"),
        ("", None),
    ],
)
def test_paths_are_cut_to_their_last_part(typed, shown):
    found = card_commands.without_folders(typed)
    assert shlex.split(found) == shlex.split(typed if shown is None else shown)
    assert "anna" not in found


def test_many_styles_are_thinned_evenly(random_run, random_networks, tmp_path):
    run = run_dir.RunDir(tmp_path)
    for name in ("config.json", "classes.json"):
        (tmp_path / name).write_bytes((random_run / name).read_bytes())
    styles = [{"name": "x", "style": [float(n)] * 6} for n in range(130)]
    run.write_json(run.data_path, {"hash": "1", "styles": styles})
    made = model_card.card_of(
        run, random_networks, {}, Export("m", 1, 1000, ())
    )
    first = [s["style"][0] for s in made["styles"]]
    assert first == np.arange(0, 130, 3).tolist()
    assert [s["name"] for s in made["styles"]][:2] == ["0", "3"]


def test_the_projects_version_needs_no_git(tmp_path):
    package = tmp_path / "histogan_tf"
    package.mkdir()
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "p"\nversion = "1.2"\n'
    )
    (package / "a.py").write_bytes(b"x = 1\n")
    found = model_card.project(tmp_path)
    digest = hashlib.sha256(b"histogan_tf/a.py\0x = 1\n\0").hexdigest()
    assert found == {"name": "p", "version": "1.2", "source_sha256": digest}
